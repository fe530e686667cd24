/**
 * Fills slots of tag memory in the thread that decodes, and decides when a block is worth sending.
 *
 * A block is due when it is full or older than `blockAgeMs`. While fewer than a quarter of the slots
 * are free an open block is filled to the brim first: a slow consumer costs latency before it costs
 * tags. When no slot is free, a live source goes on into a spill slot whose tags are dropped and
 * counted, as a `host-overflow` loss of the next block; a file source waits. The spill slot is the writer's from the
 * start, because readers of an earlier stream may still hold others, and carries the last block when nothing else is free.
 */
import type { Clock } from "../clock.ts";
import { LabError } from "../errors.ts";
import { type Ps, ps } from "../units.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { SlotRange, TagMemory } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** Who writes, where, and what happens when no slot is free. */
export interface BlockWriterSettings {
  readonly streamId: string;
  readonly clockId: string;
  /** The writer's own slots, at least 4; a live writer keeps one of them back for spilling. */
  readonly range: SlotRange;
  readonly whenFull: "drop" | "wait";
  /** The age at which an unfinished block is sent; 5 ms by default. */
  readonly blockAgeMs?: number;
  /** Tags a block takes at most; the memory's `tagsPerBlock` by default. */
  readonly tagsPerBlockMax?: number;
  readonly clock: Clock;
}

/** Room for the next tags: addresses of the first free place in both columns. */
export interface BlockRoom {
  readonly timesAddress: number;
  readonly channelsAddress: number;
  /** Tags that fit. */
  readonly capacity: number;
}

interface OpenSlot {
  readonly slot: number;
  readonly generation: number;
  readonly openedMs: number;
}

/** Writes one stream's blocks. */
export class BlockWriter {
  readonly #memory: TagMemory;
  readonly #settings: BlockWriterSettings;
  readonly #range: SlotRange;
  #spill: Omit<OpenSlot, "openedMs"> | null = null;
  readonly #blockAgeMs: number;
  readonly #tagsPerBlock: number;
  #open: OpenSlot | null = null;
  #isSpilling = false;
  #count = 0;
  #sequence = 0;
  #segment = 0;
  #fromPs = ps(0n);
  #spilled: LossInterval | null = null;
  #pendingLosses: LossInterval[] = [];

  /** @throws LabError `tags.memory` when a live writer finds all its slots held by readers of an earlier stream. */
  constructor(memory: TagMemory, settings: BlockWriterSettings) {
    const { range } = settings;
    if (range.slots < 4) throw new RangeError(`a writer needs 4 slots, not ${range.slots}`);
    this.#memory = memory;
    this.#settings = settings;
    this.#blockAgeMs = settings.blockAgeMs ?? 5;
    this.#tagsPerBlock = Math.min(
      settings.tagsPerBlockMax ?? memory.layout.tagsPerBlock,
      memory.layout.tagsPerBlock,
    );
    this.#range = range;
    if (settings.whenFull === "wait") return;
    this.#spill = memory.acquire(range);
    if (this.#spill !== null) return;
    throw new LabError(
      "tags.memory",
      `${settings.streamId} cannot start: readers of earlier streams hold all its ${range.slots} slots; release their blocks`,
      { details: { streamId: settings.streamId } },
    );
  }

  /** Tags in the open block. */
  get count(): number {
    return this.#isSpilling ? 0 : this.#count;
  }

  /** Where the next block begins to cover, ps from the stream's epoch. */
  get fromPs(): Ps {
    return this.#fromPs;
  }

  get segment(): number {
    return this.#segment;
  }

  /**
   * Starts to cover at `fromPs`: at the start of the stream, and with `newSegment` after a restart, a
   * reconnect or a loss of place. The open block must have been published.
   */
  start(fromPs: Ps, options: { readonly newSegment: boolean }): void {
    if (this.count > 0) throw new TypeError("publish the open block before starting a segment");
    if (options.newSegment) this.#segment++;
    this.#fromPs = fromPs;
  }

