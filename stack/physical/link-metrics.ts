/**
 * What a link's coincidences say of its optics: rates, accidentals, CAR, jitter, heralding, loss.
 *
 * Accidentals are counted, not computed: pairs in 40 windows displaced by multiples of the coincidence
 * window (rounded up to ticks, so that each holds as many ticks as the window itself). S1 S2 w / T is the
 * cross-check. Heralding efficiency of an end is (C - A) / S of the other end (Klyshko): how often a photon whose twin
 * clicked at the other end clicks at this one within the window. Its -10 log10 is the loss of the whole arm from
 * where pairs are born: collection, fibre, analyzer, detectors with their efficiency and dead time, and pairs whose
 * jitter puts them outside the window. Dark counts and stray light among the other end's clicks, S, which have no
 * twin, count as loss of this end too; for the fibre's own loss, take off what else is known. CAR is (C - A) / A. Jitter is the FWHM of a Gaussian with the variance of the residuals'
 * peak, the taggers' ticks included: two ticks of 2 ns alone give 1.92 ns.
 */
import type { Estimated } from "./visibility.ts";

/** Metrics of one interval. Rates in Hz over live time; efficiencies 0..1; uncertainties k = 1. */
export interface LinkMetrics {
  /** Live time: observed at both ends, losses taken off. */
  readonly liveS: number;
  readonly coincidences: number;
  readonly coincidenceRateHz: Estimated;
  readonly accidentalRateHz: Estimated;
  /** S1 S2 w, the rate of accidentals that the singles predict. */
  readonly accidentalRateFromSinglesHz: number;
  /** Null while no accidental has been seen. */
  readonly car: Estimated | null;
  /** Null below 10 pairs. */
  readonly jitterPsFwhm: Estimated | null;
  readonly localSinglesHz: Estimated;
  readonly remoteSinglesHz: Estimated;
  readonly localHerald: Estimated | null;
  readonly remoteHerald: Estimated | null;
  /** All losses of the end's arm, dB: source to click, detectors and window included, as said above. */
  readonly localLossDb: Estimated | null;
  readonly remoteLossDb: Estimated | null;
  /** All pairs against remote minus local time after the clock model. */
  readonly histogram: ResidualHistogram;
}

/** Counts of all pairs from `fromPs` on, in bins of `binPs`; `windowPs` is the coincidence window around 0. */
export interface ResidualHistogram {
  readonly fromPs: number;
  readonly binPs: number;
  readonly counts: readonly number[];
  readonly windowPs: number;
}

/** The windows in which pairs are counted. */
export interface WindowPlan {
  /** A pair counts if -floor(w / 2) <= residual < ceil(w / 2). */
  readonly windowPs: number;
  /** Centres of displaced windows. */
  readonly displacements: readonly number[];
  /** Pairs are collected within [-range, range). */
  readonly rangePs: number;
  readonly binPs: number;
}

const nearestWindows = 5;
const windowsEachSide = 20;
const histogramBinsMax = 400;

/** Plans 40 displaced windows, at 5 to 24 steps on each side. */
export function planWindows(windowPs: number, tickPs: number): WindowPlan {
  const stepPs = Math.ceil(windowPs / tickPs) * tickPs;
  const displacements: number[] = [];
  for (let step = nearestWindows; step < nearestWindows + windowsEachSide; step++) {
    displacements.push(step * stepPs, -step * stepPs);
  }
  const rangePs = (nearestWindows + windowsEachSide) * stepPs;
  const finestPs = Math.max(tickPs, Math.ceil((2 * rangePs) / histogramBinsMax));
  const binPs = Math.ceil(finestPs / tickPs) * tickPs;
  return { windowPs, displacements, rangePs, binPs };
}

/** What one batch of pairs held, for the tracker. */
export interface BatchSummary {
  readonly windowCount: number;
  /** Accidentals expected in the window, from the displaced ones. */
  readonly chance: number;
  /** Pairs near the peak, for tracking. */
  readonly count: number;
  readonly meanPs: number;
  readonly variancePs: number;
}

/** Collects residuals over an interval. */
export class MetricsCollector {
  readonly #plan: WindowPlan;
  readonly #below: number;
  readonly #above: number;
  readonly #inDisplaced: (residualPs: number) => boolean;
  #liveS = 0;
  #coincidences = 0;
  #displaced = 0;
  #local = 0;
  #remote = 0;
  #moments = { count: 0, sum: 0, squares: 0, fourths: 0, chance: 0 };
  #counts: number[];

