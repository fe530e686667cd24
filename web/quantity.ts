/** Numbers for people: SI prefixes, and the standard uncertainty in the last digits, as 12.34(5) k/s. */

/** A value with its standard uncertainty (k = 1) where one is known. */
export interface Measured {
  readonly value: number;
  readonly uncertainty?: number | null;
}

/** The parts of a formatted number, so that a page can set them in different sizes. */
export interface Quantity {
  /** Digits as shown; an en dash where there is no number. */
  readonly figure: string;
  /** The uncertainty in units of the figure's last place; null where it is not known. */
  readonly uncertainty: string | null;
  /** Unit with its prefix, such as `k/s`; empty for plain numbers. */
  readonly unit: string;
}

/** How a number is to be scaled. */
export interface QuantityStyle {
  /** Smallest and largest power of 1000 that may become a prefix: -4 (pico) to 4 (tera). */
  readonly prefixMin?: number;
  readonly prefixMax?: number;
}

const prefixes = ["p", "n", "µ", "m", "", "k", "M", "G", "T"];
const digitsWithoutUncertainty = 4;
const decimalsMax = 12;

/** Rates never take a prefix below one: a reader would take `m/s` for a speed. */
export const rateStyle: QuantityStyle = { prefixMin: 0 };
/** No prefix at all: fractions, percent, ratios. */
export const plainStyle: QuantityStyle = { prefixMin: 0, prefixMax: 0 };

/** Formats a measured value; null and non-finite values give an en dash. */
export function quantityOf(
  measured: Measured | number | null,
  unit: string,
  style: QuantityStyle = {},
): Quantity {
  const { value, uncertainty } = partsOf(measured);
  if (!Number.isFinite(value)) return { figure: "–", uncertainty: null, unit };
  const power = prefixPower(Math.max(Math.abs(value), uncertainty ?? 0), style);
  const scale = 1000 ** power;
  const scaledUnit = `${prefixes[power + 4] ?? ""}${unit}`;
  const scaled = scaleBy(value, scale);
  if (uncertainty === null || uncertainty <= 0 || !Number.isFinite(uncertainty)) {
    return { figure: withTrueMinus(plainFigure(scaled)), uncertainty: null, unit: scaledUnit };
  }
  const shown = withUncertainty(scaled, scaleBy(uncertainty, scale));
  return { ...shown, figure: withTrueMinus(shown.figure), unit: scaledUnit };
}

/** Gives the whole quantity in one line: `12.34(5) k/s`. */
export function formatQuantity(
  measured: Measured | number | null,
  unit: string,
  style: QuantityStyle = {},
): string {
  const quantity = quantityOf(measured, unit, style);
  const uncertainty = quantity.uncertainty === null ? "" : `(${quantity.uncertainty})`;
  return `${quantity.figure}${uncertainty}${quantity.unit === "" ? "" : ` ${quantity.unit}`}`;
}

/** Gives the label of an axis tick: as short as the number allows, `1.5 k/s`. */
export function formatTick(value: number, unit: string): string {
  const { figure, unit: scaledUnit } = quantityOf(value, unit, rateStyle);
  const short = figure.includes(".") ? figure.replace(/\.?0+$/, "") : figure;
  return scaledUnit === "" ? short : `${short} ${scaledUnit}`;
}

function partsOf(measured: Measured | number | null): {
  readonly value: number;
  readonly uncertainty: number | null;
} {
  if (measured === null) return { value: Number.NaN, uncertainty: null };
  if (typeof measured === "number") return { value: measured, uncertainty: null };
  return { value: measured.value, uncertainty: measured.uncertainty ?? null };
}

/** Multiplication by an exact power keeps more digits than division by an inexact one. */
const scaleBy = (value: number, scale: number): number =>
  scale >= 1 ? value / scale : value * Math.round(1 / scale);

function prefixPower(magnitude: number, { prefixMin = -4, prefixMax = 4 }: QuantityStyle): number {
  if (magnitude === 0) return Math.min(Math.max(0, prefixMin), prefixMax);
  const rounded = Number(magnitude.toPrecision(digitsWithoutUncertainty));
  const power = Math.floor(Math.floor(Math.log10(rounded) + 1e-9) / 3);
  return Math.min(Math.max(power, prefixMin, -4), prefixMax, 4);
}

function plainFigure(scaled: number): string {
  if (Number.isInteger(scaled) && Math.abs(scaled) < 1e6) return String(scaled);
  const rounded = Math.abs(Number(scaled.toPrecision(digitsWithoutUncertainty)));
  const magnitude = Math.floor(Math.log10(rounded) + 1e-9);
  const decimals = Math.max(0, digitsWithoutUncertainty - 1 - Math.max(magnitude, -4));
  return scaled.toFixed(Math.min(decimals, decimalsMax));
}

/** One digit of uncertainty, two where the first would be a 1 and one digit would be a coarse rounding. */
function withUncertainty(
  value: number,
  uncertainty: number,
): { readonly figure: string; readonly uncertainty: string } {
  const first = Math.floor(Math.log10(uncertainty));
  const digits = uncertainty / 10 ** first < 1.95 ? 2 : 1;
  const rounded = Number(uncertainty.toPrecision(digits));
  const lastPlace = Math.floor(Math.log10(rounded) + 1e-9) - (digits - 1);
  if (lastPlace < 0) {
    const decimals = Math.min(-lastPlace, decimalsMax);
    const inLastPlace = Math.max(1, Math.round(rounded * 10 ** decimals));
    return { figure: value.toFixed(decimals), uncertainty: String(inLastPlace) };
  }
  const step = 10 ** lastPlace;
  return { figure: String(Math.round(value / step) * step), uncertainty: String(rounded) };
}

const withTrueMinus = (figure: string): string =>
  /^-0(\.0*)?$/.test(figure) ? figure.slice(1) : figure.replace("-", "−");
