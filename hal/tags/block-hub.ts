/**
 * Turns block descriptors into blocks and hands each to every subscriber, on the main thread.
 *
 * The hub holds a block while the synchronous delivery lasts and then lets it go: a subscriber that
 * wants it longer retains it against its own quota. Over its quota it gets null and a loss in its
 * quota's books; the other subscribers and the producer notice nothing.
 */
import { type Observable, Subject } from "rxjs";
import type { LabError } from "../errors.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { TagMemory } from "./tag-memory.ts";
import type { RetainedBlock, RetainQuota, TagBlock, TagBlockDescriptor } from "./tag-stream.ts";

/** Loss intervals a quota lists; beyond that the last one grows, so that a stuck holder costs no memory. */
const quotaLossesMax = 1_000;

/** A quota's books; made by `createRetainQuota`. */
class Quota implements RetainQuota {
  readonly holder: string;
  readonly blocksMax: number;
  held = 0;
  readonly #losses: LossInterval[] = [];

  constructor(holder: string, blocksMax: number) {
    this.holder = holder;
    this.blocksMax = blocksMax;
  }

  get losses(): readonly LossInterval[] {
    return this.#losses;
  }

  refuse({ fromPs, toPs, count }: TagBlockDescriptor): void {
    const last = this.#losses.at(-1);
    const adjoins = last !== undefined && last.toPs === fromPs;
    if (last !== undefined && (adjoins || this.#losses.length >= quotaLossesMax)) {
      const grown = { ...last, toPs, count: (last.count ?? 0) + count };
      this.#losses[this.#losses.length - 1] = grown;
      return;
    }
    this.#losses.push({ fromPs, toPs, count, cause: "subscriber-quota" });
  }
}

/** Creates the quota of one named subscriber: it may hold `blocksMax` blocks at a time. */
export function createRetainQuota(holder: string, blocksMax: number): RetainQuota {
  if (!Number.isInteger(blocksMax) || blocksMax < 1) {
    throw new RangeError(`a quota is a positive number of blocks, not ${blocksMax}`);
  }
  return new Quota(holder, blocksMax);
}

function retainBlock(memory: TagMemory, block: TagBlock, quota: RetainQuota): RetainedBlock | null {
  if (!(quota instanceof Quota)) throw new TypeError("quotas are made by createRetainQuota");
  if (quota.held >= quota.blocksMax || !memory.retain(block)) {
    quota.refuse(block);
    return null;
  }
  quota.held++;
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    quota.held--;
    memory.releaseRetained(block);
  };
  return { block, [Symbol.dispose]: release };
}

/** Gives the readable block of a descriptor, in any thread that is attached to the memory. */
export function readableBlock(memory: TagMemory, descriptor: TagBlockDescriptor): TagBlock {
  const block: TagBlock = {
    ...descriptor,
    times: () => memory.times(descriptor),
    channels: () => memory.channels(descriptor),
    retain: (quota) => retainBlock(memory, block, quota),
  };
  return block;
}

/** Multicasts one stream's blocks. */
export class BlockHub {
  readonly #memory: TagMemory;
  readonly #blocks = new Subject<TagBlock>();

  constructor(memory: TagMemory) {
    this.#memory = memory;
  }

  /** Hot; a subscriber that throws does not keep the others from the block. */
  get blocks$(): Observable<TagBlock> {
    return this.#blocks.asObservable();
  }

  /** Delivers a block to all subscribers and lets go of the producer's hold. */
  deliver(descriptor: TagBlockDescriptor): void {
    try {
      this.#blocks.next(readableBlock(this.#memory, descriptor));
    } finally {
      this.#memory.release(descriptor);
    }
  }

  /** Lets go of a block unseen: the stream was stopped while the descriptor was on its way. */
  discard(descriptor: TagBlockDescriptor): void {
    this.#memory.release(descriptor);
  }

  complete(): void {
    this.#blocks.complete();
  }

  fail(error: LabError): void {
    this.#blocks.error(error);
  }
}
