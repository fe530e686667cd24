import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { localFromRemote } from "../../../stack/physical/clock-model.ts";
import { type ClockSearchRequest, searchClock } from "../../../stack/physical/clock-search.ts";
import { drawRun, type PairRun, timesOf } from "./pair-generator.ts";

const strong: PairRun = {
  durationS: 1.05,
  remoteRateHz: 1e5,
  localRateHz: 1e5,
  coincidenceRateHz: 1e4,
  offsetPs: 350_000_001_234n,
  localDriftPpb: 800,
  remoteDriftPpb: -900,
  jitterPsRms: 40,
  tickPs: 2000,
  originPs: 500_000_000_000_000_000n,
};

function requestOf(run: PairRun, seed: number): ClockSearchRequest {
  const { remote, local } = drawRun(seededRandom(seed), run);
  const [remoteTimes, localTimes] = [timesOf(remote), timesOf(local)];
  return {
    ...{ remoteTimes, localTimes },
    localFromPs: localTimes[0] ?? 0n,
    localToPs: (localTimes.at(-1) ?? 0n) + 1n,
    remoteFromPs: remoteTimes[0] ?? 0n,
    remoteToPs: (remoteTimes.at(-1) ?? 0n) + 1n,
    labelOffsetPs: 0n,
    offsetPsMax: 1_000_000_000_000n,
    driftPpbMax: 2_000,
    falseAlarmProbability: 1e-6,
    tickPs: run.tickPs,
  };
}

/** True local time of a remote one: remote = o + t (1 + r), local = o + offset + t (1 + l). */
function expectTrueClock(run: PairRun, request: ClockSearchRequest): void {
  const result = searchClock(request);
  expect(result.found).toBe(true);
  if (!result.found) return;
  const driftPpb = (run.localDriftPpb - run.remoteDriftPpb) / (1 + run.remoteDriftPpb * 1e-9);
  expect(Math.abs(result.model.driftPpb - driftPpb)).toBeLessThan(
    6 * result.model.driftUncertaintyPpb + 0.02,
  );
  expect(result.model.driftUncertaintyPpb).toBeLessThan(1);
  const origin = run.originPs ?? 0n;
  const remotePs = request.remoteToPs;
  const trueS = Number(remotePs - origin) / (1 + run.remoteDriftPpb * 1e-9);
  const localPs =
    origin + run.offsetPs + BigInt(Math.round(trueS * (1 + run.localDriftPpb * 1e-9)));
  expect(Math.abs(Number(localFromRemote(result.model, remotePs) - localPs))).toBeLessThan(500);
  expect(Math.abs(result.coincidenceRateHz / run.coincidenceRateHz - 1)).toBeLessThan(0.15);
}

describe("the blind clock search", () => {
  it("finds 10 kcps in 2 x 100 kcps with one second of both ends, at any offset and drift", () => {
    for (const [seed, offsetPs, localDriftPpb, remoteDriftPpb] of [
      [1, 350_000_001_234n, 800, -900],
      [2, -700_000_000_777n, -1000, 1000],
      [3, 3n, 0, 0],
      [4, 820_000_500_001n, 1000, -1000],
    ] as const) {
      const run = { ...strong, offsetPs, localDriftPpb, remoteDriftPpb };
      // Real time aligns the two stretches; labels are wrong by the offset, of up to a second.
      expectTrueClock(run, requestOf(run, seed));
    }
  });

  it("finds 500 cps in 50 and 100 kcps within the longest acquisition", () => {
    const weak = { ...strong, remoteRateHz: 5e4, localRateHz: 1e5, coincidenceRateHz: 500 };
    const run = { ...weak, durationS: 4.1, localDriftPpb: 1000, remoteDriftPpb: -650 };
    expectTrueClock(run, requestOf(run, 5));
  });

  it("finds picosecond ticks as well", () => {
    const run = { ...strong, tickPs: 1 };
    expectTrueClock(run, requestOf(run, 6));
  });

  it("finds the clock when the light is switched on in the middle of the acquisition", () => {
    const request = requestOf({ ...strong, durationS: 1.2 }, 7);
    const kept = (times: BigInt64Array): BigInt64Array => {
      const onPs = (times[0] ?? 0n) + 800_000_000_000n;
      return times.filter((time, at) => time >= onPs || at % 200 === 0);
    };
    const { remoteTimes, localTimes } = request;
    const result = searchClock({
      ...request,
      ...{ remoteTimes: kept(remoteTimes), localTimes: kept(localTimes) },
    });
    expect(result.found).toBe(true);
    if (result.found) expect(Math.abs(result.model.driftPpb - 1700)).toBeLessThan(1);
  });

  it("finds the clock between losses of tags in either stream, and under light that flickers", () => {
    const request = requestOf({ ...strong, durationS: 1.2 }, 8);
    const gap = (times: BigInt64Array, fromS: number, toS: number): BigInt64Array =>
      times.filter((time) => {
        const atS = Number(time - (times[0] ?? 0n)) / 1e12;
        const isFlickeredOut = atS % 0.1 < 0.05 && atS > 0.6;
        return !(atS > fromS && atS < toS) && !isFlickeredOut;
      });
    const lossy = {
      ...request,
      remoteTimes: gap(request.remoteTimes, 0.1, 0.3),
      localTimes: gap(request.localTimes, 0.2, 0.4),
    };
    const result = searchClock(lossy);
    expect(result.found).toBe(true);
    if (result.found) expect(Math.abs(result.model.driftPpb - 1700)).toBeLessThan(1);
  });

  it("keeps its false-alarm probability under light that is switched", () => {
    // As below, with light in 30 % of the acquisition at both ends: 28 or more of 60 have a probability below 1e-6.
    let alarms = 0;
    for (let seed = 300; seed < 360; seed++) {
      const run = { ...strong, durationS: 0.1, coincidenceRateHz: 1e-9 };
      const request = { ...requestOf(run, seed), falseAlarmProbability: 0.2 };
      const lit = (times: BigInt64Array): BigInt64Array =>
        times.filter((time) => time - (times[0] ?? 0n) > 70_000_000_000n);
      const { remoteTimes, localTimes } = request;
      const switched = { remoteTimes: lit(remoteTimes), localTimes: lit(localTimes) };
      if (searchClock({ ...request, ...switched }).found) alarms++;
    }
    expect(alarms).toBeLessThan(28);
  });

  it("does not lock on uncorrelated streams", () => {
    // 12 searches at 1e-7 each: a false alarm has a probability of 1.2e-6 at most.
    for (let seed = 100; seed < 112; seed++) {
      const run = { ...strong, durationS: 0.2, coincidenceRateHz: 1e-9 };
      const request = { ...requestOf(run, seed), falseAlarmProbability: 1e-7 };
      expect(searchClock(request).found).toBe(false);
    }
  });

  it("keeps its false-alarm probability where it is large enough to count", () => {
    // At most 60 x 0.2 = 12 of 60 searches are expected; 28 or more have a probability below 1e-6.
    let alarms = 0;
    for (let seed = 200; seed < 260; seed++) {
      const run = { ...strong, durationS: 0.05, coincidenceRateHz: 1e-9 };
      const request = { ...requestOf(run, seed), falseAlarmProbability: 0.2 };
      if (searchClock(request).found) alarms++;
    }
    expect(alarms).toBeLessThan(28);
  });

  it("finds nothing in nothing", () => {
    const empty = { localTimes: new BigInt64Array(0), remoteTimes: new BigInt64Array(0) };
    expect(searchClock({ ...requestOf(strong, 1), ...empty }).found).toBe(false);
  });
});
