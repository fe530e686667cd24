import { afterAll, beforeAll, expect, test } from "vitest";
import { type ObservedLab, observeLab } from "./observed-lab.ts";
import { cleanUpPrograms, failureOf, leavesNothing, type Program, start } from "./program.ts";
import { dim, dimCurrentMa, stationFile } from "./station-files.ts";

const path = stationFile(dim);
let lab: ObservedLab;

beforeAll(async () => {
  lab = await observeLab(path);
});
afterAll(async () => {
  cleanUpPrograms();
  await lab[Symbol.asyncDispose]();
});

const run = (): Program => start("run", path, "--mocks", lab.folder, "--no-page", "--json");
const hostsOf = ({ alive }: Program): readonly number[] =>
  alive
    .filter(({ command }) => command.includes("ports/port-host"))
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);

test("light that nobody could switch off is said to be on, and goes off as soon as a run opens the source", async () => {
  const first = run();
  await first.saw("source-on");
  const [ofAlice] = hostsOf(first);
  if (ofAlice === undefined) throw new Error("no port host");
  process.kill(ofAlice, "SIGKILL");
  expect((await first.ended()).exitCode).toBe(1);
  expect(failureOf(first)).toMatch(
    /alice.*the port host ended by itself.*check that outputs are off/,
  );
  expect(first.errors).toContain("alice/source: IT MAY STILL BE ON: go and look");
  expect(first.all("stopped").map((event) => event.isDark)).toEqual([false]);
  await leavesNothing(first);
  expect(await lab.pumpCurrentMa()).toBe(dimCurrentMa);

  const second = run();
  await second.saw("opened", ({ device }) => device === "source");
  expect(await lab.pumpCurrentMa()).toBe(0);
  // What it counts then are dark counts, a few hundred a second, and not the light of before.
  const { ratesHz = {} } = await second.saw("dark-counts", ({ node }) => node === "alice");
  for (const rate of Object.values(ratesHz)) expect(rate.value).toBeLessThan(500);
  expect(Object.keys(ratesHz)).toEqual(["h", "v", "d", "a"]);
  second.kill("SIGINT");
  await second.ended();
  await leavesNothing(second);
}, 90_000);
