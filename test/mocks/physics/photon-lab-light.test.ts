import { describe, expect, it } from "vitest";
import {
  countPairs,
  countsInCells,
  expectCount,
  expectMean,
  expectNear,
  expectShare,
  labOf,
  partsOf,
  perfectDetectors,
  runLab,
} from "./lab-run.ts";

describe("rates", () => {
  it("gives as many clicks as loss in fibre and optics and efficiency leave, at each end by itself", () => {
    const lab = labOf(
      { pairRateHz: 1e6 },
      {
        fibre: { lengthKm: 10, lossDbPerKm: 0.2 },
        detectors: perfectDetectors("z", { efficiency: 0.6 }),
      },
      { fibre: { lengthKm: 4, lossDbPerKm: 0.5, insertionLossDb: 1 } },
    );
    const run = runLab(lab, { seed: 1, durationS: 1 });
    expectCount(run.all[0].length, 1e6 * 10 ** -0.2 * 0.6);
    expectCount(run.all[1].length, 1e6 * 10 ** -0.3);
    const coincidences = countPairs(run.all[0], run.all[1], -29_380_326 - 2, -29_380_326 + 3);
    expectCount(coincidences, 1e6 * 10 ** -0.5 * 0.6);
  });

  it("shares light between bases as the passive choice says, and between detectors as their efficiencies do", () => {
    const detectors = perfectDetectors("zxy").map((detector, i) => ({
      ...detector,
      efficiency: [1, 0.8, 0.6, 0.5, 0.4, 0.3][i],
    }));
    const lab = labOf(
      { pairRateHz: 1e6 },
      { basisProbabilityZ: 0.6, basisProbabilityY: 0.1, detectors },
    );
    const run = runLab(lab, { seed: 2, durationS: 2 });
    const expected = [0.6, 0.6 * 0.8, 0.3 * 0.6, 0.3 * 0.5, 0.1 * 0.4, 0.1 * 0.3];
    for (const [input, share] of expected.entries()) {
      expectCount(run.clicks[0][input]?.length ?? 0, 1e6 * share);
    }
  });

  it("loses photons whose outcome has no detector", () => {
    const lab = labOf({ pairRateHz: 1e6 }, { detectors: perfectDetectors("z").slice(1) });
    const run = runLab(lab, { seed: 3, durationS: 0.5 });
    expectCount(run.all[0].length, 2.5e5);
    expectCount(run.all[1].length, 5e5);
  });

  it("follows the pump current linearly, and at once", () => {
    for (const [pumpCurrentMa, share] of [
      [30, 1],
      [12, 0.4],
      [45, 1.5],
      [0, 0],
    ] as const) {
      for (const source of [
        { pairRateHz: 4e5 },
        { emission: "pulsed", pulsePeriodPs: 12_500, pairsPerPulse: 0.005 },
      ]) {
        const run = runLab(labOf(source), { seed: 4, durationS: 0.5, pumpCurrentMa });
        if (share === 0) expect(run.all[0].length).toBe(0);
        else expectCount(run.all[0].length, 2e5 * share);
      }
    }
  });
});

