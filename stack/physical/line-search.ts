/**
 * From a coarse offset and drift to a fit. All pairs of times near the coarse prediction are collected once;
 * true ones lie on a line residual = a + d x elapsed. Offset and drift are narrowed together, four times a
 * step, by the fullest pair of bins over a small grid of drifts; then a straight line is fitted to the
 * pairs near the best one. The last bins must hold more pairs than chance gives at the stated probability.
 */
import type { ClockSearchRequest, ClockSearchResult } from "./clock-search.ts";
import { KernelSpace } from "./kernel-space.ts";
import { excessNats, thresholdNats } from "./significance.ts";

/** Where to start, and how wrong that may be. Drifts are ratios. */
export interface CoarseClock {
  readonly offsetPs: bigint;
  readonly referencePs: bigint;
  readonly driftRatio: number;
  readonly offsetErrorPs: number;
  readonly driftErrorRatio: number;
  /** The stretch of remote time around the reference in which the pairs lie. */
  readonly spanPs: number;
  readonly pairsMax: number;
  readonly coarseNats: number;
  /** Pairs above chance in the coarse peak: the line must hold a good part of them. */
  readonly coarsePairs: number;
}

interface Line {
  readonly residualPs: number;
  readonly driftRatio: number;
}

interface Pairs {
  readonly space: KernelSpace;
  readonly residuals: number;
  readonly elapsed: number;
  readonly bins: number;
  readonly count: number;
  readonly rangePs: number;
  /** Span of the stretch that was looked at, and its part of the whole. */
  readonly spanPs: number;
  readonly part: number;
}

const binsMax = 4_096;
const narrowing = 4;
/** Light flickers, and true pairs come on top of chance. */
const pairsExpectedMargin = 1.5;
/** A wrong line crosses the true one and holds a small part of its pairs. */
const linePartMin = 0.25;
const fitRounds = 6;
/** Even light reaches one interquartile range from its median; light that comes on in a ramp less than two. */
const interquartileRangesMax = 2;

/** Refines a coarse clock. */
export function refineLine(request: ClockSearchRequest, coarse: CoarseClock): ClockSearchResult {
  const pairs = collect(request, coarse);
  const finestPs = Math.max(request.tickPs, 500);
  let line: Line = { residualPs: 0, driftRatio: 0 };
  let errorPs = pairs.rangePs;
  let driftErrorRatio = coarse.driftErrorRatio;
  let binPs = coarse.offsetErrorPs / 3;
  let trials = 0;
  let inPeak = 0;
  for (;;) {
    const step = binPs / pairs.spanPs;
    const steps = Math.ceil(driftErrorRatio / step);
    const found = fullestBins(pairs, { line, errorPs, binPs, step, steps });
    trials += found.trials;
    ({ line, inPeak } = found);
    if (binPs <= finestPs) break;
    errorPs = 3 * binPs;
    driftErrorRatio = 1.5 * step;
    binPs = Math.max(binPs / narrowing, finestPs);
  }
  // The tails of a triangle of pairs near the edge of the drift range lower the mean: take the densest.
  const expected = (pairs.count * 2 * binPs) / (2 * coarse.offsetErrorPs);
  const nats = excessNats(inPeak, expected);
  const threshold = thresholdNats(trials, request.falseAlarmProbability / 2);
  const isTheSame = inPeak - expected >= linePartMin * pairs.part * coarse.coarsePairs;
  if (nats < threshold || !isTheSame)
    return {
      ...{ found: false, significanceNats: isTheSame ? nats : 0, thresholdNats: threshold },
    };
  const fit = fitLine(pairs, line, 2 * binPs, request.tickPs);
  const spanS = pairs.spanPs / 1e12;
  const referencePs = coarse.referencePs + BigInt(Math.round(fit.elapsedPs));
  const atReferencePs = Math.round(coarse.driftRatio * fit.elapsedPs - fit.residualPs);
  return {
    found: true,
    model: {
      referencePs,
      offsetPs: coarse.offsetPs + BigInt(atReferencePs),
      driftPpb: (coarse.driftRatio - fit.driftRatio) * 1e9,
      offsetUncertaintyPs: fit.residualPsRms / Math.sqrt(fit.count),
      driftUncertaintyPpb: (1e9 * fit.residualPsRms) / Math.sqrt(fit.count) / fit.elapsedPsRms,
    },
    residualPsRms: fit.residualPsRms,
    coincidenceRateHz: Math.max(0, inPeak - expected) / spanS,
    significanceNats: Math.min(nats, coarse.coarseNats),
    thresholdNats: threshold,
  };
}

/**
 * Collects the pairs near the prediction, from within a span on either side of the reference: a chance pair far out in
 * the dark would turn the whole line. Where the streams are so bright that there would be more than `pairsMax`, a
 * stretch around the middle holds pairs enough; `part` says how much of the whole it is.
 */
