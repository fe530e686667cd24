/** What the main thread and the thread that reads a recording tell each other. */
import type { LabErrorCode } from "../errors.ts";
import type { RecordPlan } from "./formats/recording-format.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { SlotRange, TagMemoryShare } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** Tags that are decoded and sorted at a time, before they go to slots. */
export const stagingTags = 131_072;
/** Bytes read from the file at a time, or the largest native block. */
export const inputBytes = 2 ** 20;

/** Byte offsets within a reader's scratch. `control` is a u32 that the main thread sets to 1 to stop. */
export const recordingScratch = {
  control: 0,
  state: 64,
  counts: 128,
  input: 2_048,
  times: 2_048 + inputBytes + 256,
  channels: 2_048 + inputBytes + 256 + 8 * stagingTags + 256,
  bytes: 2_048 + inputBytes + 256 + 9 * stagingTags + 512,
} as const;

/** A recording to read; posted as the worker's data. */
export interface RecordingJob {
  readonly share: TagMemoryShare;
  readonly kernels: WebAssembly.Module;
  readonly scratchAddress: number;
  readonly path: string;
  readonly fileBytes: number;
  /** null for the native format. */
  readonly plan: RecordPlan | null;
  readonly missingRecords: number | null;
  readonly warnings: readonly string[];
  readonly streamId: string;
  readonly clockId: string;
  /** Slots to fill; null to read for the facts alone. */
  readonly range: SlotRange | null;
  readonly tagsPerBlockMax: number;
  /** Tags may be this much out of order; later ones are lost and counted. */
  readonly reorderWindowPs: bigint;
}

/** What a whole pass over a recording found. */
export interface RecordingFacts {
  /** Records, or blocks of tags in the native format. */
  readonly records: number;
  readonly tags: number;
  /** Tags by channel, of channels that occur. */
  readonly channels: Readonly<Record<number, number>>;
  /** Times of the first and last tag, ps from the stream's epoch; null without tags. */
  readonly firstPs: bigint | null;
  readonly lastPs: bigint | null;
  /** Up to where the recording covers time. */
  readonly toPs: bigint;
  /** False when tags had to be put in order. */
  readonly sorted: boolean;
  readonly losses: readonly LossInterval[];
  /** Sum of the losses; null when one of them cannot be counted. */
  readonly lostTags: number | null;
  readonly warnings: readonly string[];
}

/** What the reading thread posts. */
export type RecordingMessage =
  | { readonly kind: "block"; readonly block: TagBlockDescriptor }
  | { readonly kind: "end"; readonly facts: RecordingFacts }
  | { readonly kind: "stopped" }
  | {
      readonly kind: "error";
      readonly code: LabErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
