import { describe, expect, test } from "vitest";
import { drawTags, encodeHydraHarpT2, pairDelayPs, type TagMix } from "../../bench/data-sets.ts";
import { decodeHydraHarpT2 } from "../../bench/peers/javascript/decoding.ts";
import { countPairs } from "../../bench/peers/javascript/measuring.ts";
import { classOf, parseStat } from "../../bench/process-tree.ts";
import {
  basePs,
  type Contestant,
  digestStart,
  digestTags,
  type Race,
  runRace,
  spreadOf,
} from "../../bench/race.ts";
import { isLabError } from "../../hal/errors.ts";

const contestant = (peer: string | null, elapsedMs: number, result: string): Contestant => ({
  ...{ peer, lap: () => ({ elapsedMs, result }) },
});
const raceOf = (...contestants: readonly Contestant[]): Race => ({
  ...{ name: "race", unit: "Mtags/s", target: 1, dataSet: "none", work: 2e6, contestants },
});

describe("a race", () => {
  test("gives a rate for ours and a ratio to each peer", async () => {
    const race = raceOf(contestant(null, 10, "7"), contestant("slow", 40, "7"));
    const [ours, slow] = await runRace(race);
    expect(ours).toMatchObject({ median: 200, min: 200, max: 200, target: 1 });
    expect(ours).not.toHaveProperty("peer");
    expect(slow).toMatchObject({
      peer: "slow",
      ratio: 4,
      ratioMin: 4,
      ratioMax: 4,
      peerMedian: 50,
    });
  });
  test("refuses contestants that disagree, and a result that is known to be wrong", async () => {
    const disagreeing = raceOf(contestant(null, 1, "7"), contestant("wrong", 1, "8"));
    await expect(runRace(disagreeing)).rejects.toSatisfy((error) =>
      isLabError(error, "command.benchmark"),
    );
    const wrong = { ...raceOf(contestant(null, 1, "7")), expected: "8" };
    await expect(runRace(wrong)).rejects.toThrow(/Bellwether gives 7 where 8/);
  });
  test("has the median of odd and even numbers of rounds", () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  });
});

describe("a data set", () => {
  const mix: TagMix = {
    ...{ name: "mix", tags: 200_000, channels: 4, rateHz: 1e6, pairRateHz: 2.5e5, seed: 5 },
  };
  const { relativePs, timesPs, channels } = drawTags(mix);

  test("has sorted times, as doubles and as integers alike", () => {
    const isSorted = relativePs.every((time, at) => at === 0 || time >= (relativePs[at - 1] ?? 0));
    expect(isSorted).toBe(true);
    expect(timesPs[1000]).toBe(basePs + BigInt(relativePs[1000] ?? 0));
    const offsets = timesPs.map((time) => time - basePs);
    const digest = digestTags(digestStart, offsets, channels, channels.length);
    expect(digestTags(digestStart, relativePs, channels, channels.length)).toBe(digest);
  });
  test("has the rates and pairs that its name says", () => {
    const spanS = (relativePs.at(-1) ?? 0) / 1e12;
    const zeros = channels.filter((channel) => channel === 0).length;
    // Counts of a Poisson process: 6 standard deviations are a false alarm of 2e-9; the seed is fixed.
    expect(Math.abs(zeros - mix.rateHz * spanS)).toBeLessThan(6 * Math.sqrt(mix.rateHz * spanS));
    const dense = Float64Array.from([
      ...relativePs.filter((_, at) => channels[at] === 0),
      ...relativePs.filter((_, at) => channels[at] === 2),
      0,
    ]);
    const starts = { from: 0, to: zeros };
    const stops = { from: zeros, to: dense.length - 1 };
    const pairs = countPairs(dense, starts, stops, pairDelayPs - 600, pairDelayPs + 600);
    const expected = (mix.pairRateHz + mix.rateHz ** 2 * 1.2e-9) * spanS;
    expect(Math.abs(pairs - expected)).toBeLessThan(6 * Math.sqrt(expected));
  });
  test("is the same after encoding and decoding", () => {
    const { records, tags } = encodeHydraHarpT2({ ...mix, tags: 65_536 });
    const out = { times: new Float64Array(70_000), channels: new Uint8Array(70_000) };
    const range = { from: 0, to: records.length };
    expect(decodeHydraHarpT2({ ticks: 0 }, records, range, out)).toBe(tags);
    const first = drawTags({ ...mix, tags: 65_536 });
    expect(out.times.subarray(0, tags)).toEqual(first.relativePs.subarray(0, tags));
    expect(out.channels.subarray(0, tags)).toEqual(first.channels.subarray(0, tags));
  });
});

describe("processor time", () => {
  test("is read past a process name with brackets and spaces", () => {
    const numbers = Array.from({ length: 49 }, (_, at) => at + 4);
    const stat = `77 (node (worker) 1) S ${numbers.join(" ")}`;
    expect(parseStat(stat)).toEqual({ parent: 4, cpuS: 0.29 });
  });
  test("belongs to the class that a command line shows", () => {
    expect(classOf("node\0/x/dist/mocks/physics/physics-process.js\0")).toBe("physics");
    expect(classOf("node\0/x/dist/mocks/instrument-process.js\0")).toBe("instrument");
    expect(classOf("node\0/x/dist/hal/ports/port-host.js\0")).toBe("port-host");
    expect(classOf("node\0dist/cli/main.js\0run\0")).toBe("node");
    expect(classOf("sh\0-c\0true")).toBe("other");
  });
});
