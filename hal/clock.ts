import { LabError } from "./errors.ts";
import { type Ps, ps } from "./units.ts";

/** The program's time. Protocols and drivers take it from here, never from the runtime, so that a test can move it. */
export interface Clock {
  /** Time since some origin that never jumps, in milliseconds. */
  monotonicMs(): number;
  /** Coordinated universal time since 1970, in picoseconds; it may jump when the host is set. */
  utcPs(): Ps;
  /** Calls `run` once after `delayMs`; disposing the handle before then prevents it. */
  after(delayMs: number, run: () => void): Disposable;
}

/** The host's own clock; UTC resolves to a microsecond where the runtime gives it. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  utcPs: () =>
    ps(BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1_000_000n),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Gives a clock whose UTC is wrong by a fixed offset, as on a PC without time synchronisation. */
export const offsetClock = (clock: Clock, utcOffsetPs: Ps): Clock => ({
  monotonicMs: clock.monotonicMs,
  utcPs: () => ps(clock.utcPs() + utcOffsetPs),
  after: clock.after,
});

/** Resolves after `delayMs`, or rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    const stop = (): void => {
      timer[Symbol.dispose]();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Gives the promise's value, or rejects with `error` when it has not settled within `timeoutMs`.
 * Every promise that waits for a device or a peer passes through here.
 */
export async function withDeadline<T>(
  clock: Clock,
  promise: Promise<T>,
  timeoutMs: number,
  error: () => LabError = () => new LabError("link.timeout", `no answer within ${timeoutMs} ms`),
): Promise<T> {
  let timer: Disposable | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = clock.after(timeoutMs, () => reject(error()));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
