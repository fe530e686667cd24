import { describe, expect, it } from "vitest";
import { clopperPearson, incompleteBeta } from "../../../../stack/application/qkd/binomial.ts";
import { countOnes, unpackBits } from "../../../../stack/application/qkd/bit-string.ts";
import {
  drawTestMask,
  estimateErrorRate,
  estimateQber,
  splitByMask,
} from "../../../../stack/application/qkd/parameter-estimation.ts";
import { seededRandom } from "./seeded-lab.ts";

describe("clopperPearson", () => {
  // Closed forms: no error in n gives 1 - (alpha/2)^(1/n); the beta function of integers is a binomial sum.
  it("equals the closed form where there is one", () => {
    for (const n of [1, 10, 1_000, 10_000]) {
      const { low, high } = clopperPearson(0, n, 0.95);
      expect(low).toBe(0);
      expect(high).toBeCloseTo(1 - 0.025 ** (1 / n), 9);
      expect(clopperPearson(n, n, 0.95).low).toBeCloseTo(0.025 ** (1 / n), 9);
    }
  });

  it("has tails of exactly half the error, by summing the binomial distribution", () => {
    const tail = (n: number, p: number, from: number, to: number): number => {
      let sum = 0;
      for (let k = from; k <= to; k++) {
        let log = k * Math.log(p) + (n - k) * Math.log1p(-p);
        for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i);
        sum += Math.exp(log);
      }
      return sum;
    };
    for (const [errors, trials] of [
      [5, 10],
      [3, 20],
      [30, 1_000],
      [400, 10_000],
    ] as const) {
      const { low, high } = clopperPearson(errors, trials, 0.95);
      expect(tail(trials, low, errors, Math.min(trials, errors + 400))).toBeCloseTo(0.025, 6);
      expect(tail(trials, high, 0, errors)).toBeCloseTo(0.025, 6);
    }
  });

  it("rests on an incomplete beta function that is right at its symmetry points", () => {
    expect(incompleteBeta(3, 3, 0.5)).toBeCloseTo(0.5, 12);
    expect(incompleteBeta(1, 1, 0.3)).toBeCloseTo(0.3, 12);
    expect(incompleteBeta(2, 5, 0.2) + incompleteBeta(5, 2, 0.8)).toBeCloseTo(1, 12);
    expect(incompleteBeta(2, 3, 0)).toBe(0);
    expect(incompleteBeta(2, 3, 1)).toBe(1);
  });
});

describe("estimateErrorRate", () => {
  it("never claims certainty where no error was seen", () => {
    expect(estimateErrorRate(0, 100).uncertainty).toBeGreaterThan(0.005);
    expect(estimateErrorRate(0, 0)).toMatchObject({ value: 0, uncertainty: 0.5, low: 0, high: 1 });
  });

  it("states a standard uncertainty of sqrt(p(1 - p)/n)", () => {
    expect(estimateErrorRate(300, 10_000).uncertainty).toBeCloseTo(
      Math.sqrt((0.03 * 0.97) / 1e4),
      5,
    );
  });
});

describe("drawTestMask", () => {
  it("draws exactly as many positions as asked for, each alike", () => {
    const random = seededRandom("mask");
    const hits = new Array<number>(40).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const mask = drawTestMask(random, 40, 8);
      expect(countOnes(mask)).toBe(8);
      for (let at = 0; at < 40; at++) hits[at] = (hits[at] ?? 0) + (mask[at] ?? 0);
    }
    // Each position is hit 2,000 times, sigma 40; 40 positions at 5.5 sigma: below 2e-6.
    for (const count of hits) expect(Math.abs(count - 2_000)).toBeLessThan(220);
    expect(countOnes(drawTestMask(random, 10, 10))).toBe(10);
  });
});

describe("estimateQber", () => {
  it("counts the errors of test bits by basis, and keeps test and key bits apart", () => {
    const bases = Uint8Array.of(0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
    const alice = Uint8Array.of(0, 1, 0, 1, 1, 0, 0, 1, 1, 1);
    const bob = Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 1, 0, 1);
    const mask = Uint8Array.of(1, 1, 0, 1, 1, 1, 0, 0, 0, 1);
    const [mine, theirs] = [splitByMask(alice, mask), splitByMask(bob, mask)];
    expect([...mine.keyBits]).toEqual([0, 0, 1, 1]);
    expect([...theirs.keyBits]).toEqual([0, 0, 1, 0]);
    expect([...unpackBits(mine.testBits, 6)]).toEqual([0, 1, 1, 1, 0, 1]);
    const { overall, z, x } = estimateQber({ mask, bases }, mine.testBits, theirs.testBits);
    expect([z.errors, z.trials, x.errors, x.trials]).toEqual([1, 2, 2, 4]);
    expect(overall.value).toBe(0.5);
  });
});
