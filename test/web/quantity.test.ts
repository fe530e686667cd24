import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatQuantity,
  formatTick,
  plainStyle,
  quantityOf,
  rateStyle,
} from "../../web/quantity.ts";
import { toneFrequencyHz } from "../../web/tone.ts";
import { createTrend, trendPointsMax } from "../../web/trend.ts";

const vectors: readonly (readonly [number, number | null, string])[] = [
  [12_340, 50, "12.34(5) k/s"],
  [12_340, 111, "12.34(11) k/s"],
  [523, 30, "520(30) /s"],
  [523, 3.2, "523(3) /s"],
  [0, 3, "0(3) /s"],
  [0.351, 0.02, "0.35(2) /s"],
  [999.96, null, "1.000 k/s"],
  [1_234_567, 996, "1.235(1) M/s"],
  [7, null, "7 /s"],
  [0, null, "0 /s"],
  [Number.NaN, 1, "– /s"],
];

describe("a quantity", () => {
  test.each(vectors)("of %d with uncertainty %d reads %s", (value, uncertainty, text) => {
    expect(formatQuantity({ value, uncertainty }, "/s", rateStyle)).toBe(text);
  });
  test("keeps every digit of a clock offset", () => {
    const offset = { value: 350_012_345_678e-12, uncertainty: 15e-12 };
    expect(formatQuantity(offset, "s")).toBe("350.012345678(15) ms");
    expect(formatQuantity({ value: -offset.value, uncertainty: 15e-12 }, "s")).toMatch(/^−350/);
  });
  test("of a fraction or a percentage has no prefix", () => {
    expect(formatQuantity({ value: 0.0123, uncertainty: 0.0004 }, "", plainStyle)).toBe(
      "0.0123(4)",
    );
    expect(formatQuantity({ value: 1.83, uncertainty: 0.05 }, "%", plainStyle)).toBe("1.83(5) %");
  });
  test("that is unknown is a dash", () => {
    expect(quantityOf(null, "/s")).toEqual({ figure: "–", uncertainty: null, unit: "/s" });
  });
  test("reads back within half its last place", () => {
    const cases = fc.tuple(
      fc.double({ min: 1e-3, max: 1e12, noNaN: true }),
      fc.double({ min: 1e-4, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(cases, ([value, relative]) => {
        const uncertainty = value * relative;
        const { figure, unit } = quantityOf({ value, uncertainty }, "/s", rateStyle);
        const scale = 1000 ** Math.max(0, "/kMGT".indexOf(unit.at(0) ?? ""));
        expect(Math.abs(Number(figure) * scale - value)).toBeLessThanOrEqual(0.51 * uncertainty);
      }),
    );
  });
  test("on an axis is as short as can be", () => {
    expect(formatTick(1_500, "b/s")).toBe("1.5 kb/s");
    expect(formatTick(2_000, "")).toBe("2 k");
    expect(formatTick(100, "")).toBe("100");
  });
});

describe("the tone", () => {
  test("rises with the rate by one octave a decade, within what ears and loudspeakers do", () => {
    expect(toneFrequencyHz(0)).toBe(110);
    expect(toneFrequencyHz(1_000)).toBeCloseTo(880, 9);
    expect(toneFrequencyHz(11_000) / toneFrequencyHz(10_000)).toBeCloseTo(2 ** Math.log10(1.1), 9);
    expect(toneFrequencyHz(1e12)).toBe(3_520);
  });
});

describe("a trend", () => {
  test("keeps the newest points and no more", () => {
    const trend = createTrend(2);
    for (let step = 0; step < trendPointsMax + 5; step += 1) trend.add(step, [step * 2]);
    const [times, first, second] = trend.columns();
    expect([times.length, times[0], first?.[0], second?.[0]]).toEqual([
      trendPointsMax,
      5,
      10,
      null,
    ]);
  });
});
