/**
 * Units. A number with a dimension carries its unit last in its name and, at public edges, in its type.
 * Time of light is an integer count of picoseconds in a bigint; time of programs is a number of
 * milliseconds. The two do not mix: neither type assigns to the other.
 */
import { LabError } from "./errors.ts";

declare const unit: unique symbol;
type Quantity<Representation, Unit extends string> = Representation & { readonly [unit]: Unit };

/** A time of light or a duration in integer picoseconds. */
export type Ps = Quantity<bigint, "ps">;
/** A time of programs (timeout, period) in milliseconds. */
export type Ms = Quantity<number, "ms">;
/** A rate in hertz. */
export type Hz = Quantity<number, "Hz">;
/** A ratio of powers in decibel; a loss is positive. */
export type Db = Quantity<number, "dB">;
/** A relative frequency deviation in parts per billion. */
export type Ppb = Quantity<number, "ppb">;

/** Brands an integer number of picoseconds. */
export const ps = (value: bigint): Ps => value as Ps;
export const ms = (value: number): Ms => value as Ms;
export const hz = (value: number): Hz => value as Hz;
export const db = (value: number): Db => value as Db;
export const ppb = (value: number): Ppb => value as Ppb;

export const psPerNs = 1_000n;
export const psPerUs = 1_000_000n;
export const psPerMs = 1_000_000_000n;
export const psPerS = 1_000_000_000_000n;

const decimalExponentByTimeUnit: ReadonlyMap<string, number> = new Map([
  ["ps", 0],
  ["ns", 3],
  ["us", 6],
  ["µs", 6],
  ["ms", 9],
  ["s", 12],
]);

/**
 * Parses a duration such as `16ps`, `-23.94ns`, `1.5 us` or `60s` into picoseconds, exactly.
 * @throws LabError `units.malformed` when it is no number with a time unit, `units.inexact` when it is
 * no whole number of picoseconds.
 */
export function parsePs(text: string): Ps {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?\s*(ps|ns|us|µs|ms|s)$/.exec(text.trim());
  if (match === null) {
    throw new LabError(
      "units.malformed",
      `"${text}" is not a duration: write a number and a unit, such as 16ps, 23.94ns, 5us, 20ms or 60s`,
    );
  }
  const [, sign, whole = "0", fraction = "", timeUnit = "ps"] = match;
  const exponent = decimalExponentByTimeUnit.get(timeUnit) ?? 0;
  const kept = fraction.slice(0, exponent).padEnd(exponent, "0");
  if (/[1-9]/.test(fraction.slice(exponent))) {
    throw new LabError(
      "units.inexact",
      `"${text}" is finer than one picosecond, the unit of time tags`,
    );
  }
  const magnitude = BigInt(whole) * 10n ** BigInt(exponent) + BigInt(kept === "" ? "0" : kept);
  return ps(sign === "-" ? -magnitude : magnitude);
}

/** Formats picoseconds with the largest unit that keeps the figure at 1 or above, exactly: `23.94 ns`. */
export function formatPs(value: bigint): string {
  const magnitude = value < 0n ? -value : value;
  const steps: readonly (readonly [string, bigint, number])[] = [
    ["s", psPerS, 12],
    ["ms", psPerMs, 9],
    ["us", psPerUs, 6],
    ["ns", psPerNs, 3],
  ];
  for (const [name, size, digits] of steps) {
    if (magnitude >= size) {
      const fraction = (magnitude % size).toString().padStart(digits, "0").replace(/0+$/, "");
      const figure = `${magnitude / size}${fraction === "" ? "" : `.${fraction}`}`;
      return `${value < 0n ? "-" : ""}${figure} ${name}`;
    }
  }
  return `${value} ps`;
}

/** Converts picoseconds to seconds as a double; for rates and axes, not for times that are compared. */
export const roundToS = (value: bigint): number => Number(value) / 1e12;

/** Converts a program's milliseconds to picoseconds, rounded to the nearest. */
export const roundMsToPs = (value: number): Ps => ps(BigInt(Math.round(value * 1e6)) * 1_000n);

/** Converts a loss in decibel to the transmitted fraction, 0..1. */
export const transmissionFromDb = (lossDb: number): number => 10 ** (-lossDb / 10);

/** Converts a full width at half maximum of a Gaussian to its standard deviation. */
export const rmsFromFwhm = (fwhm: number): number => fwhm / (2 * Math.sqrt(2 * Math.LN2));
