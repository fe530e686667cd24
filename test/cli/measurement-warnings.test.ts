import { describe, expect, test } from "vitest";
import { accidentalsWarnings, countPeaks } from "../../cli/measurement-warnings.ts";
import type { CoincidencesResult } from "../../hal/tags/measurements.ts";
import { seededRandom } from "../../mocks/seeded-random.ts";

/** Knuth's product of uniforms; good for means up to some hundred. */
function poisson(mean: number, uniform: () => number): number {
  let [count, product] = [0, uniform()];
  while (product > Math.exp(-mean)) {
    product *= uniform();
    count++;
  }
  return count;
}

const resultOf = (displacedCounts: readonly number[], uncorrelated: number): CoincidencesResult => {
  const value = displacedCounts.reduce((sum, count) => sum + count, 0) / displacedCounts.length;
  const uncertainty = Math.sqrt(value / displacedCounts.length);
  return {
    ...{ kind: "coincidences", channels: [0, 1], windowPs: 1_000n, coincidences: 0 },
    ...{ accidentals: { value, uncertainty }, displacedCounts, spacingPs: 10_000n, uncorrelated },
    ...{ car: null, coincidenceRateHz: null, accidentalRateHz: null },
  };
};

describe("accidentals", () => {
  test("of steady light raise no warning, whatever their number", () => {
    const random = seededRandom(11);
    for (const mean of [0.01, 0.3, 2, 40, 300]) {
      for (let run = 0; run < 100; run++) {
        const counts = Array.from({ length: 20 }, () => poisson(mean, () => random.uniform()));
        expect(accidentalsWarnings(resultOf(counts, mean))).toEqual([]);
      }
    }
  });
  test("that scatter more than chance are called so", () => {
    const counts = Array.from({ length: 20 }, (_, index) => (index % 5 === 0 ? 400 : 3));
    expect(accidentalsWarnings(resultOf(counts, 36))).toEqual([
      expect.stringMatching(/^the displaced windows hold 3 to 400 pairs/),
    ]);
  });
  test("that miss every pulse disagree with the product of the singles", () => {
    expect(
      accidentalsWarnings(
        resultOf(
          Array.from({ length: 20 }, () => 0),
          36,
        ),
      ),
    ).toEqual([expect.stringContaining("disagree with S1*S2*w/T = 36.0")]);
  });
});

describe("peaks of a histogram", () => {
  const histogram = (meanAt: (bin: number) => number): Float64Array => {
    const random = seededRandom(5);
    return Float64Array.from({ length: 4_096 }, (_, bin) =>
      poisson(meanAt(bin), () => random.uniform()),
    );
  };
  const gauss = (bin: number, middle: number, rms: number): number =>
    Math.exp(-((bin - middle) ** 2) / (2 * rms ** 2));

  test("there is none in uncorrelated light", () => {
    expect(
      countPeaks(
        histogram(() => 3),
        10n,
      ),
    ).toEqual({ peaks: 0, spacingPs: null });
  });
  test.each([2, 20, 200])("one of %d bins rms is one, noise on its slopes included", (rms) => {
    const counts = histogram((bin) => 1 + 40 * gauss(bin, 1_800, rms));
    expect(countPeaks(counts, 10n)).toEqual({ peaks: 1, spacingPs: null });
  });
  test("a comb is counted, and its spacing is its period", () => {
    const counts = histogram((bin) => 0.5 + 60 * gauss((bin + 60) % 120, 60, 6));
    const { peaks, spacingPs } = countPeaks(counts, 10n);
    expect(peaks).toBeGreaterThanOrEqual(34);
    expect(peaks).toBeLessThanOrEqual(35);
    expect(Number(spacingPs)).toBeGreaterThan(1_170);
    expect(Number(spacingPs)).toBeLessThan(1_230);
  });
});
