/**
 * Time tags as a stream of blocks. JavaScript and RxJS handle descriptors of blocks, never single tags;
 * the tags themselves are two columns in one shared WebAssembly memory (tag-memory.ts), where kernels work.
 */
import type { Observable } from "rxjs";
import type { Ps } from "../units.ts";
import type { LossInterval } from "./loss-interval.ts";

/** When a stream's time zero was, in coordinated universal time, and how well that is known. */
export interface UtcAnchor {
  readonly utcPs: Ps;
  readonly uncertaintyPs: Ps;
}

/** What a block says about itself; plain data that crosses threads. */
export interface TagBlockDescriptor {
  readonly streamId: string;
  /** Names the oscillator that timed the tags; blocks of different clocks merge only through a ClockModel. */
  readonly clockId: string;
  /** Counts up after a restart, a reconnect, a loss of place in the byte stream or a change of reference. */
  readonly segment: number;
  /** Counts blocks of the stream from 0; a gap means that this subscriber lost blocks. */
  readonly sequence: number;
  /** The block covers [fromPs, toPs), offsets from the stream's epoch; silence observed is data too. */
  readonly fromPs: Ps;
  readonly toPs: Ps;
  /** How many tags the block holds, 0 to the memory's `tagsPerBlock`, sorted by time. */
  readonly count: number;
  readonly losses: readonly LossInterval[];
  /** Where the columns are: slot of the tag memory, and the slot's generation when it was written. */
  readonly slot: number;
  readonly generation: number;
}

/** A block as a subscriber sees it. Valid while the `next` call lasts; `retain` to keep it longer. */
export interface TagBlock extends TagBlockDescriptor {
  /** The time column: offsets from the stream's epoch in ps. @throws LabError `tags.stale` once recycled. */
  times(): BigInt64Array;
  /** The channel column, 0-based inputs. @throws LabError `tags.stale` once recycled. */
  channels(): Uint8Array;
  /**
   * Keeps the block beyond this call, counted against `quota`. Gives null when the quota is spent or the
   * block is stale: this subscriber alone then has a loss, which the quota has counted.
   */
  retain(quota: RetainQuota): RetainedBlock | null;
}

/** A block that stays readable until it is disposed. */
export interface RetainedBlock extends Disposable {
  readonly block: TagBlock;
}

/** How many blocks one named subscriber may keep at a time, and what it lost by asking for more. */
export interface RetainQuota {
  readonly holder: string;
  readonly blocksMax: number;
  readonly held: number;
  /** Blocks refused so far, each a loss interval of cause `subscriber-quota`. */
  readonly losses: readonly LossInterval[];
}

/** A tagger's or a recording's tags. */
export interface TagStream {
  readonly streamId: string;
  readonly clockId: string;
  /** Inputs that can occur, 0-based, with the label printed on the box or given by the station. */
  readonly channels: readonly { readonly channel: number; readonly label: string }[];
  /** The smallest time step of the instrument; times are multiples of it plus a constant. */
  readonly tickPs: { readonly numerator: bigint; readonly denominator: bigint };
  /** Zero of `fromPs`, `toPs` and the time column: UTC in ps, known to `anchor.uncertaintyPs`. */
  readonly epochPs: Ps;
  readonly anchor: UtcAnchor;
  /** Hot for live sources, cold and paced by its subscriber for files; errors with a LabError, completes at the end. */
  readonly blocks$: Observable<TagBlock>;
}
