import { describe, expect, it } from "vitest";
import { type BellState, bellStates } from "../../../mocks/physics/polarization.ts";
import {
  countPairs,
  expectNear,
  expectShare,
  labOf,
  perfectDetectors,
  type Run,
  runLab,
} from "./lab-run.ts";

const bases = ["z", "x", "y"] as const;
const threeBases = {
  basisProbabilityZ: 1 / 3,
  basisProbabilityY: 1 / 3,
  detectors: perfectDetectors("zxy"),
};

/**
 * Correlation <ab> of two bases (0 z, 1 x, 2 y) and the number of pairs in it. Without loss and delay both photons of a pair click in
 * the same ps, and at these rates no other pair does but once in 10^6.
 */
function correlation(run: Run, basisA: number, basisB: number): { mean: number; pairs: number } {
  const count = (a: number, b: number): number =>
    countPairs(
      run.clicks[0][2 * basisA + a] ?? new Float64Array(),
      run.clicks[1][2 * basisB + b] ?? new Float64Array(),
      0,
      1,
    );
  const equal = count(0, 0) + count(1, 1);
  const pairs = equal + count(0, 1) + count(1, 0);
  return { mean: (2 * equal) / pairs - 1, pairs };
}

function expectCorrelation(run: Run, basisA: number, basisB: number, expected: number): void {
  const { mean, pairs } = correlation(run, basisA, basisB);
  // A ninth of the pairs is measured in each combination.
  expect(pairs).toBeGreaterThan(20_000);
  // The second term allows five photons of other pairs where there should be no error at all.
  expectNear(mean, expected, Math.sqrt((1 - expected ** 2) / pairs + (2 / pairs) ** 2));
}

/** <ZZ>, <XX>, <YY> of the Bell states (Nielsen, Chuang, section 2.6, from their stabilizers). */
const signs: Readonly<Record<BellState, readonly [number, number, number]>> = {
  "phi+": [1, 1, -1],
  "phi-": [1, -1, 1],
  "psi+": [-1, 1, 1],
  "psi-": [-1, -1, -1],
};

describe("correlations", () => {
  it.each(bellStates)(
    "have the signs and visibilities of %s in every basis, and none between bases",
    (bellState) => {
      const visibilities = { visibilityZ: 0.95, visibilityX: 0.9, visibilityY: 0.88 };
      const lab = labOf({ pairRateHz: 1e6, bellState, ...visibilities }, threeBases, threeBases);
      const run = runLab(lab, { seed: 21, durationS: 0.4 });
      for (const a of bases.keys()) {
        for (const b of bases.keys()) {
          const visibility = [0.95, 0.9, 0.88][a] ?? 0;
          expectCorrelation(run, a, b, a === b ? (signs[bellState][a] ?? 0) * visibility : 0);
        }
      }
      for (const column of run.clicks[0].slice(0, 6)) {
        expectShare(column.length, run.all[0].length, 1 / 6);
      }
    },
  );

  it("give an error rate of (1 - V) / 2 in each basis", () => {
    const lab = labOf(
      { pairRateHz: 1e6, visibilityZ: 0.97, visibilityX: 0.94 },
      threeBases,
      threeBases,
    );
    const run = runLab(lab, { seed: 22, durationS: 2 });
    for (const [basis, visibility] of [
      [0, 0.97],
      [1, 0.94],
      [2, 0.97 * 0.94],
    ] as const) {
      const { mean, pairs } = correlation(run, basis, basis);
      const agreement = basis === 2 ? -mean : mean;
      expectShare(((1 - agreement) / 2) * pairs, pairs, (1 - visibility) / 2);
    }
  });

  it("have visibility (4F - 1) / 3 in every basis for a Werner state", () => {
    const lab = labOf(
      { pairRateHz: 1e6, bellState: "psi-", fidelity: 0.9 },
      threeBases,
      threeBases,
    );
    const run = runLab(lab, { seed: 23, durationS: 0.4 });
    for (const basis of bases.keys()) expectCorrelation(run, basis, basis, -(4 * 0.9 - 1) / 3);
  });

  it("turn by cos and sin of the angle of a fibre's rotation, in its sense", () => {
    const angleDeg = 35;
    const cos = Math.cos((angleDeg * Math.PI) / 180);
    const sin = Math.sin((angleDeg * Math.PI) / 180);
    const turned = (axis: readonly number[]) => ({
      ...threeBases,
      fibre: { rotation: { axis, angleDeg } },
    });
    const source = { pairRateHz: 1e6 };
    // phi+ has T = diag(x 1, y -1, z 1). A right-handed turn about y takes z to x and x to -z.
    const a = runLab(labOf(source, turned([0, 1, 0]), threeBases), { seed: 24, durationS: 0.4 });
    expectCorrelation(a, 0, 0, cos);
    expectCorrelation(a, 1, 1, cos);
    expectCorrelation(a, 1, 0, sin);
    expectCorrelation(a, 0, 1, -sin);
    expectCorrelation(a, 2, 2, -1);
    const b = runLab(labOf(source, threeBases, turned([0, 2, 0])), { seed: 25, durationS: 0.4 });
    expectCorrelation(b, 0, 0, cos);
    expectCorrelation(b, 0, 1, sin);
    expectCorrelation(b, 1, 0, -sin);
    // About z, x goes to y and y to -x; about x, y goes to z and z to -y.
    const z = runLab(labOf(source, turned([0, 0, 1]), threeBases), { seed: 26, durationS: 0.4 });
    expectCorrelation(z, 0, 0, 1);
    expectCorrelation(z, 1, 1, cos);
    expectCorrelation(z, 2, 1, sin);
    expectCorrelation(z, 1, 2, sin);
    const x = runLab(labOf(source, turned([1, 0, 0]), threeBases), { seed: 27, durationS: 0.4 });
    expectCorrelation(x, 1, 1, 1);
    expectCorrelation(x, 0, 0, cos);
    expectCorrelation(x, 0, 2, -sin);
    expectCorrelation(x, 2, 0, -sin);
  });

  it("follow Malus' law: the error rate in z is sin^2 of half the Bloch angle", () => {
    for (const angleDeg of [20, 60, 90, 150]) {
      const lab = labOf(
        { pairRateHz: 1e6 },
        { fibre: { rotation: { axis: [1, 1, 0], angleDeg } } },
      );
      const run = runLab(lab, { seed: 28, durationS: 0.2 });
      const { mean, pairs } = correlation(run, 0, 0);
      expectShare(((1 - mean) / 2) * pairs, pairs, Math.sin((angleDeg * Math.PI) / 360) ** 2);
    }
  });

  it("return when both fibres turn a singlet alike", () => {
    const fibre = { rotation: { axis: [0.3, -0.5, 0.8], angleDeg: 77 } };
    const end = { ...threeBases, fibre };
    const run = runLab(labOf({ pairRateHz: 1e6, bellState: "psi-" }, end, end), {
      seed: 29,
      durationS: 0.3,
    });
    for (const basis of bases.keys()) expectCorrelation(run, basis, basis, -1);
    expectCorrelation(run, 0, 1, 0);
  });
});