  constructor(plan: WindowPlan) {
    this.#plan = plan;
    this.#below = -Math.floor(plan.windowPs / 2);
    this.#above = Math.ceil(plan.windowPs / 2);
    const step = (plan.displacements[0] ?? 0) / nearestWindows;
    this.#inDisplaced = (residualPs) => {
      const steps = Math.round(residualPs / step);
      // Half-open windows that touch share no residual; with a step wider than the window, gaps stay out.
      const inside = (s: number): boolean =>
        Math.abs(s) >= nearestWindows &&
        Math.abs(s) < nearestWindows + windowsEachSide &&
        residualPs - s * step >= this.#below &&
        residualPs - s * step < this.#above;
      return inside(steps) || inside(steps - 1) || inside(steps + 1);
    };
    this.#counts = this.#emptyCounts();
  }

  get liveS(): number {
    return this.#liveS;
  }

  /** Takes all residuals within the plan's range of one batch, and its singles. */
  add(batch: {
    readonly residuals: Float64Array;
    readonly matched: number;
    readonly local: number;
    readonly remote: number;
    readonly liveS: number;
  }): BatchSummary {
    this.#liveS += batch.liveS;
    this.#coincidences += batch.matched;
    this.#local += batch.local;
    this.#remote += batch.remote;
    const nearPs = this.#nearPs;
    let [count, sum, squares, displaced] = [0, 0, 0, 0];
    for (const residual of batch.residuals) {
      const bin = Math.floor((residual + this.#plan.rangePs) / this.#plan.binPs);
      if (bin >= 0 && bin < this.#counts.length) this.#counts[bin] = (this.#counts[bin] ?? 0) + 1;
      if (this.#inDisplaced(residual)) displaced++;
      if (Math.abs(residual) >= nearPs) continue;
      count++;
      sum += residual;
      squares += residual ** 2;
      this.#moments.fourths += residual ** 4;
    }
    this.#displaced += displaced;
    this.#moments.count += count;
    this.#moments.sum += sum;
    this.#moments.squares += squares;
    const meanPs = count === 0 ? 0 : sum / count;
    const variancePs = count === 0 ? 0 : squares / count - meanPs ** 2;
    const chance = displaced / this.#plan.displacements.length;
    return { windowCount: batch.matched, chance, count, meanPs, variancePs };
  }

  /** Gives the interval's metrics and starts the next. Null when nothing was live. */
  take(): LinkMetrics | null {
    if (this.#liveS <= 0) return null;
    const accidentals = this.#displaced / this.#plan.displacements.length;
    // A count of zero has the uncertainty of one.
    const accidentalsU = Math.sqrt(Math.max(1, this.#displaced)) / this.#plan.displacements.length;
    const coincidencesU = Math.sqrt(Math.max(1, this.#coincidences));
    const rate = (count: number, uncertainty = Math.sqrt(Math.max(1, count))): Estimated => ({
      value: count / this.#liveS,
      uncertainty: uncertainty / this.#liveS,
    });
    const trueU = Math.hypot(coincidencesU, accidentalsU);
    const truePairs = this.#coincidences - accidentals;
    const localHerald = heraldOf(truePairs, trueU, this.#remote);
    const remoteHerald = heraldOf(truePairs, trueU, this.#local);
    const metrics: LinkMetrics = {
      liveS: this.#liveS,
      coincidences: this.#coincidences,
      coincidenceRateHz: rate(this.#coincidences),
      accidentalRateHz: rate(accidentals, accidentalsU),
      accidentalRateFromSinglesHz:
        (this.#local * this.#remote * this.#plan.windowPs * 1e-12) / this.#liveS ** 2,
      car: carOf(this.#coincidences, accidentals, coincidencesU, accidentalsU),
      jitterPsFwhm: this.#jitter(accidentals),
      localSinglesHz: rate(this.#local),
      remoteSinglesHz: rate(this.#remote),
      ...{ localHerald, remoteHerald },
      ...{ localLossDb: lossOf(localHerald), remoteLossDb: lossOf(remoteHerald) },
      histogram: {
        ...{ fromPs: -this.#plan.rangePs, binPs: this.#plan.binPs, counts: this.#counts },
        windowPs: this.#plan.windowPs,
      },
    };
    this.#liveS = this.#coincidences = this.#displaced = this.#local = this.#remote = 0;
    this.#moments = { count: 0, sum: 0, squares: 0, fourths: 0, chance: 0 };
    this.#counts = this.#emptyCounts();
    return metrics;
  }

  /** Half width of the stretch whose moments describe the peak. */
  get #nearPs(): number {
    return 1.5 * this.#plan.windowPs;
  }

  /**
   * The peak's variance, with a flat background of known height taken off its second moment. Its
   * uncertainty is that of a mean of squares: sqrt(sum (x^2 - v)^2) / n.
   */
  #jitter(accidentals: number): Estimated | null {
    const { count, sum, squares, fourths } = this.#moments;
    const nearPs = this.#nearPs;
    const flat = (accidentals * 2 * nearPs) / this.#plan.windowPs;
    const peak = count - flat;
    if (peak < 10) return null;
    const mean = sum / peak;
    const variance = (squares - (flat * nearPs ** 2) / 3) / peak - mean ** 2;
    if (variance <= 0) return null;
    const spread = Math.max(0, fourths - 2 * variance * squares + count * variance ** 2);
    const varianceU = Math.sqrt(spread) / peak;
    const fwhmPerRms = 2 * Math.sqrt(2 * Math.LN2);
    const rms = Math.sqrt(variance);
    return { value: fwhmPerRms * rms, uncertainty: (fwhmPerRms * varianceU) / (2 * rms) };
  }

  #emptyCounts(): number[] {
    return new Array<number>(Math.ceil((2 * this.#plan.rangePs) / this.#plan.binPs)).fill(0);
  }
}

function heraldOf(truePairs: number, trueU: number, heralds: number): Estimated | null {
  if (heralds === 0 || truePairs <= 0) return null;
  const value = truePairs / heralds;
  // Conservative, since coincidences are a part of the singles.
  return { value, uncertainty: value * Math.hypot(trueU / truePairs, 1 / Math.sqrt(heralds)) };
}

const lossOf = (herald: Estimated | null): Estimated | null =>
  herald === null
    ? null
    : {
        value: -10 * Math.log10(herald.value),
        uncertainty: ((10 / Math.LN10) * herald.uncertainty) / herald.value,
      };

function carOf(
  coincidences: number,
  accidentals: number,
  coincidencesU: number,
  accidentalsU: number,
): Estimated | null {
  if (accidentals <= 0) return null;
  const uncertainty = Math.hypot(
    coincidencesU / accidentals,
    (coincidences * accidentalsU) / accidentals ** 2,
  );
  return { value: (coincidences - accidentals) / accidentals, uncertainty };
}
