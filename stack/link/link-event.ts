import type { LabError } from "../../hal/errors.ts";
import type { LinkLoss } from "../physical/announcement.ts";
import type { LinkMetrics } from "../physical/link-metrics.ts";
import type { LinkClock } from "./link-messages.ts";

/** What happens on a photonic link; both ends see the same, the announcer by the matcher's word. */
export type LinkEvent =
  /** Both ends agreed on an incarnation; pairs count from 0. */
  | { readonly kind: "up"; readonly incarnation: string }
  /** The incarnation is over: its pairs are complete up to what was delivered, and no more will come. */
  | { readonly kind: "down"; readonly incarnation: string | null; readonly reason: string }
  /** The peer's station does not fit this one; the link tries again every few seconds. */
  | { readonly kind: "refused"; readonly error: LabError }
  /** The link cannot go on. */
  | { readonly kind: "failed"; readonly error: LabError }
  | { readonly kind: "searching" }
  | { readonly kind: "locked"; readonly clock: LinkClock }
  | { readonly kind: "lost"; readonly reason: string }
  /** Once a second of live time. In `metrics`, local is the matcher, remote the announcer. */
  | {
      readonly kind: "metrics";
      readonly clock: LinkClock;
      readonly metrics: LinkMetrics;
      /** Pairs delivered at this end in this incarnation. */
      readonly pairs: number;
      /** From the block's arrival in this thread to its pairs' delivery here, ms, of the last 200 blocks. */
      readonly lagMs: { readonly p50: number; readonly p99: number } | null;
    }
  | {
      readonly kind: "loss";
      readonly loss: LinkLoss;
      /** Whose stream it is in, and whose time its interval is of. */
      readonly end: "announcer" | "matcher";
    };
