import { type Observable, Subject } from "rxjs";
import { LabError } from "../errors.ts";

/** The receiving half that every link shares: bytes until the link ends, once, for one reason. */
export interface LinkEnd {
  readonly received$: Observable<Uint8Array>;
  readonly closed: Promise<LabError | undefined>;
  readonly hasEnded: boolean;
  receive(bytes: Uint8Array): void;
  /** Ends the link: with a reason when it was lost, without when it was closed. Later calls do nothing. */
  end(reason?: LabError): void;
  /** @throws LabError `link.closed`. */
  assertOpen(): void;
}

/** Creates the receiving half of the link at `url`. */
export function createLinkEnd(url: string): LinkEnd {
  const received = new Subject<Uint8Array>();
  let hasEnded = false;
  let settle: (reason: LabError | undefined) => void = () => {};
  const closed = new Promise<LabError | undefined>((resolve) => {
    settle = resolve;
  });
  return {
    received$: received.asObservable(),
    closed,
    get hasEnded() {
      return hasEnded;
    },
    receive: (bytes) => received.next(bytes),
    end: (reason) => {
      if (hasEnded) return;
      hasEnded = true;
      settle(reason);
      if (reason !== undefined && received.observed) received.error(reason);
      else received.complete();
    },
    assertOpen: () => {
      if (!hasEnded) return;
      throw new LabError("link.closed", `${url} is closed: open it again before sending`, {
        details: { url },
      });
    },
  };
}

/** Builds the failure of a port that went away by itself. */
export const disconnected = (url: string, cause?: unknown): LabError =>
  new LabError(
    "link.disconnected",
    `${url} went away: check its cable and power, then open it again`,
    { details: { url }, cause },
  );
