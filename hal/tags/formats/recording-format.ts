/** What the readers of recordings have in common: names of formats, and how fixed-size records become tags. */
import { LabError, type LabErrorCode } from "../../errors.ts";

/** Recordings that can be read; found by content, or said by who opens the file. */
export type RecordingFormat =
  | "ptu-t2"
  | "s-fifteen-a1"
  | "s-fifteen-a1-legacy"
  | "tdc1-words"
  | "bwt";

/** Which kernel decodes a recording's records, and from where to where they lie; plain data that crosses threads. */
export interface RecordPlan {
  readonly kernel: "hydra-harp" | "pico-harp" | "a1" | "tdc1";
  readonly recordBytes: 4 | 8;
  /** First byte of the first record. */
  readonly firstRecordByte: number;
  readonly records: number;
  /** ps per tick; 1 where the kernel knows it. */
  readonly resolutionPs: number;
  readonly wrapTicks: number;
  /** An overflow record carries its number of wraps (PicoQuant version 2). */
  readonly countsWraps: boolean;
  readonly isLegacy: boolean;
  /** The stream starts at 0 as the file says; otherwise at its first record. */
  readonly startsAtZero: boolean;
}

/** What the head of a recording says. */
export interface RecordingHead {
  readonly format: RecordingFormat;
  /** null for the native format, whose blocks are found one by one. */
  readonly plan: RecordPlan | null;
  readonly tickPs: { readonly numerator: bigint; readonly denominator: bigint };
  readonly channels: readonly { readonly channel: number; readonly label: string }[];
  /** UTC of the stream's time zero in ps, and how well it is known; null where the file does not tell. */
  readonly startUtcPs: bigint | null;
  readonly startUncertaintyPs: bigint;
  readonly warnings: readonly string[];
  /** Records that the head promises and the file does not hold; null when it does not say how many there are. */
  readonly missingRecords: number | null;
  /** All that the head holds, for people: tags of a PTU file, snapshot and notes of a native recording. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Makes the error of a file that cannot be read: `message` goes on after the file's name. */
export const fileError = (
  code: LabErrorCode & `file.${string}`,
  path: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): LabError => new LabError(code, `${path} ${message}`, { details: { path, ...details } });
