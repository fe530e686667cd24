/**
 * The most significant peak of a histogram of time differences, at whatever width it stands out most.
 *
 * Windows of 2, 4, 8 ... bins, overlapping by half, are compared with the flat background. The chance of n
 * or more counts where m are expected is at most exp(-D), D = n ln(n/m) - n + m (Chernoff's bound for
 * Poisson variables; Mitzenmacher and Upfal, "Probability and Computing", theorem 5.4); it holds for
 * small and large counts alike. sqrt(2 D) is the equivalent in standard deviations.
 */
import type { DelayResult } from "./measurements.ts";

type Peak = NonNullable<DelayResult["found"]>;

interface Window {
  /** First bin and number of bins, in the finest bins. */
  readonly from: number;
  readonly bins: number;
  readonly count: number;
  readonly background: number;
  readonly exponent: number;
}

/** A window wider than this part of the histogram is no peak. */
const windowsMin = 8;

const exponentOf = (count: number, background: number): number =>
  count > background ? count * Math.log(count / background) - count + background : 0;

/** Expected counts in `bins` of `totalBins` bins if the window in question held none of the excess. */
function backgroundOf(total: number, count: number, bins: number, totalBins: number): number {
  const outside = ((total - count) * bins) / (totalBins - bins);
  // Without any count outside, half a count is the honest guess of how many there might be.
  return Math.max(outside, (0.5 * bins) / totalBins);
}

/** The best of the windows of two bins of one level, each `width` of the finest bins wide. */
function bestOfLevel(
  level: Float64Array,
  width: number,
  total: number,
  bins: number,
): Window | null {
  let best: Window | null = null;
  for (let at = 0; at + 1 < level.length; at++) {
    const count = (level[at] ?? 0) + (level[at + 1] ?? 0);
    if (count === 0) continue;
    const background = backgroundOf(total, count, 2 * width, bins);
    const exponent = exponentOf(count, background);
    if (best === null || exponent > best.exponent) {
      best = { from: at * width, bins: 2 * width, count, background, exponent };
    }
  }
  return best;
}

function halve(level: Float64Array): Float64Array {
  return Float64Array.from(
    { length: Math.floor(level.length / 2) },
    (_, at) => (level[2 * at] ?? 0) + (level[2 * at + 1] ?? 0),
  );
}

function bestWindow(counts: Float64Array, total: number): { best: Window | null; trials: number } {
  let best: Window | null = null;
  let trials = 0;
  let level = counts;
  for (let width = 1; level.length >= windowsMin; width *= 2) {
    const found = bestOfLevel(level, width, total, counts.length);
    if (found !== null && (best === null || found.exponent > best.exponent)) best = found;
    trials += level.length - 1;
    level = halve(level);
  }
  return { best, trials };
}

/** Mean and standard error of the peak's position, in bins, background taken off. */
function centroid(counts: Float64Array, window: Window): { mean: number; error: number } {
  const perBin = window.background / window.bins;
  let [weight, moment, square] = [0, 0, 0];
  for (let bin = window.from; bin < window.from + window.bins; bin++) {
    const excess = (counts[bin] ?? 0) - perBin;
    weight += excess;
    moment += excess * (bin + 0.5);
    square += excess * (bin + 0.5) ** 2;
  }
  const middle = window.from + window.bins / 2;
  if (!(weight > 0)) return { mean: middle, error: window.bins };
  const mean = moment / weight;
  if (mean < window.from || mean > window.from + window.bins)
    return { mean: middle, error: window.bins };
  const variance = Math.max(square / weight - mean ** 2, 1 / 12);
  return { mean, error: Math.sqrt(variance * window.count) / weight };
}

/** Finds the peak of `counts`, whose first bin begins at `lowPs` (stop minus start); null without counts. */
export function findPeak(
  counts: Float64Array,
  axis: { readonly lowPs: bigint; readonly binPs: bigint },
): Peak | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const { best, trials } = bestWindow(counts, total);
  if (best === null) return null;
  const { mean, error } = centroid(counts, best);
  const binPs = Number(axis.binPs);
  // Times are integers: a bin [a, a + w) holds a ... a + w - 1, whose middle is half a picosecond lower.
  const positionPs = Number(axis.lowPs) + mean * binPs - 0.5;
  return {
    delayPs: { value: -positionPs, uncertainty: error * binPs },
    windowPs: BigInt(best.bins) * axis.binPs,
    ...{ pairs: best.count, background: best.background },
    significance: Math.sqrt(2 * best.exponent),
    falseAlarmProbability: Math.min(1, trials * Math.exp(-best.exponent)),
  };
}
