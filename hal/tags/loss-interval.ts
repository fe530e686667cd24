import type { Ps } from "../units.ts";

/** Why tags are missing. */
export type LossCause =
  /** The instrument's own buffer overflowed. */
  | "device-overflow"
  /** Bytes were lost or shifted between instrument and host, and the decoder found its place again. */
  | "desynchronised"
  /** The port went away while the stream was running. */
  | "disconnected"
  /** No block was free: the host could not keep up. */
  | "host-overflow"
  /** One subscriber held more blocks than its quota; nobody else lost anything. */
  | "subscriber-quota"
  /** A recording ends in the middle or holds a block that fails its checksum. */
  | "damaged-file"
  /** A recording says that tags are missing here. */
  | "recorded";

/** A stretch of a stream in which tags are missing. Times are offsets from the stream's epoch, [fromPs, toPs). */
export interface LossInterval {
  readonly fromPs: Ps;
  readonly toPs: Ps;
  /** How many tags were lost, null where the hardware cannot tell. */
  readonly count: number | null;
  readonly cause: LossCause;
}
