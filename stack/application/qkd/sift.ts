import { createHash } from "node:crypto";
import type { PairRecords } from "../../link/pair-records.ts";

/** The four Bell states by their common names. */
export type BellState = "phi+" | "phi-" | "psi+" | "psi-";

/** Which end of the link: Alice's bits are the reference, Bob corrects his to hers. */
export type KeyEnd = "alice" | "bob";

/**
 * Sifted bits of one block of pair records: the records whose bases are equal, in order, with their ids.
 * One element an item in every column; the id of item i is (link, incarnation, sequences[i]).
 */
export interface SiftedBits {
  readonly link: string;
  readonly incarnation: string;
  /** The records that were sifted, kept or not, are [firstSequence, endSequence). */
  readonly firstSequence: bigint;
  readonly endSequence: bigint;
  readonly sequences: BigInt64Array;
  /** The common basis: 0 Z, 1 X. */
  readonly bases: Uint8Array;
  /** The local bits, in the frame in which equal means no error. Secret until disclosed as a test. */
  readonly bits: Uint8Array;
}

/**
 * Gives 1 where a Bell state makes equal-basis outcomes opposite, by basis [Z, X]: phi+ is correlated in
 * both, phi- is opposite in X (it is psi+ written in the diagonal basis), psi+ opposite in Z, psi- in both.
 */
export const oppositeByBasis: Readonly<Record<BellState, readonly [0 | 1, 0 | 1]>> = {
  "phi+": [0, 0],
  "phi-": [0, 1],
  "psi+": [1, 0],
  "psi-": [1, 1],
};

/**
 * Sifts a block of pair records: keeps the records with equal bases. Bob, by convention, turns his
 * outcomes into Alice's frame of the link's Bell state. Both ends keep the same ids, because each
 * looks only at the two bases that both know.
 */
export function sift(records: PairRecords, end: KeyEnd, bellState: BellState): SiftedBits {
  const { localBasis, remoteBasis, rawOutcome, count } = records;
  let kept = 0;
  for (let i = 0; i < count; i++) if (localBasis[i] === remoteBasis[i]) kept++;
  const sequences = new BigInt64Array(kept);
  const bases = new Uint8Array(kept);
  const bits = new Uint8Array(kept);
  const opposite = end === "bob" ? oppositeByBasis[bellState] : [0, 0];
  let item = 0;
  for (let i = 0; i < count; i++) {
    const basis = localBasis[i] ?? 0;
    if (basis !== remoteBasis[i]) continue;
    sequences[item] = records.firstSequence + BigInt(i);
    bases[item] = basis;
    bits[item] = ((rawOutcome[i] ?? 0) ^ (opposite[basis] ?? 0)) & 1;
    item++;
  }
  return {
    link: records.link,
    incarnation: records.incarnation,
    firstSequence: records.firstSequence,
    endSequence: records.firstSequence + BigInt(count),
    sequences,
    bases,
    bits,
  };
}

/** Gives items [start, end) of sifted bits, sharing their memory; the range of records shrinks with them. */
export function sliceSifted(sifted: SiftedBits, start: number, end: number): SiftedBits {
  const first =
    start === 0 ? sifted.firstSequence : (sifted.sequences[start] ?? sifted.endSequence);
  const last = end >= sifted.sequences.length ? sifted.endSequence : sifted.sequences[end];
  return {
    ...sifted,
    firstSequence: first,
    endSequence: last ?? sifted.endSequence,
    sequences: sifted.sequences.subarray(start, end),
    bases: sifted.bases.subarray(start, end),
    bits: sifted.bits.subarray(start, end),
  };
}

/** Joins sifted bits of one incarnation, in order, into fresh memory. */
export function joinSifted(parts: readonly SiftedBits[]): SiftedBits {
  const [head] = parts;
  if (head === undefined) throw new RangeError("there is nothing to join");
  const total = parts.reduce((sum, part) => sum + part.bits.length, 0);
  const sequences = new BigInt64Array(total);
  const bases = new Uint8Array(total);
  const bits = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    sequences.set(part.sequences, at);
    bases.set(part.bases, at);
    bits.set(part.bits, at);
    at += part.bits.length;
  }
  const endSequence = parts.at(-1)?.endSequence ?? head.endSequence;
  return { ...head, endSequence, sequences, bases, bits };
}

/**
 * Gives a public digest (SHA-256, hex) of which records were sifted and in which bases; no outcome enters.
 * Two ends whose digests agree hold bits of the same photons. Ids are hashed as little-endian 64-bit words.
 */
export function siftDigest(sifted: SiftedBits): string {
  const { sequences, bases } = sifted;
  const ids = new DataView(new ArrayBuffer(8 * sequences.length));
  for (let i = 0; i < sequences.length; i++) ids.setBigInt64(8 * i, sequences[i] ?? 0n, true);
  return createHash("sha256")
    .update(`bellwether sifted\0${sifted.link}\0${sifted.incarnation}\0`)
    .update(new Uint8Array(ids.buffer))
    .update(bases)
    .digest("hex");
}
