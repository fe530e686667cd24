import { describe, expect, it } from "vitest";
import {
  binaryEntropy,
  sampleError,
  secretEntropy,
  secretLength,
  secretLengthTomamichel2012,
  toleranceGrid,
} from "../../../../stack/application/qkd/finite-key.ts";

/** Length of Lim et al. 2021 with f = 1.19, eps = 10^-s, eps_kv = 10^-(s+2), for a fraction beta tested. */
function limLength(m: number, tolerance: number, s: number, beta: number): number {
  const counts = { siftedBits: m, testBits: beta * m, tolerance };
  const n = m - beta * m;
  const verificationError = 10 ** -(s + 2);
  const { bits } = secretEntropy(counts, 10 ** -s - verificationError);
  return bits - 1.19 * n * binaryEntropy(tolerance) + Math.log2(verificationError);
}

function best(run: (beta: number) => number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let beta = 0.02; beta <= 0.6; beta += 0.004) most = Math.max(most, run(beta));
  return most;
}

describe("sampleError", () => {
  it("is that of the paper's formula, worked out by hand", () => {
    // m 100, k 40, n 60: sqrt(exp(-80/61) + exp(-2 (1/16 + 1/86) (36 - 1))).
    const counts = { siftedBits: 100, testBits: 40, tolerance: 0.05 };
    expect(sampleError(counts, 0.2, 0.1)).toBeCloseTo(
      Math.sqrt(Math.exp(-80 / 61) + Math.exp(-70 * (1 / 16 + 1 / 86))),
      12,
    );
  });
});

describe("secretEntropy", () => {
  // Optimised lengths of the bound computed independently (numpy and scipy, three free parameters).
  it.each([
    [6, 0.0455, 3_500, 48],
    [6, 0.0455, 5_000, 224],
    [6, 0.0455, 10_000, 1_005],
    [6, 0.0455, 30_000, 5_297],
    [6, 0.0455, 100_000, 24_336],
    [10, 0.0455, 5_000, 16.7],
    [10, 0.0455, 10_000, 629],
    [10, 0.0455, 100_000, 21_853],
    [10, 0.02, 3_000, 169],
    [10, 0.02, 10_000, 2_098],
    [10, 0.02, 100_000, 42_405],
    [10, 0.02, 1_000_000, 553_177],
    [10, 0.01, 3_000, 339],
    [10, 0.01, 10_000, 2_840],
    [10, 0.01, 100_000, 52_208],
    [10, 0.01, 1_000_000, 666_149],
  ])("gives the golden length at s %i, delta %f, m %i", (s, delta, m, golden) => {
    const length = best((beta) => limLength(m, delta, s, beta));
    expect(length).toBeGreaterThan(golden - 1 - 0.002 * golden);
    expect(length).toBeLessThan(golden + 1 + 0.002 * golden);
  });

  it("gives the published key rate of the notebook's figure at m = 7900: ln(l/m) = -2.50", () => {
    expect(Math.log(best((beta) => limLength(7_900, 0.0455, 6, beta)) / 7_900)).toBeCloseTo(
      -2.5,
      2,
    );
  });

  it("finds parameters that no point of a grid beats", () => {
    const counts = { siftedBits: 20_000, testBits: 4_000, tolerance: 0.03 };
    const found = secretEntropy(counts, 1e-9);
    expect(2 * found.sampleError + found.amplificationError).toBeCloseTo(1e-9, 20);
    expect(found.xi).toBeGreaterThan(0);
    expect(found.xi).toBeLessThan(found.nu);
    for (let error = 1e-12; error < 1e-9; error *= 1.5) {
      expect(secretEntropy(counts, error).bits).toBeLessThan(found.bits);
    }
  });
});

describe("secretLengthTomamichel2012", () => {
  it.each([
    [1e4, 0.01, 0.2661],
    [1e4, 0.025, 0.1635],
    [1e4, 0.05, 0.0321],
    [1e5, 0.01, 0.5192],
    [1e5, 0.025, 0.3845],
    [1e5, 0.05, 0.2008],
    [1e6, 0.01, 0.6699],
    [1e6, 0.025, 0.5137],
    [1e6, 0.05, 0.2997],
  ])("gives the golden rate at m %f, Q %f", (m, tolerance, golden) => {
    const rate =
      best((beta) => {
        const testBits = beta * m;
        const leakBits = 1.1 * (m - testBits) * binaryEntropy(tolerance);
        return secretLengthTomamichel2012(
          { siftedBits: m, testBits, tolerance },
          { leakBits, securityError: 1e-10, correctnessError: 1e-15 },
        );
      }) / m;
    expect(Math.abs(rate - golden)).toBeLessThan(2e-4);
  });
});

describe("secretLength", () => {
  const block = {
    siftedBits: 50_000,
    testBits: 10_000,
    testErrors: 200,
    qberMax: 0.09,
    leakBits: 6_000,
    tagBits: 40,
    securityError: 1e-9,
    correctnessError: 1e-12,
  };

  it("judges a block by the next tolerated rate, whose place in the grid is fixed by the settings", () => {
    expect(toleranceGrid(0.09)).toHaveLength(36);
    expect(toleranceGrid(0.0913).at(-1)).toBe(0.0913);
    expect(secretLength(block).promise.tolerance).toBeCloseTo(0.02, 12);
    expect(secretLength({ ...block, testErrors: 201 }).promise.tolerance).toBeCloseTo(0.0225, 12);
  });

  it("takes every leaked bit off the key, one for one", () => {
    const { bits } = secretLength(block);
    expect(bits).toBeGreaterThan(0);
    expect(secretLength({ ...block, leakBits: 7_000 }).bits).toBeCloseTo(bits - 1_000, 6);
    expect(secretLength({ ...block, tagBits: 50 }).bits).toBeCloseTo(bits - 10, 6);
  });

  it("stays below the fixed-tolerance bound by the price of the grid and the leak count", () => {
    const counts = { siftedBits: 50_000, testBits: 10_000, tolerance: 0.02 };
    const fixed = secretEntropy(counts, 1e-9).bits - 6_000 - 40;
    const { bits } = secretLength(block);
    expect(fixed - bits).toBeGreaterThan(2 * Math.log2(40_001 * 36));
    expect(fixed - bits).toBeLessThan(0.02 * 50_000);
    // The grid's share of the error, and n + 1 = 40,001 values of the leakage that share eps_pa.
    const shared = secretEntropy(counts, 1e-9 / 36).bits - 6_000 - 40;
    expect(shared - bits).toBeCloseTo(2 * Math.log2(40_001), 6);
  });

  it("is zero, never negative, where the bound is not positive", () => {
    expect(secretLength({ ...block, leakBits: 40_000 }).bits).toBe(0);
    expect(secretLength({ ...block, testErrors: 1_000, siftedBits: 11_000 }).bits).toBe(0);
    expect(secretLength({ ...block, testErrors: 901 }).bits).toBe(0);
    expect(secretLength({ ...block, testBits: 0, testErrors: 0 }).bits).toBe(0);
  });

  it("says what it rests on, and that the channel is not authenticated", () => {
    const { assumptions } = secretLength(block).promise;
    expect(assumptions.some((line) => /NOT PROVIDED.*authenticated/.test(line))).toBe(true);
    for (const what of ["probability 1/2", "detection times", "bases are announced while"]) {
      expect(assumptions.some((line) => line.includes(what))).toBe(true);
    }
  });
});
