/**
 * The one fixed-size shared WebAssembly memory in which time tags live: slots of two columns (time i64,
 * channel u8) and regions of scratch for kernels. Constructed on the main thread, attached in workers.
 *
 *     0                 static data of the kernel modules (their --memoryBase, 64 KiB each)
 *     1 MiB             slot table: one u32 a slot, then the release counter (u32)
 *     slotsAddress      slot 0: times 8 x tagsPerBlock, slack, channels 1 x tagsPerBlock, slack; slot 1 ...
 *     scratchAddress    regions given out by `allocate`
 *
 * Slot word: bits 31-10 generation, 9-0 holds. Both are in one word because a hold is only worth
 * having on the generation it was asked for, and two cells cannot be compared and swapped together.
 * The size is fixed because growing detaches or shortens views in every thread; untouched pages cost nothing.
 */
import { LabError } from "../errors.ts";

const kernelStaticBytes = 2 ** 20;
const wasmPageBytes = 65_536;
const memoryBytesMax = 2 ** 32;
/** V8 surrounds every memory with unmapped pages instead of checking bounds, and reserves so much whatever its size. */
const addressSpaceGib = 10;
/** SIMD kernels may read and write this far beyond a column's last tag. */
const slackBytes = 128;
const holdBits = 10;
const holdsMax = 2 ** holdBits - 1;
const holdMask = holdsMax;
const generationMask = 2 ** (32 - holdBits) - 1;

/** Where things are in the memory; plain data that crosses threads. Addresses and sizes in bytes. */
export interface TagMemoryLayout {
  readonly bytes: number;
  readonly slots: number;
  readonly tagsPerBlock: number;
  readonly slotTableAddress: number;
  readonly releaseCounterAddress: number;
  readonly slotsAddress: number;
  readonly slotBytes: number;
  readonly channelsWithinSlot: number;
  readonly scratchAddress: number;
}

/** What a worker is posted to attach to the memory. */
export interface TagMemoryShare {
  readonly memory: WebAssembly.Memory;
  readonly layout: TagMemoryLayout;
}

/** How much memory to reserve. */
export interface TagMemorySettings {
  /** Blocks that can be held at a time, over all streams; 256 by default, 590 kB each. */
  readonly slots?: number;
  /** Tags a block holds at most; 65,536 by default. */
  readonly tagsPerBlock?: number;
  /** Room for kernel scratch; 64 MiB by default. */
  readonly scratchBytes?: number;
}

/** Consecutive slots that belong to one producer. */
export interface SlotRange {
  readonly firstSlot: number;
  readonly slots: number;
}

/** A slot and its generation: what a block descriptor says of its columns. */
export interface SlotReference {
  readonly slot: number;
  readonly generation: number;
  readonly count: number;
}

/** A stretch of scratch, its owner's until disposed. */
export interface ScratchRegion extends Disposable {
  readonly address: number;
  readonly bytes: number;
}

const alignUp = (value: number, alignment: number): number =>
  Math.ceil(value / alignment) * alignment;