  /**
   * Gives room for at least `roomMin` tags in the open block, opening one when needed. Null when the open
   * block has not that much left and must be published first, or when a writer that waits has no free slot.
   */
  begin(roomMin = 1): BlockRoom | null {
    if (this.#open === null) this.#openSlot();
    if (this.#open === null && !this.#isSpilling) return null;
    if (this.#isSpilling && this.#tagsPerBlock - this.#count < roomMin) this.#count = 0;
    const capacity = this.#tagsPerBlock - this.#count;
    if (capacity < roomMin) return null;
    const slot = this.#open?.slot ?? this.#spill?.slot ?? 0;
    return {
      timesAddress: this.#memory.timesAddress(slot) + 8 * this.#count,
      channelsAddress: this.#memory.channelsAddress(slot) + this.#count,
      capacity,
    };
  }

  /** Says that `count` tags, sorted and not before `fromPs`, were written at the place `begin` gave. */
  append(count: number): void {
    if (count === 0) return;
    this.#count += count;
    if (!this.#isSpilling || this.#spill === null) return;
    const toPs = ps(this.#lastTimePs(this.#spill.slot) + 1n);
    const fromPs = this.#spilled?.fromPs ?? this.#fromPs;
    const lost = (this.#spilled?.count ?? 0) + count;
    this.#spilled = { fromPs, toPs, count: lost, cause: "host-overflow" };
  }

  /** Adds a loss that the next published block will carry. */
  addLoss(loss: LossInterval): void {
    this.#pendingLosses.push(loss);
  }

  /** Tells whether the open block should be published now. Ask again at least every `blockAgeMs`. */
  isDue(): boolean {
    if (this.#open === null) return false;
    if (this.#count === this.#tagsPerBlock) return true;
    const ageMs = this.#settings.clock.monotonicMs() - this.#open.openedMs;
    if (ageMs < this.#blockAgeMs) return false;
    return 4 * this.#memory.freeSlots(this.#range) >= this.#range.slots;
  }

  /**
   * Ends the open block at `toPs`, later than its last tag, and gives the descriptor to send to the
   * hub, which owns the block's one hold. Null when no slot is open: what was spilled stays counted
   * for the next block.
   */
  publish(end: {
    readonly toPs: Ps;
    readonly losses?: readonly LossInterval[];
  }): TagBlockDescriptor | null {
    if (end.losses !== undefined) this.#pendingLosses.push(...end.losses);
    if (this.#open === null) this.#openSlot();
    const open = this.#open;
    if (open === null) return null;
    const coveredPs = this.#spilled?.toPs ?? this.#fromPs;
    if (end.toPs < coveredPs || (this.#count > 0 && end.toPs <= this.#lastTimePs(open.slot))) {
      throw new RangeError(`a block that ends at ${end.toPs} ps holds later tags`);
    }
    const { streamId, clockId } = this.#settings;
    const descriptor: TagBlockDescriptor = {
      ...{ streamId, clockId, segment: this.#segment, sequence: this.#sequence++ },
      ...{ fromPs: this.#fromPs, toPs: end.toPs, count: this.#count },
      losses: this.#takeLosses(),
      ...{ slot: open.slot, generation: open.generation },
    };
    this.#fromPs = end.toPs;
    this.#open = null;
    this.#count = 0;
    return descriptor;
  }

  /**
   * Publishes the last block, which always finds a slot: a live writer's spill slot carries it, empty, when all
   * others are held. The writer is then done.
   */
  finish(end: { readonly toPs: Ps }): TagBlockDescriptor | null {
    if (this.#open === null) this.#openSlot();
    if (this.#open === null && this.#spill !== null) {
      this.#open = { ...this.#spill, openedMs: 0 };
      this.#spill = null;
      this.#isSpilling = false;
      this.#count = 0;
    }
    const block = this.publish(end);
    this.discard();
    return block;
  }

  /** Blocks this worker thread until a slot of the writer may be free, or `timeoutMs` passed. */
  waitForSlot(timeoutMs: number): void {
    const seen = this.#memory.releaseCount();
    if (this.#memory.freeSlots(this.#range) > 0) return;
    this.#memory.waitForRelease(seen, timeoutMs);
  }

  /** Gives all slots back unsent; for a producer that was told to stop. The writer is then done. */
  discard(): void {
    for (const slot of [this.#open, this.#spill]) {
      if (slot !== null) this.#memory.release({ ...slot, count: 0 });
    }
    this.#open = null;
    this.#spill = null;
    this.#count = 0;
  }

  #openSlot(): void {
    const acquired = this.#memory.acquire(this.#range);
    if (acquired === null) {
      this.#isSpilling = this.#settings.whenFull === "drop";
      return;
    }
    this.#isSpilling = false;
    this.#count = 0;
    this.#open = { ...acquired, openedMs: this.#settings.clock.monotonicMs() };
  }

  #takeLosses(): readonly LossInterval[] {
    const losses = this.#spilled === null ? [] : [this.#spilled];
    losses.push(...this.#pendingLosses);
    this.#spilled = null;
    this.#pendingLosses = [];
    return losses;
  }

  #lastTimePs(slot: number): bigint {
    const address = this.#memory.timesAddress(slot) + 8 * (this.#count - 1);
    return new BigInt64Array(this.#memory.memory.buffer, address, 1)[0] ?? 0n;
  }
}
