import type { SecretBytes } from "../../../hal/secret.ts";
import type { KeyPromise } from "./finite-key.ts";
import type { QberEstimate } from "./parameter-estimation.ts";

/** Why a block was given up. */
export const abortReasons = [
  "settings-differ",
  "records-differ",
  "records-missing",
  "qber",
  "too-short",
  "verification-failed",
  "confirmation-differs",
  "peer-violation",
  "no-answer",
  "peer-silent",
  "superseded",
  "unknown-block",
  "closed",
] as const;

export type AbortReason = (typeof abortReasons)[number];

/** Why sifted bits were thrown away before they belonged to a block. */
export type DiscardCause =
  /** The link came up anew and less than a block was left of the old incarnation. */
  | "incarnation-changed"
  /** More blocks wait than `backlogBlocksMax`. */
  | "backlog-full"
  /** Records that came again, or out of order: their bits may have been used. */
  | "repeated-records"
  /** The peer began its block later. */
  | "skipped-by-peer";

/** Identity of a block: Bob's session and the number in it. */
export interface BlockId {
  readonly session: string;
  readonly block: number;
}

/** What a key session tells. Every event is safe to log: the key is in `secret` alone, which never prints. */
export type KeyEvent =
  | {
      readonly type: "sifted";
      readonly link: string;
      /** Pairs looked at, and those whose bases were equal. */
      readonly pairs: number;
      readonly bits: number;
      /** Sifted bits that wait for a block. */
      readonly backlogBits: number;
    }
  | { readonly type: "discarded"; readonly bits: number; readonly cause: DiscardCause }
  | ({ readonly type: "estimate"; readonly qber: QberEstimate } & BlockId)
  | ({
      readonly type: "reconciled";
      readonly keyBits: number;
      /** Parities disclosed, all of them. */
      readonly leakBits: number;
      /** Bits that Bob corrected, and the error rate this means, 0..1. */
      readonly corrected: number;
      readonly errorRate: number;
      /** leakBits over keyBits h(errorRate); null when no error was found. */
      readonly efficiency: number | null;
    } & BlockId)
  | ({ readonly type: "verified"; readonly tagBits: number } & BlockId)
  | ({
      readonly type: "key";
      readonly link: string;
      readonly keyId: string;
      /** 16 hex digits, the same at both ends, public: hash bits that are no part of the key. */
      readonly fingerprint: string;
      readonly bits: number;
      readonly secret: SecretBytes;
      readonly promise: KeyPromise;
    } & BlockId)
  | ({
      readonly type: "aborted";
      readonly reason: AbortReason;
      readonly by: "local" | "peer";
      readonly detail: string;
    } & BlockId)
  /** Alice delivered this key, but Bob gave its block up before he could: do not use it. */
  | { readonly type: "revoked"; readonly keyId: string }
  /** Bob restarted before he said whether he has this key. */
  | { readonly type: "unsettled"; readonly keyId: string };
