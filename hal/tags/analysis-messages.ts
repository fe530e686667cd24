/** What the main thread and the analysing thread tell each other. */
import type { LabErrorCode } from "../errors.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { AnalysisReport, MeasurementSpec } from "./measurements.ts";
import type { TagMemoryShare } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** The analysis to run; posted as the worker's data. */
export interface AnalysisJob {
  readonly share: TagMemoryShare;
  readonly kernels: WebAssembly.Module;
  readonly specs: readonly MeasurementSpec[];
  readonly address: number;
  readonly historyTagsMax: number;
  /** Above every channel that occurs. */
  readonly channelLimit: number;
  readonly reportEveryMs: number;
}

/** What the main thread posts. Blocks are held until the thread says that it took them, in order. */
export type AnalysisRequest =
  | { readonly kind: "block"; readonly block: TagBlockDescriptor }
  | { readonly kind: "missed"; readonly loss: LossInterval }
  | { readonly kind: "finish" };

/** What the analysing thread posts. */
export type AnalysisMessage =
  | { readonly kind: "taken" }
  | { readonly kind: "report"; readonly report: AnalysisReport }
  | {
      readonly kind: "error";
      readonly code: LabErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
