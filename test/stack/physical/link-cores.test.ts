import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { type ClockModel, localFromRemote } from "../../../stack/physical/clock-model.ts";
import { blockEnds, blocksOf, column, runBench } from "./link-bench.ts";
import { type Detection, drawRun, type PairRun } from "./pair-generator.ts";

const run: PairRun = {
  durationS: 4,
  remoteRateHz: 4e4,
  localRateHz: 5e4,
  coincidenceRateHz: 5e3,
  offsetPs: -350_000_001_235n,
  localDriftPpb: 700,
  remoteDriftPpb: -800,
  jitterPsRms: 60,
  tickPs: 2000,
  originPs: 3_000_000_000_000n,
};
const windowPs = 5_000n;
const settings = { windowPs, tickPs: 2_000n };

const streams = (
  detections: readonly Detection[],
  offsetPs: bigint,
  stepPs: number,
  durationS = run.durationS,
) => {
  const fromPs = (run.originPs ?? 0n) + offsetPs;
  const toPs = fromPs + BigInt(durationS * 1e12) + 10_000_000n;
  return blocksOf(detections, fromPs, blockEnds(fromPs, toPs, stepPs));
};

describe("announcer and matcher", () => {
  it("lock within three seconds of data and agree on every pair's identity and bases", () => {
    const { remote, local } = drawRun(seededRandom(11), run);
    const result = runBench(streams(remote, 0n, 5e9), streams(local, run.offsetPs, 5e9), settings);
    expect(result.effects.filter(({ kind }) => kind === "locked")).toHaveLength(1);
    expect(result.effects.some(({ kind }) => kind === "lost" || kind === "loss")).toBe(false);
    const [a, b] = [result.announcer, result.matcher];
    expect(column(a, ({ localBasis }) => localBasis)).toEqual(
      column(b, ({ remoteBasis }) => remoteBasis),
    );
    expect(column(a, ({ remoteBasis }) => remoteBasis)).toEqual(
      column(b, ({ localBasis }) => localBasis),
    );
    expect(a.map(({ firstSequence }) => firstSequence)).toEqual(
      b.map(({ firstSequence }) => firstSequence),
    );
    let next = 0n;
    for (const block of a) {
      expect(block.firstSequence).toBe(next);
      next += BigInt(block.count);
    }
    for (const blocks of [a, b]) {
      for (let at = 1; at < blocks.length; at++)
        expect(blocks[at]?.fromPs).toBe(blocks[at - 1]?.toPs);
    }
    // Locked from 1 s on: 3 s of 5 kcps, of which a window of 5 ns keeps 31/32 or more with ticks of 2 ns.
    const seconds = Number((a.at(-1)?.toPs ?? 0n) - (a[0]?.fromPs ?? 0n)) / 1e12;
    expect(seconds).toBeGreaterThan(2.5);
    expect(Number(next) / seconds / run.coincidenceRateHz).toBeGreaterThan(0.96);
    expect(Number(next) / seconds / run.coincidenceRateHz).toBeLessThan(1.06);
    // Pairs have one channel at both ends: outcomes agree but for accidentals (S1 S2 w = 10 of 5000).
    const [outcomesA, outcomesB] = [
      column(a, ({ rawOutcome }) => rawOutcome),
      column(b, ({ rawOutcome }) => rawOutcome),
    ];
    const errors = outcomesA.filter((outcome, at) => outcome !== outcomesB[at]).length;
    expect(errors / outcomesA.length).toBeLessThan(0.005);
  });

  it("gives the same pairs for every split of both streams", () => {
    const short = { ...run, durationS: 0.2 };
    const { remote, local } = drawRun(seededRandom(12), short);
    const model: ClockModel = {
      referencePs: run.originPs ?? 0n,
      offsetPs: run.offsetPs,
      driftPpb: 1500,
      offsetUncertaintyPs: 0,
      driftUncertaintyPpb: 0,
    };
    // A filter that is certain does not move, so that blocks cannot matter through it.
    const still = { ...settings, clockNoise: { whiteFrequencyPs: 0, randomWalkPpb: 0 } };
    const preset = {
      found: true,
      model,
      residualPsRms: 1000,
      coincidenceRateHz: 1,
      significanceNats: 99,
      thresholdNats: 1,
    } as const;
    const pairsOf = (remoteEnds: bigint[], localEnds: bigint[]) => {
      const [from, to] = [run.originPs ?? 0n, (run.originPs ?? 0n) + run.offsetPs];
      const result = runBench(
        blocksOf(remote, from, remoteEnds),
        blocksOf(local, to, localEnds),
        still,
        preset,
      );
      return {
        local: column(result.matcher, ({ timesPs }) => timesPs),
        remote: column(result.announcer, ({ timesPs }) => timesPs),
      };
    };
    const ends = (offsetPs: bigint, stepPs: number, seed?: number) => {
      const from = (run.originPs ?? 0n) + offsetPs;
      return blockEnds(
        from,
        from + (offsetPs === 0n ? 200_500_000_000n : 201_000_000_000n),
        stepPs,
        seed === undefined ? undefined : seededRandom(seed),
      );
    };
    const whole = pairsOf(ends(0n, 1e12), ends(run.offsetPs, 1e12));
    expect(whole.local.length).toBeGreaterThan(800);
    expect(whole.local).toEqual(naivePairs(remote, local, model));
    for (const seed of [1, 2, 3, 4]) {
      const split = pairsOf(
        ends(0n, 10 ** (7 + seed), seed),
        ends(run.offsetPs, 10 ** (11 - seed), seed + 10),
      );
      // What no local block has covered yet at the end of the data is not answered.
      expect(whole.local.slice(0, split.local.length)).toEqual(split.local);
      expect(whole.remote.slice(0, split.remote.length)).toEqual(split.remote);
      expect(split.local.length).toBeGreaterThan(whole.local.length - 200);
    }
  });

  it("follows a change of drift without losing lock or pairs", () => {
    const changing = { ...run, durationS: 5, driftStep: { atS: 3, byPpb: 20 } };
    const { remote, local } = drawRun(seededRandom(13), changing);
    const result = runBench(
      streams(remote, 0n, 5e9, 5),
      streams(local, run.offsetPs, 5e9, 5),
      settings,
    );
    expect(result.effects.some(({ kind }) => kind === "lost")).toBe(false);
    const metrics = result.effects.flatMap((effect) => (effect.kind === "metrics" ? [effect] : []));
    const last = metrics.at(-1);
    expect(last?.model.driftPpb).toBeGreaterThan(1500 + 20 - 5);
    expect(last?.model.driftPpb).toBeLessThan(1500 + 20 + 5);
    for (const { metrics: figures } of metrics) {
      expect(Math.abs(figures.coincidenceRateHz.value / run.coincidenceRateHz - 1)).toBeLessThan(
        0.1,
      );
    }
  });

  it("loses the lock when pairs go, and finds the clock again when they come back", () => {
    const gone = drawRun(seededRandom(14), { ...run, durationS: 8 });
    const [pauseFromS, pauseToS] = [2, 5];
    const without = (detections: readonly Detection[], offsetPs: bigint): Detection[] =>
      detections
        .map((one) => {
          const atS = Number(one.timePs - (run.originPs ?? 0n) - offsetPs) / 1e12;
          // Displaced by far more than a window, the pairs are singles.
          const isPaused = one.pair >= 0 && atS > pauseFromS && atS < pauseToS && offsetPs !== 0n;
          return isPaused
            ? { ...one, timePs: one.timePs + BigInt((one.pair % 97) * 2_000_000 + 8_000_000) }
            : one;
        })
        .sort((a, b) => (a.timePs < b.timePs ? -1 : 1));
    const result = runBench(
      streams(gone.remote, 0n, 5e9, 8),
      streams(without(gone.local, run.offsetPs), run.offsetPs, 5e9, 8),
      settings,
    );
    const changes = result.effects
      .map(({ kind }) => kind)
      .filter((kind) => kind === "locked" || kind === "lost");
    expect(changes).toEqual(["locked", "lost", "locked"]);
  });

  it("is honest about what it saw: metrics meet their closed forms", () => {
    const { remote, local } = drawRun(seededRandom(15), {
      ...run,
      durationS: 3.2,
      remoteRateHz: 1e5,
      localRateHz: 2e5,
    });
    const result = runBench(
      streams(remote, 0n, 5e9, 3.2),
      streams(local, run.offsetPs, 5e9, 3.2),
      settings,
    );
    const metrics = result.effects.flatMap((effect) =>
      effect.kind === "metrics" ? [effect.metrics] : [],
    );
    expect(metrics.length).toBeGreaterThan(0);
    const within = (value: number, uncertainty: number, expected: number): void => {
      // Five standard uncertainties either way: 6e-7 for each figure.
      expect(Math.abs(value - expected)).toBeLessThan(5 * uncertainty);
    };
    for (const one of metrics) {
      within(
        one.accidentalRateHz.value,
        one.accidentalRateHz.uncertainty,
        1e5 * 2e5 * 5e-9 + 5e3 * 0,
      );
      within(one.accidentalRateFromSinglesHz, 2, 1e5 * 2e5 * 5e-9);
      within(one.localSinglesHz.value, one.localSinglesHz.uncertainty, 2e5);
      within(one.remoteSinglesHz.value, one.remoteSinglesHz.uncertainty, 1e5);
      // Two ticks of 2 ns: variance 2 x 2000^2 / 12, jitter 2 x 60^2.
      const fwhm = 2.3548 * Math.sqrt((2 * 2000 ** 2) / 12 + 2 * 60 ** 2);
      expect(Math.abs((one.jitterPsFwhm?.value ?? 0) / fwhm - 1)).toBeLessThan(0.1);
      within(one.localHerald?.value ?? 0, one.localHerald?.uncertainty ?? 0, 0.05 * 0.985);
      within(
        one.localLossDb?.value ?? 0,
        one.localLossDb?.uncertainty ?? 0,
        -10 * Math.log10(0.05 * 0.985),
      );
    }
  });
});

