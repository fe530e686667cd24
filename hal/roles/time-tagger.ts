import type { Observable } from "rxjs";
import type { Device } from "../device.ts";
import type { TagStream } from "../tags/tag-stream.ts";

/** How many inputs a time tagger has, how finely it tells time, and what it can say about loss. */
export interface TimeTaggerCapabilities {
  readonly inputs: number;
  readonly tickPs: { readonly numerator: bigint; readonly denominator: bigint };
  /**
   * The instrument marks lost tags in its stream; false where it says so only after the stop. Until then no loss in the
   * stream means none known, and a stream that breaks is never vouched for: stop and start anew from time to time.
   */
  readonly marksLossInStream: boolean;
}

/** An instrument that tells when its inputs fired. */
export interface TimeTagger extends Device {
  readonly role: "time-tagger";
  readonly capabilities: TimeTaggerCapabilities;
  /** Starts tagging. One stream at a time. @throws LabError `device.busy`, `link.*`. */
  startTagging(): Promise<TagStream>;
  /** Stops tagging; the stream completes after its last block, with losses the instrument then admits. */
  stopTagging(): Promise<void>;
  /** Counts and bytes of the running stream, once a second. */
  readonly health$: Observable<TaggerHealth>;
}

/** What a driver knows about its stream beyond the tags. */
export interface TaggerHealth {
  readonly bytesReceived: number;
  readonly tagsDecoded: number;
  readonly desynchronisations: number;
  readonly overflowSeen: boolean;
}
