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

/**
 * Joins neighbouring losses until at most `lossesMax` are left. A joined one spans all of them, so it claims more time
 * lost than was, never less; its count is their sum, null when one is, and its cause is theirs, or `recorded` for several.
 */
export function joinLosses(
  losses: readonly LossInterval[],
  lossesMax: number,
): readonly LossInterval[] {
  if (losses.length <= lossesMax) return losses;
  const each = Math.ceil(losses.length / lossesMax);
  const joined: LossInterval[] = [];
  for (let index = 0; index < losses.length; index += each) {
    const [first, ...others] = losses.slice(index, index + each);
    if (first !== undefined) joined.push(others.reduce(joinTwo, first));
  }
  return joined;
}

function joinTwo(a: LossInterval, b: LossInterval): LossInterval {
  const first = a.fromPs < b.fromPs ? a : b;
  const last = a.toPs > b.toPs ? a : b;
  return {
    ...{ fromPs: first.fromPs, toPs: last.toPs },
    count: a.count === null || b.count === null ? null : a.count + b.count,
    cause: a.cause === b.cause ? a.cause : "recorded",
  };
}
