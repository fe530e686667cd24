/**
 * Dense columns of single channels: each block is split into them once, and all pair measurements work on
 * them. A column keeps the tags that some measurement still needs. Used in the analysing thread.
 */
import { LabError } from "../errors.ts";
import type { TagKernels } from "./tag-kernels.ts";

/** Entries of the table of `splitChannels`, 8 bytes each. */
export const splitTableBytes = 2_048;
/** A sentinel and what a discarded channel's times overwrite. */
const spareBytes = 256;

/** Bytes of scratch that columns for `channels` channels take, `tagsMax` tags each. */
export const columnsBytes = (channels: number, tagsMax: number): number =>
  splitTableBytes + spareBytes + channels * (8 * tagsMax + spareBytes);

/** One channel's tags that are still needed. */
export interface Column {
  readonly channel: number;
  readonly address: number;
  count: number;
}

/** The columns of the channels that are measured. */
export class ChannelColumns {
  readonly #kernels: TagKernels;
  readonly #table: Uint32Array;
  readonly #buffer: ArrayBufferLike;
  readonly #columns = new Map<number, Column>();
  readonly #tagsMax: number;
  readonly #discardAddress: number;

  constructor(
    kernels: TagKernels,
    memory: WebAssembly.Memory,
    place: { readonly address: number; readonly tagsMax: number },
    channels: readonly number[],
  ) {
    this.#kernels = kernels;
    this.#buffer = memory.buffer;
    this.#tagsMax = place.tagsMax;
    this.#table = new Uint32Array(memory.buffer, place.address, splitTableBytes / 4);
    this.#discardAddress = place.address + splitTableBytes;
    let address = this.#discardAddress + spareBytes;
    for (const channel of channels) {
      this.#columns.set(channel, { channel, address, count: 0 });
      address += 8 * place.tagsMax + spareBytes;
    }
  }

  column(channel: number): Column {
    const column = this.#columns.get(channel);
    if (column === undefined) throw new RangeError(`channel ${channel} has no column`);
    return column;
  }

  timeAt(column: Column, index: number): bigint {
    return new BigInt64Array(this.#buffer, column.address + 8 * index, 1)[0] ?? 0n;
  }

  /** Gives how many tags of the column, from `from` on, are before `time`. */
  countBefore(column: Column, from: number, time: bigint): number {
    return this.#kernels.lowerBound(column.address + 8 * from, column.count - from, time);
  }

  /** Adds a block's tags to their columns. @throws LabError `tags.memory` when a column cannot take them. */
  split(times: number, channels: number, count: number): void {
    if (this.#columns.size === 0 || count === 0) return;
    this.#table.fill(0);
    for (let channel = 0; channel < 256; channel++) this.#table[2 * channel] = this.#discardAddress;
    for (const column of this.#columns.values()) {
      if (column.count + count > this.#tagsMax) {
        throw new LabError(
          "tags.memory",
          `a measurement needs more than ${this.#tagsMax} tags of channel ${column.channel} at a time: narrow its range or delays, or raise historyTagsMax`,
          { details: { channel: column.channel } },
        );
      }
      this.#table[2 * column.channel] = column.address + 8 * column.count;
      this.#table[2 * column.channel + 1] = 8;
    }
    this.#kernels.splitChannels(this.#table.byteOffset, times, channels, count);
    for (const column of this.#columns.values()) {
      column.count = ((this.#table[2 * column.channel] ?? 0) - column.address) / 8;
    }
  }

  /** Forgets the first `count` tags of a column. */
  drop(column: Column, count: number): void {
    if (count === 0) return;
    const times = new BigInt64Array(this.#buffer, column.address, column.count);
    times.copyWithin(0, count);
    column.count -= count;
  }

  /** All columns. */
  all(): Iterable<Column> {
    return this.#columns.values();
  }
}
