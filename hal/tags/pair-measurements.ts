/** Measurements on pairs of two columns, fed block by block; results do not depend on where blocks end. */
import type { ChannelColumns, Column } from "./channel-columns.ts";
import { findPeak } from "./correlation-peak.ts";
import type {
  ChannelDelays,
  CoincidencesResult,
  CoincidencesSpec,
  DelayResult,
  DelaySpec,
  Figure,
  HistogramResult,
  HistogramSpec,
} from "./measurements.ts";
import { exactReciprocal, type TagKernels } from "./tag-kernels.ts";

/** Later than any tag. */
const neverPs = 2n ** 62n;
/** Bins of a delay search. */
const delayBinsMax = 2 ** 20;
const displacementsDefault = 20;

/** Counts and time that a result is set against. */
export interface Exposure {
  readonly counts: ReadonlyMap<number, number>;
  readonly liveTimePs: bigint;
}

/** What a pair measurement counts, in which range of stop - start. */
interface PairRange {
  readonly start: number;
  readonly stop: number;
  readonly lowPs: bigint;
  readonly spanPs: bigint;
  /** Width of one counter, or spacing of windows. */
  readonly stepPs: bigint;
  /** Pairs count in the first `widthPs` of each step. */
  readonly widthPs: bigint;
  readonly counters: number;
}

const shiftOf = (delays: ChannelDelays | undefined, start: number, stop: number): bigint =>
  (delays?.[stop] ?? 0n) - (delays?.[start] ?? 0n);

const rate = (count: number, uncertainty: number, liveTimePs: bigint): Figure | null =>
  liveTimePs > 0n
    ? {
        value: (count / Number(liveTimePs)) * 1e12,
        uncertainty: (uncertainty / Number(liveTimePs)) * 1e12,
      }
    : null;

function histogramRange(spec: HistogramSpec): PairRange {
  const { start, stop, binPs, rangePs } = spec;
  if (binPs < 1n || rangePs < 1n) throw new RangeError("bin and range must be at least 1 ps");
  const spanPs = 2n * rangePs;
  const lowPs = -rangePs - shiftOf(spec.delaysPs, start, stop);
  const counters = Number((spanPs + binPs - 1n) / binPs);
  return { start, stop, lowPs, spanPs, stepPs: binPs, widthPs: binPs, counters };
}

function coincidenceRange(spec: CoincidencesSpec): PairRange {
  const { channels, windowPs, displacements = displacementsDefault } = spec;
  const [start, stop] = channels;
  const stepPs = spec.spacingPs ?? 10n * windowPs;
  if (start === stop) throw new RangeError("coincidences need two channels");
  if (windowPs < 1n || stepPs < windowPs) throw new RangeError("displaced windows may not overlap");
  if (displacements < 20 || displacements % 2 !== 0) {
    throw new RangeError(`displacements is even and at least 20, not ${displacements}`);
  }
  const aside = BigInt(displacements / 2);
  const lowPs = -(windowPs / 2n) - shiftOf(spec.delaysPs, start, stop) - aside * stepPs;
  const spanPs = 2n * aside * stepPs + windowPs;
  return { start, stop, lowPs, spanPs, stepPs, widthPs: windowPs, counters: displacements + 1 };
}

function delayRange(spec: DelaySpec): PairRange {
  const { start, stop, rangePs } = spec;
  if (start === stop) throw new RangeError("a delay is between two channels");
  if (rangePs < 1n) throw new RangeError("the range must be at least 1 ps");
  const spanPs = 2n * rangePs;
  const stepPs = (spanPs + BigInt(delayBinsMax) - 1n) / BigInt(delayBinsMax);
  const counters = Number((spanPs + stepPs - 1n) / stepPs);
  return { start, stop, lowPs: -rangePs, spanPs, stepPs, widthPs: stepPs, counters };
}

/** A spec that counts pairs. */
export type PairSpec = HistogramSpec | CoincidencesSpec | DelaySpec;

