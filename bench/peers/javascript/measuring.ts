/** Measurements in plain JavaScript on doubles, each in the form that V8 makes the most of. */

/** Running state of a counter in bins. */
export interface CounterState {
  edgePs: number;
  bin: number;
}

const quarters = new Uint32Array(4 * 256);

/** Counts channels in a stretch: four sets of counters, so that equal neighbours do not wait for each other. */
function countChannels(
  channels: Uint8Array,
  from: number,
  to: number,
  counts: Uint32Array,
  countsFrom: number,
): void {
  let at = from;
  if (to - at > 512) {
    quarters.fill(0);
    for (; at + 4 <= to; at += 4) {
      const a = channels[at] as number;
      const b = 256 + (channels[at + 1] as number);
      const c = 512 + (channels[at + 2] as number);
      const d = 768 + (channels[at + 3] as number);
      quarters[a] = (quarters[a] as number) + 1;
      quarters[b] = (quarters[b] as number) + 1;
      quarters[c] = (quarters[c] as number) + 1;
      quarters[d] = (quarters[d] as number) + 1;
    }
    for (let channel = 0; channel < 256; channel++) {
      const low = (quarters[channel] as number) + (quarters[256 + channel] as number);
      const high = (quarters[512 + channel] as number) + (quarters[768 + channel] as number);
      if (low + high > 0) {
        counts[countsFrom + channel] = (counts[countsFrom + channel] as number) + low + high;
      }
    }
  }
  for (; at < to; at++) {
    const place = countsFrom + (channels[at] as number);
    counts[place] = (counts[place] as number) + 1;
  }
}

/** Gives the first place in [from, to) whose time is not below `timePs`, looking near `from` first. */
function gallop(times: Float64Array, from: number, to: number, timePs: number): number {
  let low = from;
  let step = 64;
  while (low + step < to && (times[low + step] as number) < timePs) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, to);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) < timePs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Counts tags by channel in bins of time, 256 counters a bin: finds each bin's edge, then counts what lies before it. */
export function countChannelsInBins(
  state: CounterState,
  columns: { readonly times: Float64Array; readonly channels: Uint8Array },
  range: { readonly from: number; readonly to: number },
  binPs: number,
  counts: Uint32Array,
): void {
  const { times, channels } = columns;
  const { to } = range;
  for (let at = range.from; at < to; ) {
    const isLast = (times[to - 1] as number) < state.edgePs;
    const end = isLast ? to : gallop(times, at, to, state.edgePs);
    countChannels(channels, at, end, counts, 256 * state.bin);
    at = end;
    if (at < to) {
      state.edgePs += binPs;
      state.bin++;
    }
  }
}

/** Gives the first of `count` places from `from` on whose time is not below `timePs`. */
function lowerBound(column: Float64Array, from: number, count: number, timePs: number): number {
  let low = from;
  let high = from + count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((column[middle] as number) < timePs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A stretch of the dense columns. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Dense columns of the first channels, all in one array, with the rule of settled starts that the kernels' benchmark follows. */
export class DenseColumns {
  readonly dense: Float64Array;
  readonly #ends: Uint32Array;
  readonly #begins: readonly number[];
  readonly #firsts: Uint32Array;
  readonly #settled: Uint32Array;
  readonly #reachPs: number;
  #settledPs = Number.NEGATIVE_INFINITY;

  constructor(channels: number, blockTags: number, reachPs: number) {
    const room = blockTags + 4096 + 16;
    this.dense = new Float64Array(room * channels);
    this.#begins = Array.from({ length: channels }, (_, channel) => channel * room);
    this.#ends = Uint32Array.from(this.#begins);
    this.#firsts = new Uint32Array(channels);
    this.#settled = new Uint32Array(channels);
    this.#reachPs = reachPs;
  }

  /** Forgets all tags. */
  clear(): void {
    this.#ends.set(this.#begins);
    this.#settledPs = Number.NEGATIVE_INFINITY;
  }

  /** Splits tags into the columns and settles what can be. */
  take(times: Float64Array, channels: Uint8Array, from: number, to: number): void {
    const ends = this.#ends;
    const dense = this.dense;
    for (let at = from; at < to; at++) {
      const channel = channels[at] as number;
      const place = ends[channel] as number;
      dense[place] = times[at] as number;
      ends[channel] = place + 1;
    }
    this.settle((times[to - 1] as number) - this.#reachPs);
  }

  /** Settles starts before a time. */
  settle(toPs: number): void {
    for (const [channel, begin] of this.#begins.entries()) {
      const count = (this.#ends[channel] as number) - begin;
      this.#firsts[channel] = lowerBound(this.dense, begin, count, this.#settledPs);
      this.#settled[channel] = lowerBound(this.dense, begin, count, toPs);
    }
    this.#settledPs = toPs;
  }

  /** The starts that were settled last. */
  starts(channel: number): Stretch {
    return { from: this.#firsts[channel] as number, to: this.#settled[channel] as number };
  }

  /** The stops at hand; the place behind them is free. */
  stops(channel: number): Stretch {
    return { from: this.#begins[channel] as number, to: this.#ends[channel] as number };
  }

  /** Moves what later starts need to the front. */
  carry(): void {
    for (const [channel, begin] of this.#begins.entries()) {
      const end = this.#ends[channel] as number;
      const keepPs = this.#settledPs - this.#reachPs;
      const first = lowerBound(this.dense, begin, end - begin, keepPs);
      this.dense.copyWithin(begin, first, end);
      this.#ends[channel] = begin + end - first;
    }
  }
}

/** Counts pairs with lowPs <= stop - start < highPs by two merges in one loop. */
export function countPairs(
  dense: Float64Array,
  starts: Stretch,
  stops: Stretch,
  lowPs: number,
  highPs: number,
): number {
  dense[stops.to] = Number.POSITIVE_INFINITY;
  let low = stops.from;
  let high = stops.from;
  let pairs = 0;
  for (let start = starts.from; start < starts.to; start++) {
    const time = dense[start] as number;
    const fromPs = time + lowPs;
    const toPs = time + highPs;
    while ((dense[high] as number) < toPs) high++;
    while ((dense[low] as number) < fromPs) low++;
    pairs += high - low;
  }
  return pairs;
}

/** Adds pairs with lowPs <= stop - start < lowPs + spanPs to bins of `binPs`; a double holds the quotient exactly enough for these widths, as the check sees. */
export function binPairs(
  dense: Float64Array,
  starts: Stretch,
  stops: Stretch,
  window: { readonly lowPs: number; readonly spanPs: number; readonly binPs: number },
  bins: Uint32Array,
): void {
  dense[stops.to] = Number.POSITIVE_INFINITY;
  const { lowPs, spanPs } = window;
  const perPs = 1 / window.binPs;
  let low = stops.from;
  for (let start = starts.from; start < starts.to; start++) {
    const fromPs = (dense[start] as number) + lowPs;
    const toPs = fromPs + spanPs;
    while ((dense[low] as number) < fromPs) low++;
    for (let stop = low; ; stop++) {
      const time = dense[stop] as number;
      if (time >= toPs) break;
      const bin = ((time - fromPs) * perPs) | 0;
      bins[bin] = (bins[bin] as number) + 1;
    }
  }
}
