import { describe, expect, it } from "vitest";
import { ps } from "../../../hal/units.ts";
import { createPhotonLab } from "../../../mocks/physics/photon-lab.ts";
import { createTaggerClock } from "../../../mocks/physics/tagger-clock.ts";
import {
  countPairs,
  countsInCells,
  expectCount,
  expectMean,
  expectNear,
  expectShare,
  intervals,
  labOf,
  perfectDetectors,
  runLab,
} from "./lab-run.ts";

const column = (columns: readonly Float64Array[], input: number): Float64Array =>
  columns[input] ?? new Float64Array();
const meanOf = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const varianceOf = (values: Float64Array): number => {
  const mean = meanOf(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
};
/** Times of B minus those of A, pair by pair: without loss and at rates far below 1 / jitter, the k-th clicks belong together. */
const differences = (a: Float64Array, b: Float64Array): Float64Array =>
  Float64Array.from({ length: Math.min(a.length, b.length) }, (_, i) => (b[i] ?? 0) - (a[i] ?? 0));

describe("dark counts", () => {
  it("come at each detector's own rate, in the dark too, independent and exponential", () => {
    const detectors = perfectDetectors("zx").map((detector, i) => ({
      ...detector,
      darkCountRateHz: [5e5, 1e5, 0, 2e5][i],
    }));
    const run = runLab(labOf({ pairRateHz: 1e6 }, { detectors }), {
      seed: 31,
      durationS: 2,
      pumpCurrentMa: 0,
    });
    for (const [input, rateHz] of [5e5, 1e5, 0, 2e5].entries()) {
      const times = column(run.clicks[0], input);
      if (rateHz === 0) {
        expect(times.length).toBe(0);
        continue;
      }
      expectCount(times.length, 2 * rateHz);
      // The waiting times of a Poisson process have variance 1 / rate^2; the variance's own relative error is sqrt(8 / n).
      const waits = intervals(times);
      expectNear(varianceOf(waits) * (rateHz / 1e12) ** 2, 1, Math.sqrt(8 / waits.length));
    }
    expect(run.all[1].length).toBe(0);
  });
});

describe("jitter", () => {
  it("is Gaussian with the given FWHM at each detector", () => {
    const lab = labOf(
      { pairRateHz: 5e4 },
      { detectors: perfectDetectors("z", { jitterPsFwhm: 60 }) },
      { detectors: perfectDetectors("z", { jitterPsFwhm: 100 }) },
    );
    const run = runLab(lab, { seed: 32, durationS: 4 });
    const spread = differences(run.all[0], run.all[1]);
    const n = spread.length;
    const variance = (60 ** 2 + 100 ** 2) / (8 * Math.LN2);
    expectNear(meanOf(spread), 0, Math.sqrt(variance / n));
    // Each time is rounded to a ps.
    expectNear(varianceOf(spread), variance + 2 / 12, variance * Math.sqrt(2 / n));
    const within = spread.filter((value) => Math.abs(value) < Math.hypot(60, 100) / 2).length;
    // Within half a FWHM of the middle lies erf(sqrt(ln 2)) = 0.7609681 of a Gaussian.
    expect(Math.abs(within / n - 0.7609681)).toBeLessThan(5 * Math.sqrt(0.182 / n) + 0.004);
  });

  it("of 60 ps is resolved by a tick of 1 ps and hidden by one of 2 ns", () => {
    const spreadOf = (jitterPsFwhm: number, tickPs: number): number => {
      const detectors = perfectDetectors("z", { jitterPsFwhm });
      const photons = createPhotonLab(labOf({ pairRateHz: 1e5 }, { detectors }, { detectors }), 33);
      photons.setPumpCurrent(30);
      const times: BigInt64Array[][] = [[], []];
      photons.advance(ps(1_000_000_000_000n), (clicks) =>
        times[clicks.receiver]?.push(clicks.timesPs.slice()),
      );
      // The second clock drifts away by 5 us in the run: its phase to the first is uniform over many ticks.
      const ticksOf = (receiver: number, driftPpb: number): number[] => {
        const clock = createTaggerClock({ offsetPs: 0, driftPpb, tickPs });
        return (times[receiver] ?? []).flatMap((portion) =>
          [...clock.ticksAt(portion)].map(
            (tick, i) => tickPs * Number(tick) - (1 + driftPpb / 1e9) * Number(portion[i]),
          ),
        );
      };
      const trueTimes = (receiver: number) =>
        (times[receiver] ?? []).flatMap((portion) => [...portion].map(Number));
      const [stampA, stampB, trueA, trueB] = [
        ticksOf(0, 0),
        ticksOf(1, 5000),
        trueTimes(0),
        trueTimes(1),
      ];
      return varianceOf(
        Float64Array.from(
          stampA,
          (error, i) => (stampB[i] ?? 0) - error + (trueB[i] ?? 0) - (trueA[i] ?? 0),
        ),
      );
    };
    const jitterVariance = (2 * 60 ** 2) / (8 * Math.LN2);
    expectNear(
      spreadOf(60, 1),
      jitterVariance + 2 / 12 + 2 / 12,
      jitterVariance * Math.sqrt(2 / 1e5),
    );
    // Two stamps of unrelated phase differ by a triangle of variance tick^2 / 6; its fourth moment is tick^4 / 15.
    const error = 2000 ** 2 * Math.sqrt((1 / 15 - 1 / 36) / 1e5);
    for (const jitterPsFwhm of [0, 60])
      expectNear(spreadOf(jitterPsFwhm, 2000), 2000 ** 2 / 6, error);
  });
});

describe("dead time", () => {
  it.each([
    ["dark counts", 0, 2e6],
    ["light", 2e6, 0],
  ])(
    "leaves R / (1 + R tau) of %s and no interval below tau",
    (_, photonRateHz, darkCountRateHz) => {
      const deadTimePs = 400_000;
      const lab = labOf(
        { pairRateHz: 2 * photonRateHz },
        { detectors: perfectDetectors("z", { deadTimePs, darkCountRateHz, jitterPsFwhm: 300 }) },
      );
      const run = runLab(lab, { seed: 34, durationS: 0.5 });
      for (const input of [0, 1]) {
        const times = column(run.clicks[0], input);
        const waits = intervals(times);
        // Of 100,000 waits about 50 are expected to be so short.
        expect(Math.min(...waits.subarray(0, 100_000))).toBeLessThan(deadTimePs + 250);
        expect(waits.every((wait) => wait >= deadTimePs)).toBe(true);
        const clicksInPart = (2e6 / (1 + 2e6 * 4e-7)) * 5e-3;
        expectMean(countsInCells(times, run.durationPs, 5e9), clicksInPart);
        // After the dead time the wait is exponential with mean 1 / R.
        const idle = meanOf(waits) - deadTimePs;
        expectNear(idle, 5e5, 5e5 / Math.sqrt(waits.length));
      }
    },
  );

  it("of one detector does not touch the others", () => {
    const detectors = perfectDetectors("z").map((detector, i) => ({
      ...detector,
      darkCountRateHz: 1e6,
      deadTimePs: i * 1e6,
    }));
    const run = runLab(labOf({ pairRateHz: 0 }, { detectors }), { seed: 35, durationS: 0.5 });
    expectCount(column(run.clicks[0], 0).length, 5e5);
    expectNear(column(run.clicks[0], 1).length, 2.5e5, Math.sqrt(2.5e5 / 4));
  });
});

describe("afterpulses", () => {
  const run = (overrides: object) =>
    runLab(
      labOf(
        { pairRateHz: 0 },
        {
          detectors: perfectDetectors("z", {
            darkCountRateHz: 1e5,
            afterpulseProbability: 0.1,
            afterpulseDecayPs: 100_000,
            ...overrides,
          }),
        },
      ),
      { seed: 36, durationS: 10 },
    );

  it("follow a share p of the clicks, with the given decay, in the same detector", () => {
    const { clicks } = run({});
    const [times, others] = [column(clicks[0], 0), column(clicks[0], 1)];
    // Photon and dark clicks are Poissonian and each breeds 0 or 1: variance 1 + 3 p for a count of mean R (1 + p).
    expectNear(times.length, 1e6 * 1.1, Math.sqrt(1e6 * 1.3));
    // Excess of pairs over R^2 t, in the first decay time and in the second.
    const excess = (from: number, to: number, second: Float64Array) =>
      countPairs(times, second, from, to) - (times.length * second.length * (to - from)) / 1e13;
    const p = (from: number, to: number) => Math.exp(-from / 1e5) - Math.exp(-to / 1e5);
    for (const [from, to] of [
      [1, 30_000],
      [30_000, 100_000],
      [100_000, 200_000],
      [200_000, 400_000],
    ] as const) {
      const mean = 1e6 * 0.1 * p(from, to);
      const accidentals = (times.length * times.length * (to - from)) / 1e13;
      expectNear(excess(from, to, times), mean, Math.sqrt(mean + 1.5 * accidentals));
    }
    expectNear(excess(1, 300_000, others), 0, Math.sqrt(1.5 * 1.1e6 * 1.1e6 * 3e-8));
  });

  it("that come within the dead time are lost", () => {
    const deadTimePs = 50_000;
    const times = column(run({ deadTimePs }).clicks[0], 0);
    expect(intervals(times).every((wait) => wait >= deadTimePs)).toBe(true);
    const live = 1 - 1e5 * 5e-8 * 1.06;
    const primary = 1e6 * live;
    expectNear(times.length, primary * (1 + 0.1 * Math.exp(-0.5) * live), Math.sqrt(1e6 * 1.2));
    const after = intervals(times).filter((wait) => wait < 500_000).length;
    // The next click within 500 ns: an afterpulse, or else another.
    const bred = 0.1 * (Math.exp(-0.5) - Math.exp(-5));
    const others = 1 - Math.exp(-1e5 * 4.5e-7);
    const afterEither = primary / times.length;
    expectShare(
      after,
      times.length,
      afterEither * (bred + others - bred * others) + (1 - afterEither) * others,
    );
  });
});

describe("delay", () => {
  it("is 1.468 times length over the speed of light, at the end that has the fibre", () => {
    const detectors = perfectDetectors("z", { jitterPsFwhm: 60 });
    const lab = labOf(
      { pairRateHz: 1e4 },
      { detectors, fibre: { lengthKm: 2, lossDbPerKm: 0 } },
      { detectors, fibre: { lengthKm: 5, lossDbPerKm: 0 } },
    );
    const run = runLab(lab, { seed: 37, durationS: 4 });
    const late = differences(run.all[0], run.all[1]);
    const delayPs = (1.468 * 3000 * 1e12) / 299_792_458;
    // Each delay is rounded to a ps.
    expect(Math.abs(meanOf(late) - delayPs)).toBeLessThan(1 + 5 * Math.sqrt(1300 / late.length));
    expect(run.all[0][0]).toBeGreaterThan((1.468 * 2000 * 1e12) / 299_792_458 - 300);
  });
});
