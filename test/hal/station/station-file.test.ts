import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStation, readStation } from "../../../hal/station/station-file.ts";
import { channelLabels } from "../../../hal/station/station-schema.ts";
import { context, good, problemsOf, withLines } from "./bench-station.ts";

describe("a good station", () => {
  const station = parseStation(good.join("\n"), "bench.yaml", context);

  test("comes out typed, with the drivers' defaults and its own", () => {
    const alice = station.nodes.get("alice");
    expect(station.name).toBe("bench");
    expect(alice?.devices.get("tagger")).toEqual({
      name: "tagger",
      driver: "acme/tagger",
      port: "mock:box",
      settings: { threshold: "nim", delayPs: 0 },
      givenSettings: new Set(),
      limits: {},
    });
    expect(alice?.devices.get("pump")?.givenSettings).toEqual(new Set(["currentMa"]));
    expect(alice?.detectors.get("h")).toMatchObject({ input: 1, channel: 0, delayPs: -20n });
    expect(station.links.get("alice-bob")).toEqual({
      name: "alice-bob",
      ends: ["alice", "bob"],
      channel: "in-process",
      bellState: "phi+",
      coincidenceWindowPs: 5000,
      clock: { offsetMaxMs: 1000, driftMaxPpb: 2000 },
    });
    expect(station.mock).toMatchObject({ rateHz: 5 });
  });

  test("names the channels of a tagger for recordings", () => {
    const alice = station.nodes.get("alice");
    if (alice === undefined) throw new Error("no alice");
    expect(channelLabels(alice, "tagger", 4)).toEqual([
      { channel: 0, label: "h" },
      { channel: 1, label: "v" },
      { channel: 2, label: "input 3" },
      { channel: 3, label: "input 4" },
    ]);
  });

  test("may use anchors, and comments, and JSON", () => {
    const anchored = withLines({
      14: "      h: { tagger: &t tagger, input: &i 1, basis: z, outcome: 0 } # input *i",
      15: "      v: { tagger: *t, input: 2, basis: z, outcome: 1 }",
    });
    expect(problemsOf(anchored)).toEqual([]);
    const json = JSON.stringify({ station: "empty", nodes: {} });
    expect(parseStation(json, "x.json", context).nodes.size).toBe(0);
  });
});

describe("several mistakes", () => {
  test("come together, one line each, in the order of the file", () => {
    const text = withLines({
      26: "    box: { modl: acme/tagger }",
      23: "    ends: [alice, bbo]",
      15: "      v: { tagger: tagger, input: 9, basis: z, outcome: 1 }",
      11: "        settings: { currentMa: 70 }",
      2: "nodes: # here\n  # and here",
    });
    expect(() => parseStation(text, "bench.yaml", context)).toThrow(
      [
        "bench.yaml:12:32: currentMa 70 mA exceeds the limit currentMaMax 60 mA (line 13); change one of them",
        "bench.yaml:16:35: Acme time tagger has inputs 1 to 4, not 9",
        'bench.yaml:24:19: there is no node "bbo"; did you mean "bob"?',
        "bench.yaml:27:5: mock.instruments.box has no model; write it (a text)",
        'bench.yaml:27:12: unknown key "modl" in mock.instruments.box; did you mean "model"?',
      ].join("\n"),
    );
  });

  test("beyond twenty are counted", () => {
    const keys = Array.from({ length: 30 }, (_, index) => `wrong${index}: 1`).join("\n");
    const error = /(bench.yaml:.*\n){20}... and \d+ more/;
    expect(() => parseStation(keys, "bench.yaml", context)).toThrow(error);
  });
});

describe("what is no station", () => {
  test.each([
    ["nothing", "", "station.not-a-station"],
    ["a word", "hello", "station.not-a-station"],
    ["two documents", "station: a\n---\nstation: b", "station.not-yaml"],
    ["deep nesting", "[".repeat(20_000), "station.not-yaml"],
  ])("%s is refused", (_name, text, code) => {
    expect(problemsOf(text)[0]).toMatchObject({ code, line: expect.any(Number) });
  });

  test("a text that grows without bound through its aliases is refused quickly", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 12; level++) {
      const previous = Array(10)
        .fill(`*a${level - 1}`)
        .join(", ");
      lines.push(`a${level}: &a${level} [${previous}]`);
    }
    const problems = problemsOf(lines.join("\n"));
    expect(problems.map(({ code }) => code)).toContain("station.too-large");
    expect(problems.length).toBeLessThan(40);
  });

  test("any text gives a station or problems with places, and nothing else", () => {
    const cut = fc.record({
      at: fc.nat(good.join("\n").length),
      length: fc.nat(12),
      text: fc.string({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(cut, ({ at, length, text }) => {
        const whole = good.join("\n");
        for (const problem of problemsOf(whole.slice(0, at) + text + whole.slice(at + length))) {
          expect(problem.code).toMatch(/^station\./);
          expect(problem.line).toBeGreaterThanOrEqual(1);
          expect(problem.column).toBeGreaterThanOrEqual(1);
          expect(problem.message).not.toBe("");
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

describe("reading", () => {
  test("says what is wrong with a path", async () => {
    const folder = mkdtempSync(join(tmpdir(), "station-"));
    try {
      const large = join(folder, "large.yaml");
      writeFileSync(large, "#".repeat(1_048_577));
      const binary = join(folder, "binary.yaml");
      writeFileSync(binary, Buffer.from([0x50, 0x51, 0xff, 0xfe, 0x80]));
      const station = join(folder, "good.yaml");
      writeFileSync(station, good.join("\n"));
      const codeOf = (path: string): Promise<unknown> =>
        readStation(path, context).then(
          ({ name }) => name,
          (error) => error.code,
        );
      expect(await codeOf(join(folder, "none.yaml"))).toBe("station.not-found");
      expect(await codeOf(folder)).toBe("station.not-a-file");
      expect(await codeOf(large)).toBe("station.too-large");
      expect(await codeOf(binary)).toBe("station.not-text");
      expect(await codeOf(station)).toBe("bench");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
