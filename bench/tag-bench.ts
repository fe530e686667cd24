/**
 * Tag memory and kernels as the benchmarks use them: data sets loaded block by block into slots as live tags are, records in scratch, and a
 * block's channels split once into dense columns on which several measurements work.
 */
import {
  compileTagKernels,
  instantiateTagKernels,
  type TagKernels,
} from "../hal/tags/tag-kernels.ts";
import { TagMemory } from "../hal/tags/tag-memory.ts";
import type { TagColumns } from "./data-sets.ts";
import { blockTags } from "./race.ts";

/** Channels that the benchmarks' data sets use at most. */
export const channelsMax = 8;

/** A block in tag memory. */
export interface LoadedBlock {
  readonly times: number;
  readonly channels: number;
  readonly count: number;
  /** The last tag's time. */
  readonly lastPs: bigint;
}

/** Kernels on a memory of their own. */
export class TagBench {
  readonly kernels: TagKernels;
  readonly memory: TagMemory;
  readonly buffer: ArrayBufferLike;

  constructor(settings: { readonly slots: number; readonly scratchBytes: number }) {
    this.memory = TagMemory.create(settings);
    this.buffer = this.memory.memory.buffer;
    this.kernels = instantiateTagKernels(compileTagKernels(), this.memory.memory);
  }

  /** Takes scratch for good. */
  room(bytes: number): number {
    return this.memory.allocate(bytes).address;
  }

  /** Copies columns into slots, from slot 0 on. */
  load({ timesPs, channels }: TagColumns): LoadedBlock[] {
    const blocks: LoadedBlock[] = [];
    for (let from = 0; from < timesPs.length; from += blockTags) {
      const to = Math.min(from + blockTags, timesPs.length);
      const times = this.memory.timesAddress(blocks.length);
      const at = this.memory.channelsAddress(blocks.length);
      new BigInt64Array(this.buffer, times, to - from).set(timesPs.subarray(from, to));
      new Uint8Array(this.buffer, at, to - from).set(channels.subarray(from, to));
      blocks.push({ times, channels: at, count: to - from, lastPs: timesPs[to - 1] as bigint });
    }
    return blocks;
  }

  /** Copies records into scratch and gives their address. */
  loadRecords(records: Uint32Array): number {
    const address = this.room(records.byteLength);
    new Uint32Array(this.buffer, address, records.length).set(records);
    return address;
  }
}

/** A stretch of a column. */
export interface Stretch {
  readonly address: number;
  readonly count: number;
}

const carriedMax = 4096;

/**
 * Dense columns of some channels, with what a later block needs carried over. A start is settled once every stop within `reachPs` of
 * it is there: all measurements look at the same settled starts, each start once.
 */
export class DenseColumns {
  readonly #bench: TagBench;
  readonly #table: number;
  readonly #entries: Uint32Array;
  readonly #columns: readonly number[];
  readonly #counts: Uint32Array;
  readonly #firsts: Uint32Array;
  readonly #settled: Uint32Array;
  readonly #reachPs: bigint;
  #settledPs = -(2n ** 62n);

  constructor(bench: TagBench, channels: number, reachPs: bigint) {
    this.#bench = bench;
    this.#reachPs = reachPs;
    this.#table = bench.room(8 * 256);
    this.#entries = new Uint32Array(bench.buffer, this.#table, 2 * 256);
    const columnBytes = 8 * (blockTags + carriedMax + 16);
    this.#columns = Array.from({ length: channels }, () => bench.room(columnBytes));
    this.#entries[0] = bench.room(64);
    for (let channel = 1; channel < 256; channel++) this.#entries[2 * channel] = this.#entries[0];
    this.#counts = new Uint32Array(channels);
    this.#firsts = new Uint32Array(channels);
    this.#settled = new Uint32Array(channels);
  }

  /** Forgets all tags. */
  clear(): void {
    this.#counts.fill(0);
    this.#settledPs = -(2n ** 62n);
  }

  /** Splits a block into the columns and settles what can be. */
  take({ times, channels, count, lastPs }: LoadedBlock): void {
    for (const [channel, column] of this.#columns.entries()) {
      this.#entries[2 * channel] = column + 8 * (this.#counts[channel] as number);
      this.#entries[2 * channel + 1] = 8;
    }
    this.#bench.kernels.splitChannels(this.#table, times, channels, count);
    for (const [channel, column] of this.#columns.entries()) {
      this.#counts[channel] = ((this.#entries[2 * channel] as number) - column) / 8;
    }
    this.#settle(lastPs - this.#reachPs);
  }

  /** Settles all that is left: no tag follows. */
  finish(): void {
    this.#settle(2n ** 62n);
  }

  #settle(toPs: bigint): void {
    const { lowerBound } = this.#bench.kernels;
    for (const [channel, column] of this.#columns.entries()) {
      const count = this.#counts[channel] as number;
      this.#firsts[channel] = lowerBound(column, count, this.#settledPs);
      this.#settled[channel] = lowerBound(column, count, toPs);
    }
    this.#settledPs = toPs;
  }

  /** The starts of a channel that the last block settled. */
  starts(channel: number): Stretch {
    const first = this.#firsts[channel] as number;
    const address = (this.#columns[channel] as number) + 8 * first;
    return { address, count: (this.#settled[channel] as number) - first };
  }

  /** The stops of a channel, as far as a settled start can need them. */
  stops(channel: number): Stretch {
    const address = this.#columns[channel] as number;
    return { address, count: this.#counts[channel] as number };
  }

  /** Moves what later starts need to the front. */
  carry(): void {
    const keepPs = this.#settledPs - this.#reachPs;
    for (const [channel, column] of this.#columns.entries()) {
      const count = this.#counts[channel] as number;
      const first = this.#bench.kernels.lowerBound(column, count, keepPs);
      new BigInt64Array(this.#bench.buffer, column, count).copyWithin(0, first);
      this.#counts[channel] = count - first;
    }
  }
}

/** Runs `work` and gives the time it took with what came out of it. */
export function timed(clockMs: () => number, work: () => void, resultOf: () => string) {
  const startMs = clockMs();
  work();
  return { elapsedMs: clockMs() - startMs, result: resultOf() };
}
