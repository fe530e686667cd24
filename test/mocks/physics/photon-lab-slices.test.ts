import { describe, expect, it } from "vitest";
import { ps } from "../../../hal/units.ts";
import { expectLab } from "../../../mocks/physics/oracle.ts";
import { createPhotonLab } from "../../../mocks/physics/photon-lab.ts";
import {
  countPairs,
  countsInCells,
  expectCount,
  expectMean,
  expectNear,
  expectShare,
  intervals,
  labOf,
  partsOf,
  perfectDetectors,
  runLab,
} from "./lab-run.ts";

const realDetectors = perfectDetectors("zx", {
  efficiency: 0.7,
  darkCountRateHz: 5_000,
  jitterPsFwhm: 200,
  deadTimePs: 100_000,
  afterpulseProbability: 0.02,
  afterpulseDecayPs: 100_000,
});
const realEnd = (lengthKm: number, angleDeg: number) => ({
  basisProbabilityZ: 0.6,
  detectors: realDetectors,
  fibre: { lengthKm, insertionLossDb: 1, rotation: { axis: [0, 1, 0], angleDeg } },
});
const realLab = labOf(
  { pairRateHz: 1e6, visibilityZ: 0.96, visibilityX: 0.94 },
  realEnd(2, 10),
  realEnd(30, -5),
);

describe("time in slices", () => {
  it.each([
    ["long", [5e9]],
    ["short", [1e6, 17, 250_001, 1]],
    ["uneven", [123_456_789, 3_000_000, 9e9, 40_000]],
  ])("of %s length gives what the oracle expects, and the same", (_, slicesPs) => {
    const durationS = slicesPs[0] === 1e6 ? 0.04 : 1;
    const windowPs = 1_000;
    const run = runLab(realLab, { seed: 41, durationS, slicesPs });
    const oracle = expectLab(realLab, { windowPs });
    for (const receiver of [0, 1] as const) {
      // Light needs 147 us through the longer fibre.
      const litS = durationS - (receiver === 0 ? 10e-6 : 147e-6);
      for (const { detector, clickRateHz } of oracle.detectors[receiver]) {
        const times = run.clicks[receiver][detector.input - 1] ?? new Float64Array();
        expectNear(times.length, clickRateHz * litS, Math.sqrt(1.06 * clickRateHz * litS));
        expect(Math.min(...intervals(times).subarray(0, 50_000))).toBeGreaterThanOrEqual(100_000);
      }
      expect(intervals(run.all[receiver]).every((wait) => wait >= 0)).toBe(true);
    }
    const shift = ((1.468 * 28_000) / 299_792_458) * 1e12;
    const delayed = run.all[1].map((time) => time - shift);
    const coincidences = countPairs(run.all[0], delayed, -windowPs / 2, windowPs / 2);
    expectCount(coincidences, oracle.coincidenceRateHz * (durationS - 147e-6));
  });

  it("keeps bunching whole where a slice ends within a coherence time", () => {
    const lab = labOf({ pairRateHz: 4e6, statistics: "thermal", coherenceTimePs: 1e6 });
    const run = runLab(lab, { seed: 42, durationS: 0.04, slicesPs: [300_007] });
    const dispersion = partsOf(run.all[0], run.durationPs).map((times, part) => {
      const counts = countsInCells(
        times.map((time) => time - part * 4e8),
        4e8,
        1e6,
      );
      return counts.reduce((sum, count) => sum + (count - 4) ** 2, 0) / counts.length / 4;
    });
    expectMean(dispersion, 1 + 4);
  });

  it("is the same for the same seed and another for another", () => {
    const first = (seed: number) => runLab(realLab, { seed, durationS: 0.001 }).all[0];
    expect(first(43)).toEqual(first(43));
    expect(first(43)).not.toEqual(first(44));
  });

  it("comes in portions without gap when there are more clicks than fit one", () => {
    const detectors = perfectDetectors("z", { darkCountRateHz: 1e6 });
    const photons = createPhotonLab(labOf({ pairRateHz: 1e7 }, { detectors }), 45);
    photons.setPumpCurrent(30);
    const reached = [0n, 0n];
    let [portions, clicks] = [0, 0];
    photons.advance(ps(100_000_000_000n), ({ receiver, fromPs, toPs, timesPs }) => {
      expect(fromPs).toBe(reached[receiver]);
      reached[receiver] = toPs;
      portions++;
      clicks += timesPs.length;
      if (timesPs.length === 0) return;
      expect(timesPs[0]).toBeGreaterThanOrEqual(fromPs);
      expect(timesPs.at(-1)).toBeLessThan(toPs);
    });
    expect(reached).toEqual([100_000_000_000n, 100_000_000_000n]);
    expect(portions).toBeGreaterThan(15);
    expectNear(clicks, 1e5 * (20 + 2), Math.sqrt(1e5 * (40 + 2)));
  });
});

