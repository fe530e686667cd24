/** What a streaming port's ingest worker and the main thread tell each other. */
import type { PortAttachment } from "../ports/port-attachment.ts";
import type { ErrorFacts } from "../ports/port-messages.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { RawFormat } from "./raw-decoder.ts";
import type { SlotRange, TagMemoryShare } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** What the worker starts with. */
export interface IngestSettings {
  readonly attachment: PortAttachment;
  readonly memory: TagMemoryShare;
  readonly kernels: WebAssembly.Module;
  /** Slots and scratch of the memory that are this port's own. */
  readonly range: SlotRange;
  readonly scratchAddress: number;
  /** How far the node's UTC is from the host's. */
  readonly utcOffsetPs: bigint;
}

/** How to run one stream. */
export interface StreamSettings {
  readonly streamId: string;
  readonly clockId: string;
  readonly format: RawFormat;
  /** What makes the instrument begin. */
  readonly startBytes: Uint8Array;
  /** How long until the first record may take. */
  readonly startTimeoutMs: number;
  /** What to send when nothing came for a while, and how often in vain before the stream counts as broken. */
  readonly idle: {
    readonly afterMs: number;
    readonly bytes: Uint8Array;
    readonly triesMax: number;
  };
  readonly blockAgeMs: number;
}

/** How to end one stream. */
export interface StreamStop {
  readonly stopBytes: Uint8Array;
  /** The instrument's last words: so many bytes, matching so; they are not part of the stream. */
  readonly tailBytes: number;
  readonly tailPattern: RegExp;
  /** The tail must be the last for so long. */
  readonly quietMs: number;
  readonly timeoutMs: number;
}

export type IngestRequest =
  | { readonly type: "send"; readonly requestId: number; readonly bytes: Uint8Array }
  | { readonly type: "start"; readonly requestId: number; readonly settings: StreamSettings }
  | { readonly type: "stop"; readonly requestId: number; readonly stop: StreamStop }
  | {
      readonly type: "finish";
      readonly requestId: number;
      readonly losses: readonly LossInterval[];
    }
  | { readonly type: "close" };

/** Counts of the running stream. */
export interface IngestCounts {
  readonly bytesReceived: number;
  readonly tagsDecoded: number;
  readonly desynchronisations: number;
}

/** When the stream's time zero was, UTC in ps, and how well that is known. */
export interface IngestAnchor {
  readonly utcPs: bigint;
  readonly uncertaintyPs: bigint;
}

export type IngestReport =
  | { readonly type: "attached" }
  | { readonly type: "received"; readonly bytes: Uint8Array }
  | { readonly type: "done"; readonly requestId: number }
  | { readonly type: "failed"; readonly requestId: number; readonly error: ErrorFacts }
  | { readonly type: "started"; readonly requestId: number; readonly anchor: IngestAnchor }
  | { readonly type: "block"; readonly block: TagBlockDescriptor }
  | { readonly type: "counts"; readonly counts: IngestCounts }
  | {
      readonly type: "stopped";
      readonly requestId: number;
      /** The tail, as latin1. */
      readonly tail: string;
      /** What the whole stream covered. */
      readonly fromPs: bigint;
      readonly toPs: bigint;
    }
  /** The stream broke; what was observed before has been delivered. */
  | { readonly type: "broken"; readonly error: ErrorFacts }
  /** The port is gone. */
  | { readonly type: "ended"; readonly error: ErrorFacts | null };
