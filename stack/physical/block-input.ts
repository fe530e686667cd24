import type { LinkLoss } from "./announcement.ts";

/** A block of tags as the physical layer takes it; see hal/tags/tag-stream.ts. Columns are read, not kept. */
export interface BlockInput {
  readonly segment: number;
  readonly fromPs: bigint;
  readonly toPs: bigint;
  readonly losses: readonly LinkLoss[];
  readonly times: BigInt64Array;
  readonly channels: Uint8Array;
}