/** First unused local event in each remote event's window, in exact integers. */
function naivePairs(
  remote: readonly Detection[],
  local: readonly Detection[],
  model: ClockModel,
): bigint[] {
  const resolve = (detections: readonly Detection[]): bigint[] => {
    const kept: bigint[] = [];
    for (const { timePs } of detections) {
      const last = kept.at(-1);
      if (last === undefined || timePs >= last + windowPs) kept.push(timePs);
    }
    return kept;
  };
  const used = new Set<bigint>();
  const pairs: bigint[] = [];
  const locals = resolve(local);
  let from = 0;
  for (const timePs of resolve(remote)) {
    const predicted = localFromRemote(model, timePs);
    while ((locals[from] ?? predicted) < predicted - 10_000n) from++;
    for (let at = from; at < locals.length; at++) {
      const candidate = locals[at] ?? 0n;
      const residual = predicted - candidate;
      if (residual < -(windowPs / 2n)) break;
      if (residual < (windowPs + 1n) / 2n && !used.has(candidate)) {
        used.add(candidate);
        pairs.push(candidate);
        break;
      }
    }
  }
  return pairs;
}

it("gives the lock up when the local tagger falls silent, with one loss and no flood", () => {
  const { remote, local } = drawRun(seededRandom(16), { ...run, durationS: 3 });
  const ofBob = streams(local, run.offsetPs, 5e9, 3);
  // The last block of the local stream that arrives ends at 1.2 s; its twin at the far end goes on.
  const silent = ofBob.slice(0, 240);
  const result = runBench(streams(remote, 0n, 5e9, 3), silent, settings, undefined, 3);
  const kinds = result.effects.map(({ kind }) => kind).filter((kind) => kind !== "report");
  expect(kinds).toEqual(["search", "locked", "loss", "lost"]);
  expect(result.effects.filter(({ kind }) => kind === "report")).toHaveLength(601);
});
