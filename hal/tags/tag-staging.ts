/**
 * Where a recording's tags wait between decoding and their slot: sorted there within a window, counted, and
 * copied into blocks so that no two blocks share a picosecond. Used in the reading thread.
 */
import { systemClock } from "../clock.ts";
import { ps } from "../units.ts";
import { BlockWriter } from "./block-writer.ts";
import type { LossInterval } from "./loss-interval.ts";
import {
  type RecordingFacts,
  type RecordingJob,
  recordingScratch,
  stagingTags,
} from "./recording-job.ts";
import type { TagKernels } from "./tag-kernels.ts";
import type { TagMemory } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** Losses that the facts list; the rest only counts. */
const lossesMax = 1_000;
const slotWaitMs = 50;

/** Thrown through the reader's loop when the main thread wants no more blocks. */
export class StopRequest extends Error {}

/** Sorts, counts and hands on. */
export class TagStaging {
  readonly #job: RecordingJob;
  readonly #memory: TagMemory;
  readonly #kernels: TagKernels;
  readonly #emit: (block: TagBlockDescriptor) => void;
  readonly #writer: BlockWriter | null;
  readonly #times: BigInt64Array;
  readonly #channels: Uint8Array;
  readonly #control: Int32Array;
  readonly #counts: Uint32Array;
  readonly #channelTotals = new Map<number, number>();
  readonly #losses: LossInterval[] = [];
  #lostTags: number | null = 0;
  #held = 0;
  #tags = 0;
  #firstPs: bigint | null = null;
  #lastPs: bigint | null = null;
  #toPs = 0n;
  #sorted = true;
  #late = 0;

