import type { Ps } from "../../hal/units.ts";

/**
 * Pairs of a link that were measured on arrival: a block of records, one column a fact. Post-selected:
 * a pair is known only because both photons clicked, so nothing here is heralded. Identity of record i
 * is (link, incarnation, firstSequence + i), the same at both ends.
 */
export interface PairRecords {
  readonly link: string;
  /** Chosen afresh, at random, each time the link comes up: 16 hex digits. */
  readonly incarnation: string;
  readonly selection: "post-selected";
  readonly firstSequence: bigint;
  readonly count: number;
  /** The local end's basis of each record: 0 Z (H/V), 1 X (D/A), the mutually unbiased settings of BBM92. */
  readonly localBasis: Uint8Array;
  /** The remote end's basis, as it announced it. */
  readonly remoteBasis: Uint8Array;
  /** The local end's outcome, 0 or 1, as the detectors gave it: no Pauli frame applied. */
  readonly rawOutcome: Uint8Array;
  /** The local end's detection times: offsets from its stream's epoch, ps. */
  readonly timesPs: BigInt64Array;
  /** Remote minus local time after the clock model, ps; present at the end that matched. */
  readonly residualPs?: Int32Array;
  /** The stretch of local time that this block closes, [fromPs, toPs). */
  readonly fromPs: Ps;
  readonly toPs: Ps;
}
