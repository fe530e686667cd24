/**
 * One open port in the port host: the link to the instrument, the local socket of whoever uses it, and
 * the bytes that make the instrument safe. However it ends, they are sent before the port is let go.
 */
import type { Socket } from "node:net";
import { type Clock, sleep, withDeadline } from "../clock.ts";
import { isLabError, LabError, messageOf } from "../errors.ts";
import type { PausableLink } from "../links/byte-link.ts";
import { acceptance, type SafeStep, safeSequenceMsMax } from "./port-messages.ts";

const attachTimeoutMs = 5_000;
const lastWriteTimeoutMs = 2_500;

/** How a port ended: why, and why its safe bytes did not go out if they did not. */
export interface PortEnding {
  readonly error: LabError | null;
  readonly unsafe: LabError | null;
}

/** One leased port. */
export interface LeasedPort {
  readonly holder: string;
  /** Resolves when the port is closed and everything was done that could be. */
  readonly ended: Promise<PortEnding>;
  /** Connects the user's socket; its closing ends the port. False when there is one already. */
  attach(socket: Socket): boolean;
  setSafeSteps(steps: readonly SafeStep[]): void;
  /** Makes the instrument safe and closes the port, for a reason or because it was asked to. */
  end(error: LabError | null): Promise<PortEnding>;
}

/** Sends the steps, paced; gives the reason when they did not all go out. */
async function sendSafeSteps(
  link: PausableLink,
  steps: readonly SafeStep[],
  options: { readonly holder: string; readonly clock: Clock },
): Promise<LabError | null> {
  try {
    let pausedMs = 0;
    for (const { bytes, delayMs } of steps) {
      await link.send(bytes);
      pausedMs += delayMs;
      if (delayMs > 0 && pausedMs <= safeSequenceMsMax) await sleep(options.clock, delayMs);
    }
    return null;
  } catch (error) {
    return new LabError(
      "device.not-made-safe",
      `${options.holder} may still be on: ${messageOf(error)}; switch it off by hand`,
      { details: { link: link.url }, cause: error },
    );
  }
}

/** Takes over a link that has just been opened. */
export function leasePort(
  link: PausableLink,
  options: { readonly holder: string; readonly clock: Clock },
): LeasedPort {
  const { clock } = options;
  let safeSteps: readonly SafeStep[] = [];
  let socket: Socket | undefined;
  let ending: Promise<PortEnding> | undefined;
  let sending = Promise.resolve();
  let settle: (ending: PortEnding) => void = () => {};
  const ended = new Promise<PortEnding>((resolve) => {
    settle = resolve;
  });
  link.pause();
  const attachDeadline = clock.after(attachTimeoutMs, () => {
    void end(
      new LabError("link.closed", `${link.url} was opened and then not used: open it again`),
    );
  });

  const finish = async (error: LabError | null): Promise<PortEnding> => {
    attachDeadline[Symbol.dispose]();
    // What was on its way to the instrument goes first: a half-sent command would swallow the safe bytes.
    await withDeadline(clock, sending, lastWriteTimeoutMs).catch(() => {});
    const unsafe = await sendSafeSteps(link, safeSteps, options);
    await link.close();
    socket?.destroySoon();
    const outcome = { error, unsafe };
    settle(outcome);
    return outcome;
  };
  const end = (error: LabError | null): Promise<PortEnding> => {
    ending ??= finish(error);
    return ending;
  };
  const forward = (to: Socket, bytes: Uint8Array): void => {
    // The reader decides the pace: what it does not take stays in the kernel, then in the instrument.
    if (to.write(bytes)) return;
    link.pause();
    to.once("drain", () => link.resume());
  };
  const sendToInstrument = async (from: Socket, bytes: Uint8Array): Promise<void> => {
    from.pause();
    try {
      await link.send(bytes);
    } catch (error) {
      if (isLabError(error)) void end(error);
    } finally {
      from.resume();
    }
  };

  void link.closed.then((reason) => {
    if (reason !== undefined) void end(reason);
  });
  return {
    ...{ holder: options.holder, ended, end },
    setSafeSteps: (steps) => {
      safeSteps = steps;
    },
    attach: (newSocket) => {
      if (socket !== undefined || ending !== undefined) return false;
      socket = newSocket;
      attachDeadline[Symbol.dispose]();
      newSocket.write(Uint8Array.of(acceptance));
      newSocket.on("data", (bytes) => {
        if (ending === undefined) sending = sendToInstrument(newSocket, bytes);
      });
      newSocket.on("end", () => newSocket.destroy());
      newSocket.on("close", () => void end(null));
      link.received$.subscribe({
        next: (bytes) => forward(newSocket, bytes),
        // The end of the link, with its reason, is what `closed` above waits for.
        error: () => {},
      });
      link.resume();
      return true;
    },
  };
}