function layOut(settings: TagMemorySettings): TagMemoryLayout {
  const { slots = 256, tagsPerBlock = 65_536, scratchBytes = 2 ** 26 } = settings;
  for (const [name, value] of Object.entries({ slots, tagsPerBlock, scratchBytes })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a positive integer, not ${value}`);
    }
  }
  const slotTableAddress = kernelStaticBytes;
  const releaseCounterAddress = slotTableAddress + 4 * slots;
  const slotsAddress = alignUp(releaseCounterAddress + 4, 128);
  const channelsWithinSlot = alignUp(8 * tagsPerBlock + slackBytes, 128);
  const slotBytes = channelsWithinSlot + alignUp(tagsPerBlock + slackBytes, 128);
  const scratchAddress = slotsAddress + slots * slotBytes;
  const bytes = alignUp(scratchAddress + scratchBytes, wasmPageBytes);
  return {
    ...{ bytes, slots, tagsPerBlock, slotTableAddress, releaseCounterAddress },
    ...{ slotsAddress, slotBytes, channelsWithinSlot, scratchAddress },
  };
}

function memoryRefused(layout: TagMemoryLayout, reason: string, cause?: unknown): LabError {
  return new LabError(
    "tags.memory",
    `tag memory of ${Math.ceil(layout.bytes / 2 ** 20)} MiB cannot be had: ${reason}`,
    { details: { bytes: layout.bytes, slots: layout.slots }, cause },
  );
}

function reserve(layout: TagMemoryLayout): WebAssembly.Memory {
  if (layout.bytes > memoryBytesMax) {
    throw memoryRefused(
      layout,
      "a WebAssembly memory ends at 4096 MiB; ask for fewer slots or less scratch",
    );
  }
  const pages = layout.bytes / wasmPageBytes;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw memoryRefused(
      layout,
      `node reserves ${addressSpaceGib} GiB of address space for any WebAssembly memory and the system refused; raise ulimit -v`,
      error,
    );
  }
}

/** Shared tag memory as one thread sees it. */
export class TagMemory {
  readonly memory: WebAssembly.Memory;
  readonly layout: TagMemoryLayout;
  readonly #slotWords: Int32Array;
  readonly #releaseCounter: Int32Array;
  readonly #ownsAllocation: boolean;
  /** Holds that `retain` took in this thread, by slot: what is left of a producer that ended is told from them. */
  readonly #retained: Uint16Array;
  #freeRegions: { address: number; bytes: number }[];
  #slotsTaken: SlotRange[] = [];

  /** Reserves the memory; its pages cost nothing until touched. @throws LabError `tags.memory`. */
  static create(settings: TagMemorySettings = {}): TagMemory {
    const layout = layOut(settings);
    return new TagMemory({ memory: reserve(layout), layout }, true);
  }

  /** Attaches to a memory that another thread created and posted. */
  static attach(share: TagMemoryShare): TagMemory {
    return new TagMemory(share, false);
  }

  private constructor({ memory, layout }: TagMemoryShare, ownsAllocation: boolean) {
    this.memory = memory;
    this.layout = layout;
    this.#ownsAllocation = ownsAllocation;
    this.#slotWords = new Int32Array(memory.buffer, layout.slotTableAddress, layout.slots);
    this.#releaseCounter = new Int32Array(memory.buffer, layout.releaseCounterAddress, 1);
    this.#retained = new Uint16Array(layout.slots);
    const { scratchAddress: address, bytes } = layout;
    this.#freeRegions = [{ address, bytes: bytes - address }];
  }

  /** What to post to a worker that shall attach. */
  get share(): TagMemoryShare {
    return { memory: this.memory, layout: this.layout };
  }

  timesAddress(slot: number): number {
    return this.layout.slotsAddress + slot * this.layout.slotBytes;
  }

  channelsAddress(slot: number): number {
    return this.timesAddress(slot) + this.layout.channelsWithinSlot;
  }

  /** The time column of a block. @throws LabError `tags.stale` once the slot was recycled. */
  times(block: SlotReference): BigInt64Array {
    this.#assertFresh(block);
    return new BigInt64Array(this.memory.buffer, this.timesAddress(block.slot), block.count);
  }

  /** The channel column of a block. @throws LabError `tags.stale` once the slot was recycled. */
  channels(block: SlotReference): Uint8Array {
    this.#assertFresh(block);
    return new Uint8Array(this.memory.buffer, this.channelsAddress(block.slot), block.count);
  }

  /** Tells whether the block can still be read: its slot is held and was not recycled. */
  isFresh(block: SlotReference): boolean {
    const word = Atomics.load(this.#slotWords, block.slot);
    return word >>> holdBits === block.generation && (word & holdMask) > 0;
  }

  /** Takes one more hold of a block, for `releaseRetained` in this thread; false when it is stale. */
  retain(block: SlotReference): boolean {
    for (;;) {
      const word = Atomics.load(this.#slotWords, block.slot);
      const holds = word & holdMask;
      if (word >>> holdBits !== block.generation || holds === 0) return false;
      if (holds === holdsMax) throw new RangeError(`slot ${block.slot} is held ${holds} times`);
      if (Atomics.compareExchange(this.#slotWords, block.slot, word, word + 1) !== word) continue;
      this.#retained[block.slot] = (this.#retained[block.slot] ?? 0) + 1;
      return true;
    }
  }

  /** Gives back a hold that `retain` took in this thread. */
  releaseRetained(block: SlotReference): void {
    this.release(block);
    this.#retained[block.slot] = (this.#retained[block.slot] ?? 1) - 1;
  }

  /** Gives the producer's hold back; the slot is free after the last one, and a producer that waits for it wakes. */
  release(block: SlotReference): void {
    for (;;) {
      const word = Atomics.load(this.#slotWords, block.slot);
      if (word >>> holdBits !== block.generation || (word & holdMask) === 0) {
        throw new RangeError(`slot ${block.slot} was released more often than it was held`);
      }
      if (Atomics.compareExchange(this.#slotWords, block.slot, word, word - 1) === word) break;
    }
    Atomics.add(this.#releaseCounter, 0, 1);
    Atomics.notify(this.#releaseCounter, 0);
  }

  /** Takes a free slot of the range with one hold and a new generation; null when none is free. */
  acquire(range: SlotRange): { readonly slot: number; readonly generation: number } | null {
    for (let slot = range.firstSlot; slot < range.firstSlot + range.slots; slot++) {
      const word = Atomics.load(this.#slotWords, slot);
      if ((word & holdMask) !== 0) continue;
      const generation = ((word >>> holdBits) + 1) & generationMask;
      const held = (generation << holdBits) | 1 | 0;
      if (Atomics.compareExchange(this.#slotWords, slot, word, held) === word) {
        return { slot, generation };
      }
    }
    return null;
  }

  /** Counts the free slots of a range: a file source's credits. */
  freeSlots(range: SlotRange): number {
    let free = 0;
    for (let slot = range.firstSlot; slot < range.firstSlot + range.slots; slot++) {
      if ((Atomics.load(this.#slotWords, slot) & holdMask) === 0) free++;
    }
    return free;
  }

  /** A number that changes whenever a hold is given back. */
  releaseCount(): number {
    return Atomics.load(this.#releaseCounter, 0);
  }

  /** Blocks this worker thread until `releaseCount` differs from `seen`, or `timeoutMs` passed. */
  waitForRelease(seen: number, timeoutMs: number): void {
    Atomics.wait(this.#releaseCounter, 0, seen, timeoutMs);
  }

  /**
   * Gives slots to one producer, until disposed: then the producer must have ended, and what it held is free, while
   * what this thread retained stays. Only the thread that created the memory gives out, and only it may retain.
   * @throws LabError `tags.memory` when so many are not left.
   */
  allocateSlots(slots: number): SlotRange & Disposable {
    this.#assertOwner();
    let firstSlot = 0;
    for (const taken of this.#slotsTaken) {
      if (taken.firstSlot - firstSlot >= slots) break;
      firstSlot = taken.firstSlot + taken.slots;
    }
    if (firstSlot + slots > this.layout.slots) {
      throw new LabError(
        "tags.memory",
        `no ${slots} consecutive slots of the ${this.layout.slots} in tag memory are left for another stream: give tag memory more slots`,
        { details: { slots } },
      );
    }
    const range = { firstSlot, slots };
    this.#slotsTaken = [...this.#slotsTaken, range].sort((a, b) => a.firstSlot - b.firstSlot);
    const giveBack = (): void => {
      if (!this.#slotsTaken.includes(range)) return;
      this.#slotsTaken = this.#slotsTaken.filter((taken) => taken !== range);
      this.#freeProducerHolds(range);
    };
    return { ...range, [Symbol.dispose]: giveBack };
  }

  /** A producer that was ended in the middle leaves open slots behind. */
  #freeProducerHolds({ firstSlot, slots }: SlotRange): void {
    for (let slot = firstSlot; slot < firstSlot + slots; slot++) {
      const word = Atomics.load(this.#slotWords, slot);
      const generation = word >>> holdBits;
      const left = (word & holdMask) - (this.#retained[slot] ?? 0);
      for (let hold = 0; hold < left; hold++) this.release({ slot, generation, count: 0 });
    }
  }

  /**
   * Gives a zeroed region of scratch, aligned to 128 bytes, until disposed. Only the thread that
   * created the memory gives out; workers are posted addresses. @throws LabError `tags.memory`.
   */
  allocate(bytes: number): ScratchRegion {
    this.#assertOwner();
    const size = alignUp(Math.max(bytes, 1), 128);
    const index = this.#freeRegions.findIndex((region) => region.bytes >= size);
    const region = this.#freeRegions[index];
    if (region === undefined) {
      throw new LabError(
        "tags.memory",
        `no ${bytes} bytes of scratch are left in tag memory: give it more scratchBytes, or ask for a smaller range or fewer bins`,
        { details: { bytes } },
      );
    }
    const { address } = region;
    const rest = { address: address + size, bytes: region.bytes - size };
    this.#freeRegions.splice(index, 1, ...(rest.bytes > 0 ? [rest] : []));
    new Uint8Array(this.memory.buffer, address, size).fill(0);
    let isFreed = false;
    const free = (): void => {
      if (!isFreed) this.#freeRegion({ address, bytes: size });
      isFreed = true;
    };
    return { address, bytes, [Symbol.dispose]: free };
  }

  #freeRegion(freed: { address: number; bytes: number }): void {
    const regions = [...this.#freeRegions, freed].sort((a, b) => a.address - b.address);
    const merged: { address: number; bytes: number }[] = [];
    for (const region of regions) {
      const last = merged.at(-1);
      if (last !== undefined && last.address + last.bytes === region.address) {
        last.bytes += region.bytes;
      } else {
        merged.push({ ...region });
      }
    }
    this.#freeRegions = merged;
  }

  #assertOwner(): void {
    if (!this.#ownsAllocation) {
      throw new TypeError("only the thread that created the tag memory gives out parts of it");
    }
  }

  #assertFresh(block: SlotReference): void {
    if (this.isFresh(block)) return;
    throw new LabError(
      "tags.stale",
      `the block in slot ${block.slot} was recycled: read it during its delivery, or retain it`,
      { details: { slot: block.slot, generation: block.generation } },
    );
  }
}
