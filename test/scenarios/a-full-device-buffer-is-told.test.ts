import { afterEach, expect, test } from "vitest";
import { cleanUpPrograms, leavesNothing, start } from "./program.ts";
import { stationFile } from "./station-files.ts";

afterEach(cleanUpPrograms);

test("tags that did not fit into an instrument are a loss of unknown count, of its node alone", async () => {
  // Alice's detectors click about 75,000 times a second; her tagger hands on a quarter of them.
  const path = stationFile(
    ["fifoTags: 131072", "fifoTags: 1024"],
    ["tagsPerSecondMax: 3900000", "tagsPerSecondMax: 20000"],
  );
  const program = start("run", path, "--duration", "3s", "--no-page", "--json");
  expect(await program.ended()).toEqual({ exitCode: 0, signal: null });
  const summary = program.events.at(-1);
  expect(summary?.event).toBe("summary");
  expect(summary?.lostTags).toBeNull();
  const alice = summary?.nodes?.find(({ name }) => name === "alice");
  expect(alice?.lostTags).toBeNull();
  const overflows = (alice?.losses ?? []).filter(({ cause }) => cause === "device-overflow");
  expect(overflows.length).toBeGreaterThanOrEqual(1);
  for (const { count } of overflows) expect(count).toBeNull();
  const bob = summary?.nodes?.find(({ name }) => name === "bob");
  expect(bob?.losses.filter(({ cause }) => cause === "device-overflow")).toEqual([]);
  expect(program.errors).toMatch(/alice\/tagger: the tagger's buffer overflowed; tags are missing/);
  await leavesNothing(program);
}, 60_000);
