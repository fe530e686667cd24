import type { DiscardCause } from "./key-events.ts";
import { joinSifted, type SiftedBits, siftDigest, sliceSifted } from "./sift.ts";

/**
 * Sifted bits that wait for a block, in order. A block never mixes incarnations: what is left of one when the next
 * has begun and no block can be made of it is discarded. Bits leave once; records that come again are refused. A
 * backlog that went into a change is spent: what left it, or was thrown away, is overwritten there.
 */
export interface SiftedBacklog {
  readonly chunks: readonly SiftedBits[];
  /** The newest incarnation and the sequence up to which its records have been seen. */
  readonly incarnation: string | null;
  readonly seenSequence: bigint;
  /** Incarnations that are over, newest last; at most `endedMax`. */
  readonly ended: readonly string[];
}

/** Bits thrown away, and why. */
export interface Discarded {
  readonly bits: number;
  readonly cause: DiscardCause;
}

/** A backlog after a change and what the change threw away. */
export interface BacklogChange {
  readonly backlog: SiftedBacklog;
  readonly discarded: readonly Discarded[];
}

/** A change that may also have taken a block out. */
export interface BacklogTake extends BacklogChange {
  readonly taken: SiftedBits | null;
}

const endedMax = 64;

export const emptyBacklog: SiftedBacklog = {
  chunks: [],
  incarnation: null,
  seenSequence: 0n,
  ended: [],
};

const countBits = (chunks: readonly SiftedBits[]): number =>
  chunks.reduce((sum, chunk) => sum + chunk.bits.length, 0);

const wipe = (chunks: readonly SiftedBits[]): void => {
  for (const { bits } of chunks) bits.fill(0);
};

/** Moves chunks of one incarnation, in order, into fresh memory; they are overwritten. */
function joinAndWipe(chunks: readonly SiftedBits[]): SiftedBits {
  const joined = joinSifted(chunks);
  wipe(chunks);
  return joined;
}

/** Counts the bits that wait. */
export const backlogBits = (backlog: SiftedBacklog): number => countBits(backlog.chunks);

const noting = (bits: number, cause: DiscardCause): readonly Discarded[] =>
  bits === 0 ? [] : [{ bits, cause }];

/** Adds sifted bits; beyond `bitsMax` the oldest chunks go. */
export function pushSifted(
  backlog: SiftedBacklog,
  sifted: SiftedBits,
  bitsMax: number,
): BacklogChange {
  const isCurrent = sifted.incarnation === backlog.incarnation;
  const isRepeated = isCurrent
    ? sifted.firstSequence < backlog.seenSequence
    : backlog.ended.includes(sifted.incarnation);
  if (isRepeated) {
    wipe([sifted]);
    return { backlog, discarded: [{ bits: sifted.bits.length, cause: "repeated-records" }] };
  }
  const ended =
    isCurrent || backlog.incarnation === null
      ? backlog.ended
      : [...backlog.ended, backlog.incarnation].slice(-endedMax);
  const chunks = sifted.bits.length === 0 ? backlog.chunks : [...backlog.chunks, sifted];
  const waiting = countBits(chunks);
  let [kept, first] = [waiting, 0];
  while (kept > bitsMax && first < chunks.length - 1) kept -= chunks[first++]?.bits.length ?? 0;
  wipe(chunks.slice(0, first));
  return {
    backlog: {
      chunks: chunks.slice(first),
      incarnation: sifted.incarnation,
      seenSequence: sifted.endSequence,
      ended,
    },
    discarded: noting(waiting - kept, "backlog-full"),
  };
}

/** Takes the oldest `count` bits of one incarnation, if there are as many. */
export function takeOldest(backlog: SiftedBacklog, count: number): BacklogTake {
  let chunks = backlog.chunks;
  let lost = 0;
  for (let head = chunks[0]; head !== undefined; head = chunks[0]) {
    const { incarnation } = head;
    const same = chunks.filter((chunk) => chunk.incarnation === incarnation);
    if (countBits(same) >= count) {
      const joined = joinAndWipe(same);
      const rest = sliceSifted(joined, count, joined.bits.length);
      const others = chunks.slice(same.length);
      return {
        backlog: { ...backlog, chunks: rest.bits.length === 0 ? others : [rest, ...others] },
        taken: sliceSifted(joined, 0, count),
        discarded: noting(lost, "incarnation-changed"),
      };
    }
    if (incarnation === backlog.incarnation) break;
    lost += countBits(same);
    wipe(same);
    chunks = chunks.slice(same.length);
  }
  return {
    backlog: { ...backlog, chunks },
    taken: null,
    discarded: noting(lost, "incarnation-changed"),
  };
}

/** The records that a peer proposes for a block. */
export interface ProposedRange {
  readonly incarnation: string;
  readonly firstSequence: bigint;
  readonly endSequence: bigint;
  readonly digest: string;
}

/** Tells whether the records of a range have all been seen, may still come, or can never come. */
export function rangeStatus(
  backlog: SiftedBacklog,
  range: ProposedRange,
): "seen" | "awaited" | "gone" {
  if (range.incarnation === backlog.incarnation) {
    return range.endSequence <= backlog.seenSequence ? "seen" : "awaited";
  }
  if (backlog.chunks.some((chunk) => chunk.incarnation === range.incarnation)) return "seen";
  return backlog.ended.includes(range.incarnation) ? "gone" : "awaited";
}

/** Gives the index of the first item at or above a sequence. */
function itemAt(sequences: BigInt64Array, sequence: bigint): number {
  let low = 0;
  let high = sequences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sequences[middle] ?? 0n) < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Takes the bits of a range if they are those of the digest, and discards what is older, because the peer has gone
 * past it. When the digest differs the bits of the range go too: they can never make a block.
 */
export function takeRange(backlog: SiftedBacklog, range: ProposedRange): BacklogTake {
  const first = backlog.chunks.findIndex((chunk) => chunk.incarnation === range.incarnation);
  if (first < 0) return { backlog, taken: null, discarded: [] };
  const same = backlog.chunks.filter((chunk) => chunk.incarnation === range.incarnation);
  const joined = joinAndWipe(same);
  const start = itemAt(joined.sequences, range.firstSequence);
  const end = Math.max(start, itemAt(joined.sequences, range.endSequence));
  const taken = {
    ...sliceSifted(joined, start, end),
    firstSequence: range.firstSequence,
    endSequence: range.endSequence,
  };
  const rest = sliceSifted(joined, end, joined.bits.length);
  const later = backlog.chunks.slice(first + same.length);
  const passed = [...backlog.chunks.slice(0, first), sliceSifted(joined, 0, start)];
  const matches = taken.bits.length > 0 && siftDigest(taken) === range.digest;
  wipe(matches ? passed : [...passed, taken]);
  return {
    backlog: { ...backlog, chunks: rest.bits.length === 0 ? later : [rest, ...later] },
    taken: matches ? taken : null,
    discarded: noting(countBits(passed) + (matches ? 0 : taken.bits.length), "skipped-by-peer"),
  };
}
