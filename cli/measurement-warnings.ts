/** What a reader should know before believing a figure: each warning is one sentence. */
import type { CoincidencesResult } from "../hal/tags/measurements.ts";
import { formatPs } from "../hal/units.ts";

/** Standard deviations beyond which chance is no explanation: 6e-7, two-sided. */
const sigmaMax = 5;
/** A difference of figures smaller than this part of them misleads nobody. */
const differenceMin = 0.2;
/** Pairs that must be in the displaced windows before their scatter means anything. */
const displacedPairsMin = 40;
/** Chance of seeing a peak where there is none. */
export const falseAlarmMax = 1e-6;

/** Says where the accidentals of displaced windows cannot be taken at their word. */
export function accidentalsWarnings(result: CoincidencesResult): readonly string[] {
  const { accidentals, uncorrelated, displacedCounts, spacingPs } = result;
  const pairs = displacedCounts.reduce((sum, count) => sum + count, 0);
  const expected = uncorrelated * displacedCounts.length;
  if (Math.max(pairs, expected) < displacedPairsMin) return [];
  const cure = `give --spacing a multiple of the period, which "measure delay" shows (now ${formatPs(spacingPs)})`;
  if (scatterSigma(displacedCounts) > sigmaMax) {
    const range = `${Math.min(...displacedCounts)} to ${Math.max(...displacedCounts)}`;
    return [
      `the displaced windows hold ${range} pairs, more scatter than chance: the light has structure in time, as pulses have; ${cure}`,
    ];
  }
  const difference = Math.abs(accidentals.value - uncorrelated);
  const noise = Math.hypot(accidentals.uncertainty, Math.sqrt(expected) / displacedCounts.length);
  const isLarge =
    difference > differenceMin * Math.max(uncorrelated, accidentals.value) &&
    difference > sigmaMax * noise;
  if (!isLarge) return [];
  return [
    `accidentals of ${accidentals.value.toPrecision(3)} disagree with S1*S2*w/T = ${uncorrelated.toPrecision(3)}: rates vary, or the light has structure in time; if it is pulsed, ${cure}`,
  ];
}

/**
 * Standard deviations by which counts scatter more than Poisson's: chi-squared of n - 1 degrees of freedom,
 * made normal by its cube root (Wilson and Hilferty, PNAS 17, 684 (1931)).
 */
function scatterSigma(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  if (mean === 0) return 0;
  const chiSquared = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / mean;
  const degrees = counts.length - 1;
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(chiSquared / degrees) - (1 - spread)) / Math.sqrt(spread);
}

/** Separate peaks of a histogram of time differences. */
export interface PeakCount {
  /** Peaks at least half as high as the tallest above the mean; 0 when none stands out from chance. */
  readonly peaks: number;
  /** Median distance of neighbours, ps: the period of pulsed light. Null with fewer than two peaks. */
  readonly spacingPs: bigint | null;
}

/** A histogram with fewer bins tells no peaks apart. */
const binsMin = 16;

/**
 * Counts peaks at whatever bin width shows most of them. Two tops are two peaks only if the bins between
 * fall below half of the tallest top by more than chance allows, and a top counts only if it is
 * higher than chance allows: Chernoff's bounds for Poisson variables (Mitzenmacher and Upfal,
 * "Probability and Computing", theorem 5.4), at most 1e-6 for all bins of a width together.
 */
export function countPeaks(counts: Float64Array, binPs: bigint): PeakCount {
  let most: PeakCount = { peaks: 0, spacingPs: null };
  let level = counts;
  for (let width = 1; level.length >= binsMin; width *= 2) {
    const tops = topsOf(level);
    if (tops.length > most.peaks) {
      const spacing = medianSpacing(tops);
      const spacingPs = spacing === null ? null : BigInt(Math.round(spacing * width)) * binPs;
      most = { peaks: tops.length, spacingPs };
    }
    const finer = level;
    level = Float64Array.from(
      { length: Math.floor(finer.length / 2) },
      (_, at) => (finer[2 * at] ?? 0) + (finer[2 * at + 1] ?? 0),
    );
  }
  return most;
}

/** Exponent of the bound on the chance of `count`, above or below its mean alike. */
const exponentOf = (count: number, mean: number): number =>
  count > 0 ? count * Math.log(count / mean) - count + mean : mean;

/** Bins of the separate tops of one histogram. */
function topsOf(counts: Float64Array): readonly number[] {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const half = mean + (counts.reduce((top, count) => Math.max(top, count), 0) - mean) / 2;
  const exponentMin = Math.log(counts.length / falseAlarmMax);
  const tops: number[] = [];
  let top: number | null = null;
  counts.forEach((count, bin) => {
    if (count >= half && exponentOf(count, mean) > exponentMin) {
      if (top === null || count > (counts[top] ?? 0)) top = bin;
    } else if (top !== null && count < half && exponentOf(count, half) > exponentMin) {
      tops.push(top);
      top = null;
    }
  });
  return top === null ? tops : [...tops, top];
}

function medianSpacing(tops: readonly number[]): number | null {
  const spacings = tops
    .slice(1)
    .map((top, index) => top - (tops[index] ?? 0))
    .toSorted((a, b) => a - b);
  return spacings[Math.floor(spacings.length / 2)] ?? null;
}

/** Says that the delay that was found is one of several. */
export const peaksWarnings = ({ peaks, spacingPs }: PeakCount): readonly string[] =>
  spacingPs === null
    ? []
    : [
        `${peaks} separate peaks compete, about ${formatPs(spacingPs)} apart, as with pulsed light: the delay is where most pairs pile up, and need not be the one you look for; see "measure correlation"`,
      ];

/** Gives a significance in words; beyond 10 standard deviations more say nothing. */
export const significanceText = (significance: number): string =>
  significance > 10
    ? "more than 10 standard deviations"
    : `${significance.toFixed(1)} standard deviations`;