describe("pair statistics", () => {
  /** Variance over mean of counts in cells, from parts of the run. */
  const dispersions = (times: Float64Array, durationPs: number, cellPs: number): number[] => {
    const cells = Math.round(durationPs / cellPs);
    const counts = countsInCells(times, durationPs, cellPs);
    const mean = times.length / cells;
    return Array.from({ length: 100 }, (_, part) => {
      const slice = counts.slice((part * cells) / 100, ((part + 1) * cells) / 100);
      return slice.reduce((sum, count) => sum + (count - mean) ** 2, 0) / slice.length / mean;
    });
  };

  const partOf = (parts: readonly Float64Array[] | undefined, part: number): Float64Array =>
    parts?.[part] ?? new Float64Array();

  it("is Poissonian for Poisson light, continuous or pulsed", () => {
    const cellPs = 1e6;
    for (const source of [
      { pairRateHz: 2e6 },
      { emission: "pulsed", pulsePeriodPs: cellPs, pairsPerPulse: 2, pulsePsFwhm: 0 },
    ]) {
      const run = runLab(labOf(source), { seed: 5, durationS: 0.4 });
      expectCount(run.all[0].length, 8e5);
      expectMean(dispersions(run.all[0], run.durationPs, cellPs), 1);
    }
  });

  it("has the variance m + m^2 / M of thermal light in M modes, also after loss", () => {
    const cellPs = 1e6;
    for (const modes of [1, 2, 4]) {
      for (const source of [
        { pairRateHz: 4e6, coherenceTimePs: cellPs },
        { emission: "pulsed", pulsePeriodPs: cellPs, pairsPerPulse: 4, pulsePsFwhm: 0 },
      ]) {
        const lab = labOf(
          { ...source, statistics: "thermal", modes },
          { detectors: perfectDetectors("z", { efficiency: 0.5 }) },
        );
        const run = runLab(lab, { seed: 6, durationS: 0.4 });
        expectMean(countsInCells(run.all[0], run.durationPs, 4e9), 8e3);
        expectMean(dispersions(run.all[0], run.durationPs, cellPs), 1 + 2 / modes);
      }
    }
  });

  it("has the shares of pulses with n pairs of Ma, Fung and Lo for two modes", () => {
    const lambda = 0.4;
    const lab = labOf({
      emission: "pulsed",
      pulsePeriodPs: 1e6,
      pairsPerPulse: 2 * lambda,
      pulsePsFwhm: 0,
      statistics: "thermal",
      modes: 2,
    });
    const run = runLab(lab, { seed: 7, durationS: 0.4 });
    const counts = countsInCells(run.all[0], run.durationPs, 1e6);
    for (let n = 0; n < 6; n++) {
      const probability = ((n + 1) * lambda ** n) / (1 + lambda) ** (n + 2);
      expectShare(counts.filter((count) => count === n).length, 4e5, probability);
    }
  });

  it("has g2(t) = 1 + (1 - |t| / coherence time) / M for thermal light and 1 for Poisson light", () => {
    const coherenceTimePs = 1e5;
    for (const [statistics, modes] of [
      ["poisson", 1],
      ["thermal", 1],
      ["thermal", 3],
    ] as const) {
      const lab = labOf({ pairRateHz: 4e6, statistics, modes, coherenceTimePs });
      const run = runLab(lab, { seed: 8, durationS: 1 });
      const [first, second] = run.clicks[0].map((times) => partsOf(times, run.durationPs));
      for (const [from, to, overlap] of [
        // The mean of 1 - |t| / T over the bin about 0 is 1 - width / 4T.
        [-5e3, 5e3, 1 - 1e4 / 4 / coherenceTimePs],
        [45e3, 55e3, 0.5],
        [-80e3, -70e3, 0.25],
        [120e3, 130e3, 0],
      ] as const) {
        const expected = 1 + (statistics === "thermal" ? overlap / modes : 0);
        const g2 = Array.from(
          { length: 100 },
          (_, part) =>
            countPairs(partOf(first, part), partOf(second, part), from, to) /
            (2e6 * 2e6 * 1e-8 * 1e-2),
        );
        expectMean(g2, expected);
      }
    }
  });

  it("emits pulses of the given length in step with their period, also after the pump was off", () => {
    const lab = labOf({
      emission: "pulsed",
      pulsePeriodPs: 12_500,
      pairsPerPulse: 0.01,
      pulsePsFwhm: 100,
    });
    const run = runLab(lab, { seed: 9, durationS: 0.2 });
    const phases = run.all[0].map((time) => ((time + 6250) % 12_500) - 6250);
    const n = phases.length;
    const mean = phases.reduce((sum, phase) => sum + phase, 0) / n;
    const variance = phases.reduce((sum, phase) => sum + phase ** 2, 0) / n;
    const sigma = 100 / 2.354820045;
    // Times are whole ps, rounded down.
    expectNear(mean, -0.5, sigma / Math.sqrt(n));
    expectNear(variance, sigma ** 2 + 1 / 3, sigma ** 2 * Math.sqrt(2 / n));
  });
});
