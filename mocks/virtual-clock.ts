import type { Clock } from "../hal/clock.ts";
import { type Ps, ps, roundMsToPs } from "../hal/units.ts";

/** A clock that moves only when told. */
export interface VirtualClock extends Clock {
  /** Moves time on, running what falls due, in order; what that starts and falls due as well runs too. */
  advance(byMs: number): void;
  /** When the next timer is due, or null when none waits. */
  nextDueMs(): number | null;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Creates a clock at monotonic 0 and the given UTC. Timers of one due time run in the order in which they were set. */
export function createVirtualClock(utcOriginPs: Ps = ps(0n)): VirtualClock {
  const timers = new Set<Timer>();
  let nowMs = 0;
  let order = 0;
  const next = (): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  };
  return {
    monotonicMs: () => nowMs,
    utcPs: () => ps(utcOriginPs + roundMsToPs(nowMs)),
    after: (delayMs, run) => {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), order: order++, run };
      timers.add(timer);
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
    advance: (byMs) => {
      const endMs = nowMs + byMs;
      for (let timer = next(); timer !== undefined && timer.dueMs <= endMs; timer = next()) {
        timers.delete(timer);
        nowMs = timer.dueMs;
        timer.run();
      }
      nowMs = endMs;
    },
    nextDueMs: () => next()?.dueMs ?? null,
  };
}
