import type { Observable } from "rxjs";
import type { LabError } from "../errors.ts";

/** Bytes in and out of one port. Framing and meaning live elsewhere. */
export interface ByteLink {
  /** Where it leads, as in the station file: `serial:/dev/ttyACM0`, `tcp:127.0.0.1:5000`. */
  readonly url: string;
  /** What arrives, in the order and the pieces in which it arrives; completes or errors when the link ends. */
  readonly received$: Observable<Uint8Array>;
  /** Resolves when the bytes have left for the port. @throws LabError `link.closed`, `link.timeout`. */
  send(bytes: Uint8Array): Promise<void>;
  /** Resolves once, when the link has ended: undefined when `close` was called, else the reason. */
  readonly closed: Promise<LabError | undefined>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** A link whose reader can hold it back: what is not read stays in the kernel, then in the instrument. */
export interface PausableLink extends ByteLink {
  /** Stops reading. An unplug is noticed only after `resume`. */
  pause(): void;
  resume(): void;
}