  constructor(
    job: RecordingJob,
    memory: TagMemory,
    kernels: TagKernels,
    emit: (block: TagBlockDescriptor) => void,
  ) {
    this.#job = job;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#emit = emit;
    const { buffer } = memory.memory;
    const { scratchAddress } = job;
    this.#times = new BigInt64Array(buffer, scratchAddress + recordingScratch.times, stagingTags);
    this.#channels = new Uint8Array(
      buffer,
      scratchAddress + recordingScratch.channels,
      stagingTags,
    );
    this.#control = new Int32Array(buffer, scratchAddress + recordingScratch.control, 1);
    this.#counts = new Uint32Array(buffer, scratchAddress + recordingScratch.counts, 256);
    const { streamId, clockId, range, tagsPerBlockMax } = job;
    this.#writer =
      range === null
        ? null
        : new BlockWriter(memory, {
            ...{ streamId, clockId, range, tagsPerBlockMax },
            ...{ whenFull: "wait", clock: systemClock },
          });
  }

  /** Where the next decoded tags go, and how many fit. */
  room(): { readonly times: number; readonly channels: number; readonly capacity: number } {
    return {
      times: this.#times.byteOffset + 8 * this.#held,
      channels: this.#channels.byteOffset + this.#held,
      capacity: stagingTags - this.#held,
    };
  }

  /** Takes `count` tags that were written to the room; passes on those that nothing later can precede. */
  append(count: number): void {
    this.#checkStop();
    if (count === 0) return;
    const { times } = this.room();
    const before = this.#lastPs ?? -(2n ** 63n);
    const disorder = this.#kernels.findDisorder(times, count, before);
    let added = count;
    if (disorder < count) {
      this.#sorted = false;
      added = this.#dropLate(count, before);
      const total = this.#held + added;
      const [first, firstChannel] = [this.#times.byteOffset, this.#channels.byteOffset];
      this.#kernels.sortNearlySorted(
        first,
        firstChannel,
        total,
        this.#held + Math.min(disorder, added),
      );
    }
    this.#held += added;
    const last = this.#times[this.#held - 1];
    if (last === undefined) return;
    this.#lastPs = last;
    this.#pass(
      this.#kernels.lowerBound(
        this.#times.byteOffset,
        this.#held,
        last - this.#job.reorderWindowPs,
      ),
    );
  }

  /** Passes on all tags that wait, up to the end of a stretch that nothing crosses. */
  settle(): void {
    this.#pass(this.#held);
  }

  /** Starts to cover at `fromPs`. */
  start(fromPs: bigint, newSegment: boolean): void {
    this.#toPs = fromPs;
    this.#writer?.start(ps(fromPs), { newSegment });
  }

  /** Ends a block at `toPs`, with these losses, after all its tags were settled. */
  close(toPs: bigint, losses: readonly LossInterval[]): void {
    for (const loss of losses) this.#noteLoss(loss);
    this.#toPs = toPs;
    if (this.#writer === null) return;
    for (;;) {
      const block = this.#writer.publish({ toPs: ps(toPs), losses: [] });
      if (block !== null) {
        this.#emit({ ...block, losses: [...block.losses, ...losses] });
        return;
      }
      this.#waitForSlot();
    }
  }

  /** Gives the open slot back. */
  discard(): void {
    this.#writer?.discard();
  }

  /** Time of the last tag so far, null before the first. */
  get lastPs(): bigint | null {
    return this.#lastPs;
  }

  facts(records: number, warnings: readonly string[]): RecordingFacts {
    const late =
      this.#late === 0
        ? []
        : [
            `${this.#late} tags came more than ${this.#job.reorderWindowPs} ps out of order and are lost: raise the reorder window`,
          ];
    return {
      ...{ records, tags: this.#tags, channels: Object.fromEntries(this.#channelTotals) },
      ...{ firstPs: this.#firstPs, lastPs: this.#lastPs, toPs: this.#toPs, sorted: this.#sorted },
      ...{ losses: this.#losses, lostTags: this.#lostTags },
      warnings: [...warnings, ...late],
    };
  }

  /** Drops what came so late that its block may be gone, and closes the gaps; gives how many tags stay. */
  #dropLate(count: number, before: bigint): number {
    const start = this.#held;
    let newest = before;
    let kept = start;
    for (let at = start; at < start + count; at++) {
      const time = this.#times[at] ?? 0n;
      if (time < newest - this.#job.reorderWindowPs) {
        this.#late++;
        const loss = { fromPs: ps(time), toPs: ps(time + 1n), count: 1 };
        this.#noteLoss({ ...loss, cause: "damaged-file" });
        this.#writer?.addLoss({ ...loss, cause: "damaged-file" });
        continue;
      }
      if (time > newest) newest = time;
      this.#times[kept] = time;
      this.#channels[kept] = this.#channels[at] ?? 0;
      kept++;
    }
    return kept - start;
  }

  #noteLoss(loss: LossInterval): void {
    this.#lostTags =
      this.#lostTags === null || loss.count === null ? null : this.#lostTags + loss.count;
    if (this.#losses.length < lossesMax) this.#losses.push(loss);
  }

  #pass(count: number): void {
    if (count === 0) return;
    this.#firstPs ??= this.#times[0] ?? null;
    this.#tags += count;
    this.#countChannels(count);
    for (let from = 0; this.#writer !== null && from < count; ) from += this.#fill(from, count);
    this.#times.copyWithin(0, count, this.#held);
    this.#channels.copyWithin(0, count, this.#held);
    this.#held -= count;
  }

  /** Copies tags into the open block and publishes it when it is full; gives how many went. */
  #fill(from: number, count: number): number {
    const writer = this.#writer;
    const room = writer?.begin() ?? null;
    if (writer === null || room === null) {
      this.#waitForSlot();
      return 0;
    }
    const fitting = Math.min(room.capacity, count - from);
    const length = this.#lengthBetweenTimes(from, fitting, count, writer.count > 0);
    const { buffer } = this.#memory.memory;
    const source = this.#times.subarray(from, from + length);
    new BigInt64Array(buffer, room.timesAddress, length).set(source);
    new Uint8Array(buffer, room.channelsAddress, length).set(
      this.#channels.subarray(from, from + length),
    );
    writer.append(length);
    const isFull = length === room.capacity || length < count - from;
    if (isFull) this.#publishBefore(from + length, count);
    return length;
  }

  #publishBefore(next: number, count: number): void {
    const last = this.#times[next - 1] ?? 0n;
    const following = next < count ? (this.#times[next] ?? 0n) : last + 1n;
    const toPs = following > last ? following : last + 1n;
    const block = this.#writer?.publish({ toPs: ps(toPs) }) ?? null;
    if (block !== null) this.#emit(block);
  }

  /** Shortens a stretch so that the tag behind it has another time than its last; 0 when the block must end first. */
  #lengthBetweenTimes(from: number, length: number, count: number, hasTags: boolean): number {
    let shorter = length;
    while (
      shorter > 0 &&
      from + shorter < count &&
      this.#times[from + shorter] === this.#times[from + shorter - 1]
    ) {
      shorter--;
    }
    return shorter > 0 || hasTags ? shorter : length;
  }

  #countChannels(count: number): void {
    const { channels } = recordingScratch;
    const at = this.#job.scratchAddress + channels;
    this.#counts.fill(0);
    this.#kernels.countChannels(at, count, 256, this.#counts.byteOffset);
    this.#counts.forEach((counted, channel) => {
      if (counted > 0) {
        this.#channelTotals.set(channel, (this.#channelTotals.get(channel) ?? 0) + counted);
      }
    });
  }

  #waitForSlot(): void {
    this.#checkStop();
    this.#writer?.waitForSlot(slotWaitMs);
  }

  #checkStop(): void {
    if (Atomics.load(this.#control, 0) !== 0) throw new StopRequest();
  }
}
