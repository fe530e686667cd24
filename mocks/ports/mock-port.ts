import type { Observable } from "rxjs";

/** Where a mock instrument plugs in. The host opens `url`; the instrument is at this end. */
export interface MockPort {
  /** What a station file would call it: `serial:/dev/pts/3`, `tcp:127.0.0.1:40123`. */
  readonly url: string;
  /** Bytes from the host, in the pieces in which they come; completes when the port is gone. Hot. */
  readonly received$: Observable<Uint8Array>;
  /** Fires when the port may take bytes again after a `write` that took fewer than it was given. */
  readonly writable$: Observable<void>;
  /**
   * Offers bytes to the host and tells how many the port took, 0 to all of them, without ever
   * waiting: a port whose host does not read takes nothing. Never keeps a reference to `bytes`.
   */
  write(bytes: Uint8Array): number;
  /** Pulls the cable: the host sees the port vanish. Idempotent. */
  unplug(): void;
  /** Lets everything go that the port holds, symbolic link included. Idempotent. */
  close(): void;
}