describe("changes while it runs", () => {
  it("light goes on and off with the pump; what is in the fibre still arrives", () => {
    const lab = labOf({ pairRateHz: 1e6 }, {}, { fibre: { lengthKm: 100, lossDbPerKm: 0 } });
    const photons = createPhotonLab(lab, 46);
    const counted = [0, 0];
    const run = (toMs: number): number[] => {
      counted.fill(0);
      photons.advance(ps(BigInt(toMs * 1e9)), (clicks) => {
        counted[clicks.receiver] = (counted[clicks.receiver] ?? 0) + clicks.timesPs.length;
      });
      return [...counted];
    };
    expect(run(100)).toEqual([0, 0]);
    photons.setPumpCurrent(15);
    const [a = 0, b = 0] = run(300);
    expectCount(a, 1e5);
    const inFibre = 5e5 * 100 * 4.896721e-6;
    expectNear(a - b, inFibre, Math.sqrt(inFibre));
    photons.setPumpCurrent(0);
    expect(run(400)).toEqual([0, a - b]);
  });

  it("time left out holds no click, and the light is as before afterwards", () => {
    for (const source of [
      { pairRateHz: 1e6 },
      { emission: "pulsed", pulsePeriodPs: 1e6, pairsPerPulse: 1, pulsePsFwhm: 0 },
      { pairRateHz: 1e6, statistics: "thermal", coherenceTimePs: 1 },
    ]) {
      const detectors = perfectDetectors("z", { darkCountRateHz: 1e5 });
      const photons = createPhotonLab(labOf(source, { detectors }), 47);
      photons.setPumpCurrent(30);
      photons.advance(ps(1_000_000_000n), () => undefined);
      photons.leaveOut(ps(500_000_000_000n));
      let [clicks, inStep] = [0, 0];
      photons.advance(ps(700_000_000_000n), ({ receiver, fromPs, timesPs }) => {
        expect(fromPs).toBeGreaterThanOrEqual(500_000_000_000n);
        if (receiver === 1) return;
        clicks += timesPs.length;
        inStep += timesPs.reduce((sum, time) => sum + Number(time % 1_000_000n === 0n), 0);
        expect(timesPs[0] ?? fromPs).toBeGreaterThanOrEqual(fromPs);
      });
      expectCount(clicks, 0.2 * 1.2e6);
      if ("emission" in source) expectShare(inStep, clicks, 1 / 1.2);
    }
  });
});

describe("the oracle", () => {
  it("agrees with the lab on coincidences, error rates and accidentals", () => {
    const run = runLab(realLab, { seed: 48, durationS: 2 });
    const windowPs = 3_000;
    const oracle = expectLab(realLab, { windowPs });
    const shift = Math.round(((1.468 * 28_000) / 299_792_458) * 1e12);
    const litS = 2 - 147e-6;
    const pairs = (a: number, b: number, centre: number): number =>
      countPairs(
        run.clicks[0][a] ?? new Float64Array(),
        run.clicks[1][b] ?? new Float64Array(),
        centre - windowPs / 2,
        centre + windowPs / 2,
      );
    let accidentals = 0;
    for (const { a, b, trueRateHz, accidentalRateHz } of oracle.coincidences) {
      expectCount(pairs(a, b, shift), (trueRateHz + accidentalRateHz) * litS);
    }
    for (let k = 1; k <= 20; k++) {
      const centre = shift + k * 2_000_000;
      accidentals += countPairs(...run.all, centre - windowPs / 2, centre + windowPs / 2);
    }
    const expectedAccidentals = oracle.coincidences.reduce(
      (sum, pair) => sum + pair.accidentalRateHz,
      0,
    );
    expectNear(
      accidentals / 20,
      expectedAccidentals * litS,
      Math.sqrt((1.2 * expectedAccidentals * litS) / 20),
    );
    for (const [basis, at] of [
      ["z", 0],
      ["x", 2],
    ] as const) {
      const equal = pairs(at, at, shift) + pairs(at + 1, at + 1, shift);
      const errors = pairs(at, at + 1, shift) + pairs(at + 1, at, shift);
      expectShare(errors, equal + errors, oracle.bases[basis]?.qber ?? 0);
      // Rotations of 10 and -5 degrees about y leave 15 degrees between the ends.
      const state = (1 - (basis === "z" ? 0.96 : 0.94) * Math.cos((15 * Math.PI) / 180)) / 2;
      expect(oracle.bases[basis]?.qber).toBeGreaterThan(state);
      expect(oracle.bases[basis]?.qber).toBeLessThan(state + 0.004);
    }
  });

  it("agrees with the lab on coincidences of bunched and of pulsed light", () => {
    for (const source of [
      { pairRateHz: 4e6, statistics: "thermal", coherenceTimePs: 100_000 },
      {
        emission: "pulsed",
        pulsePeriodPs: 250_000,
        pairsPerPulse: 1,
        statistics: "thermal",
        modes: 2,
      },
    ]) {
      const detectors = perfectDetectors("z", { efficiency: 0.2, jitterPsFwhm: 60 });
      const lab = labOf(source, { detectors }, { detectors });
      const run = runLab(lab, { seed: 49, durationS: 2 });
      const oracle = expectLab(lab, { windowPs: 2_000 });
      for (const { a, b, trueRateHz, accidentalRateHz } of oracle.coincidences) {
        const [left, right] = [
          partsOf(run.clicks[0][a] ?? new Float64Array(), 2e12),
          partsOf(run.clicks[1][b] ?? new Float64Array(), 2e12),
        ];
        const counts = left.map((times, part) =>
          countPairs(times, right[part] ?? times, -1_000, 1_000),
        );
        expectMean(counts, (trueRateHz + accidentalRateHz) * 0.02);
      }
    }
  });
});