function rangeOf(spec: PairSpec): PairRange {
  switch (spec.kind) {
    case "histogram":
      return histogramRange(spec);
    case "coincidences":
      return coincidenceRange(spec);
    case "delay":
      return delayRange(spec);
  }
}

/** Channels and scratch that a measurement needs. @throws RangeError for a spec that makes no sense. */
export function pairNeeds(spec: PairSpec): {
  readonly channels: readonly number[];
  readonly bytes: number;
} {
  const { start, stop, counters } = rangeOf(spec);
  return { channels: [start, stop], bytes: 8 * counters };
}

/** One measurement on pairs. */
export class PairMeasurement {
  readonly #spec: PairSpec;
  readonly #range: PairRange;
  readonly #kernels: TagKernels;
  readonly #columns: ChannelColumns;
  readonly #counters: BigUint64Array;
  readonly #starts: Column;
  readonly #stops: Column;
  readonly #magic: bigint;
  readonly #shift: number;
  /** First start that was not evaluated, and first stop that is still needed. */
  #nextStart = 0;
  #nextStop = 0;
  #evaluated = 0;

  constructor(
    spec: PairSpec,
    kernels: TagKernels,
    columns: ChannelColumns,
    place: { readonly buffer: ArrayBufferLike; readonly address: number },
  ) {
    this.#spec = spec;
    this.#range = rangeOf(spec);
    this.#kernels = kernels;
    this.#columns = columns;
    this.#counters = new BigUint64Array(place.buffer, place.address, this.#range.counters);
    this.#starts = columns.column(this.#range.start);
    this.#stops = columns.column(this.#range.stop);
    const { magic, shift } = exactReciprocal(this.#range.stepPs, this.#range.spanPs);
    this.#magic = magic;
    this.#shift = shift;
  }

  /** Evaluates all starts whose last possible stop is before `frontierPs`, up to where all tags are known. */
  advance(frontierPs: bigint): void {
    const { lowPs, spanPs } = this.#range;
    const endPs = frontierPs - lowPs - spanPs + 1n;
    const ready = this.#columns.countBefore(this.#starts, this.#nextStart, endPs);
    if (ready > 0) this.#evaluate(ready);
    this.#nextStart += ready;
    const hasNext = this.#nextStart < this.#starts.count;
    const nextPs = hasNext ? this.#columns.timeAt(this.#starts, this.#nextStart) : frontierPs;
    this.#nextStop = this.#columns.countBefore(this.#stops, 0, nextPs + lowPs);
  }

  /** Evaluates the rest: nothing more comes that could pair with what is there. */
  finish(): void {
    this.advance(neverPs);
  }

  /** How many tags at the front of a column this measurement no longer needs. */
  unneeded(column: Column): number {
    const asStart = column === this.#starts ? this.#nextStart : column.count;
    const asStop = column === this.#stops ? this.#nextStop : column.count;
    return Math.min(asStart, asStop);
  }

  /** Follows a column whose first `count` tags were dropped. */
  shift(column: Column, count: number): void {
    if (column === this.#starts) this.#nextStart -= count;
    if (column === this.#stops) this.#nextStop -= count;
  }

  /** Starts anew on emptied columns. */
  restart(): void {
    this.#nextStart = 0;
    this.#nextStop = 0;
  }

  result(exposure: Exposure): HistogramResult | CoincidencesResult | DelayResult {
    const spec = this.#spec;
    switch (spec.kind) {
      case "histogram":
        return this.#histogram(spec, exposure);
      case "coincidences":
        return this.#coincidences(spec, exposure);
      case "delay":
        return this.#delay(spec);
    }
  }

  #evaluate(ready: number): void {
    const { lowPs, spanPs, stepPs, widthPs } = this.#range;
    const firstPs = this.#columns.timeAt(this.#starts, this.#nextStart);
    const stop = this.#columns.countBefore(this.#stops, 0, firstPs + lowPs);
    const starts = this.#starts.address + 8 * this.#nextStart;
    const stops = this.#stops.address + 8 * stop;
    const columns = [starts, ready, stops, this.#stops.count - stop] as const;
    const reciprocal = [this.#magic, this.#shift, this.#counters.byteOffset] as const;
    if (this.#spec.kind === "coincidences") {
      this.#kernels.countDisplacedWindows(
        ...columns,
        lowPs,
        spanPs,
        stepPs,
        widthPs,
        ...reciprocal,
      );
    } else {
      this.#kernels.binPairs(...columns, lowPs, spanPs, stepPs, ...reciprocal);
    }
    this.#evaluated += ready;
  }

  /** Counts as doubles. In an autocorrelation every tag pairs with itself: those pairs are taken out. */
  #counts(): Float64Array {
    const counts = Float64Array.from(this.#counters, Number);
    const { start, stop, lowPs, spanPs, stepPs } = this.#range;
    if (start === stop && lowPs <= 0n && 0n < lowPs + spanPs) {
      const bin = Number(-lowPs / stepPs);
      counts[bin] = (counts[bin] ?? 0) - this.#evaluated;
    }
    return counts;
  }

  #uncorrelated(widthPs: bigint, { counts, liveTimePs }: Exposure): number {
    const [starts, stops] = [counts.get(this.#range.start) ?? 0, counts.get(this.#range.stop) ?? 0];
    return liveTimePs > 0n ? (starts * stops * Number(widthPs)) / Number(liveTimePs) : 0;
  }

  #histogram(spec: HistogramSpec, exposure: Exposure): HistogramResult {
    const { start, stop, binPs, rangePs } = spec;
    const counts = this.#counts();
    const pairs = counts.reduce((sum, count) => sum + count, 0);
    const uncorrelatedPerBin = this.#uncorrelated(binPs, exposure);
    return {
      kind: "histogram",
      start,
      stop,
      binPs,
      fromPs: -rangePs,
      counts,
      pairs,
      uncorrelatedPerBin,
    };
  }

  #coincidences(spec: CoincidencesSpec, exposure: Exposure): CoincidencesResult {
    const { channels, windowPs } = spec;
    const counts = Array.from(this.#counters, Number);
    const middle = (counts.length - 1) / 2;
    const coincidences = counts[middle] ?? 0;
    const displacedCounts = counts.filter((_, index) => index !== middle);
    const accidentals = estimateMean(displacedCounts);
    const relative = Math.hypot(
      1 / Math.sqrt(coincidences),
      accidentals.uncertainty / accidentals.value,
    );
    const car = accidentals.value > 0 ? coincidences / accidentals.value : null;
    const { liveTimePs } = exposure;
    return {
      ...{ kind: "coincidences", channels, windowPs, coincidences, accidentals, displacedCounts },
      spacingPs: this.#range.stepPs,
      uncorrelated: this.#uncorrelated(windowPs, exposure),
      car:
        car === null
          ? null
          : { value: car, uncertainty: coincidences > 0 ? car * relative : 1 / accidentals.value },
      coincidenceRateHz: rate(coincidences, Math.sqrt(coincidences), liveTimePs),
      accidentalRateHz: rate(accidentals.value, accidentals.uncertainty, liveTimePs),
    };
  }

  #delay(spec: DelaySpec): DelayResult {
    const { start, stop } = spec;
    const counts = this.#counts();
    const pairs = counts.reduce((sum, count) => sum + count, 0);
    const peak = findPeak(counts, { lowPs: this.#range.lowPs, binPs: this.#range.stepPs });
    return { kind: "delay", start, stop, pairs, found: peak };
  }
}

/**
 * Mean of counts and its standard error: the larger of Poisson's and the sample's, since light with
 * structure (pulses, bunching) scatters more than Poisson.
 */
function estimateMean(counts: readonly number[]): Figure {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const value = total / counts.length;
  const squares = counts.reduce((sum, count) => sum + (count - value) ** 2, 0);
  const sampleError = Math.sqrt(squares / (counts.length - 1) / counts.length);
  return { value, uncertainty: Math.max(Math.sqrt(total) / counts.length, sampleError) };
}