function collect(request: ClockSearchRequest, coarse: CoarseClock): Pairs {
  const { spanPs, referencePs, offsetPs } = coarse;
  const rangePs = coarse.offsetErrorPs + (coarse.driftErrorRatio * spanPs) / 2;
  const reachPs = BigInt(Math.ceil(spanPs));
  const [fromPs, toPs] = [referencePs - reachPs, referencePs + reachPs];
  const slackPs = BigInt(Math.ceil(rangePs + Math.abs(coarse.driftRatio) * spanPs));
  const remoteTimes = within(request.remoteTimes, fromPs, toPs);
  const localTimes = within(
    request.localTimes,
    fromPs + offsetPs - slackPs,
    toPs + offsetPs + slackPs,
  );
  const pairsExpected = remoteTimes.length * (localTimes.length / spanPs) * 2 * rangePs;
  const part = Math.min(1, coarse.pairsMax / (pairsExpectedMargin * (pairsExpected + 1)));
  const kept = Math.ceil(remoteTimes.length * part);
  const first = Math.floor((remoteTimes.length - kept) / 2);
  const chosen = remoteTimes.subarray(first, first + kept);
  const lists = 8 * (localTimes.length + kept);
  const space = new KernelSpace(lists + 16 * coarse.pairsMax + 4 * binsMax + 2 ** 12);
  const local = space.allocate(8 * localTimes.length);
  const remote = space.allocate(8 * kept);
  space.int64(local, localTimes.length).set(localTimes);
  space.int64(remote, kept).set(chosen);
  const residuals = space.allocate(8 * coarse.pairsMax);
  const elapsed = space.allocate(8 * coarse.pairsMax);
  const count = space.kernels.collectDifferences(
    ...([remote, kept, local, localTimes.length] as const),
    ...([offsetPs, coarse.driftRatio, referencePs] as const),
    ...([BigInt(Math.ceil(rangePs)), residuals, elapsed, coarse.pairsMax] as const),
  );
  const bins = space.allocate(4 * binsMax);
  return { space, residuals, elapsed, bins, count, rangePs, spanPs: spanPs * part, part };
}

/** The part of sorted times that lies in [fromPs, toPs). */
function within(times: BigInt64Array, fromPs: bigint, toPs: bigint): BigInt64Array {
  return times.subarray(firstNotBelow(times, fromPs), firstNotBelow(times, toPs));
}

function firstNotBelow(times: BigInt64Array, limitPs: bigint): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? limitPs) < limitPs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function fullestBins(
  pairs: Pairs,
  around: {
    readonly line: Line;
    readonly errorPs: number;
    readonly binPs: number;
    readonly step: number;
    readonly steps: number;
  },
): { readonly line: Line; readonly inPeak: number; readonly trials: number } {
  const { line, errorPs, binPs, step, steps } = around;
  const binCount = Math.min(binsMax, Math.ceil((2 * errorPs) / binPs));
  const fromPs = line.residualPs - errorPs;
  const result = pairs.bins + 4 * (binsMax - 2);
  let best = { line, inPeak: -1 };
  for (let index = -steps; index <= steps; index++) {
    const driftRatio = line.driftRatio + index * step;
    pairs.space.kernels.lineHistogram(
      ...([pairs.residuals, pairs.elapsed, pairs.count, driftRatio] as const),
      ...([fromPs, binPs, pairs.bins, Math.min(binCount, binsMax - 2), result] as const),
    );
    const [bin = 0, inPeak = 0] = pairs.space.uint32(result, 2);
    if (inPeak > best.inPeak) {
      best = { line: { residualPs: fromPs + (bin + 1) * binPs, driftRatio }, inPeak };
    }
  }
  return { ...best, trials: binCount * (2 * steps + 1) };
}

/**
 * A straight line through the pairs near `line`, several times over, each time nearer. The search leans a line
 * towards chance pairs far out in time, where one of them outweighs all true ones: those are left out.
 */
function fitLine(pairs: Pairs, start: Line, startPs: number, tickPs: number) {
  const residuals = pairs.space.float64(pairs.residuals, pairs.count);
  const elapsed = pairs.space.float64(pairs.elapsed, pairs.count);
  let line = { ...start, elapsedPs: 0, residualPsRms: 0, elapsedPsRms: 1, count: 1 };
  let nearPs = startPs;
  for (let round = 0; round < fitRounds; round++) {
    const near: (readonly [x: number, y: number])[] = [];
    for (let at = 0; at < pairs.count; at++) {
      const x = elapsed[at] ?? 0;
      const y = (residuals[at] ?? 0) - (line.residualPs + line.driftRatio * (x - line.elapsedPs));
      if (Math.abs(y) < nearPs) near.push([x, y]);
    }
    const chosen = withoutFarPairs(near);
    if (chosen.length < 3) break;
    const mean = (part: 0 | 1): number =>
      chosen.reduce((sum, pair) => sum + pair[part], 0) / chosen.length;
    const [meanX, meanY] = [mean(0), mean(1)];
    const varianceX = chosen.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0) / chosen.length;
    const slope =
      chosen.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) /
      (chosen.length * Math.max(varianceX, 1));
    const varianceY =
      chosen.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0) /
      chosen.length;
    line = {
      residualPs: line.residualPs + line.driftRatio * (meanX - line.elapsedPs) + meanY,
      driftRatio: line.driftRatio + slope,
      elapsedPs: meanX,
      // Ticks that fall into one bin would claim no width at all.
      residualPsRms: Math.max(Math.sqrt(varianceY), tickPs / Math.sqrt(12)),
      elapsedPsRms: Math.sqrt(Math.max(varianceX, 1)),
      count: chosen.length,
    };
    nearPs = Math.min(nearPs, Math.max(3.5 * line.residualPsRms, 2 * tickPs));
  }
  return line;
}

/** Leaves out pairs far from where most of them are in time. */
function withoutFarPairs(
  pairs: readonly (readonly [x: number, y: number])[],
): readonly (readonly [x: number, y: number])[] {
  const sorted = Float64Array.from(pairs, ([x]) => x).sort();
  const quantile = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
  const reachPs = interquartileRangesMax * (quantile(0.75) - quantile(0.25));
  return pairs.filter(([x]) => Math.abs(x - quantile(0.5)) <= reachPs);
}
