import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  formatPs,
  type Ms,
  type Ps,
  parsePs,
  ps,
  rmsFromFwhm,
  roundMsToPs,
  transmissionFromDb,
} from "../../hal/units.ts";

describe("durations", () => {
  it.each([
    ["16ps", 16n],
    ["-23.94ns", -23_940n],
    ["+1.5 us", 1_500_000n],
    ["2µs", 2_000_000n],
    ["20ms", 20_000_000_000n],
    ["0.000000000001s", 1n],
    ["1.230ns", 1_230n],
  ])("parses %s exactly", (text, expected) => {
    expect(parsePs(text)).toBe(expected);
  });

  it.each(["", "16", "ns", "1e3ns", "1.ns", "1 h", "1,5ns"])("refuses %j as malformed", (text) => {
    expect(() => parsePs(text)).toThrow(expect.objectContaining({ code: "units.malformed" }));
  });

  it.each(["0.5ps", "1.0001ns"])("refuses %s, finer than a picosecond", (text) => {
    expect(() => parsePs(text)).toThrow(expect.objectContaining({ code: "units.inexact" }));
  });

  it("are parsed back from how they are formatted, whatever their size", () => {
    const any = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n });
    fc.assert(
      fc.property(any, (value) => parsePs(formatPs(value)) === value),
      { seed: 1 },
    );
    expect(formatPs(-23_940n)).toBe("-23.94 ns");
    expect(formatPs(0n)).toBe("0 ps");
  });

  it("of light and of programs do not mix", () => {
    expectTypeOf<Ps>().not.toExtend<Ms>();
    expectTypeOf<Ms>().not.toExtend<Ps>();
    expectTypeOf<bigint>().not.toExtend<Ps>();
    expect(roundMsToPs(0.0000015)).toBe(ps(2_000n));
  });
});

describe("conversions", () => {
  it("give the closed forms", () => {
    expect(transmissionFromDb(10)).toBeCloseTo(0.1, 15);
    expect(transmissionFromDb(0)).toBe(1);
    // FWHM of a Gaussian of unit standard deviation: 2 sqrt(2 ln 2) = 2.354820045...
    expect(rmsFromFwhm(2.3548200450309493)).toBeCloseTo(1, 14);
  });
});
