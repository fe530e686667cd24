import type { Clock } from "../../hal/clock.ts";
import type { LabClicks } from "../lab-socket.ts";

/** Clicks between two looks at the port. */
const clicksPerStepMax = 4096;
/** Clicks that wait for the port at most; beyond, the instrument's own FIFO has to do. */
const clicksWaitingMax = 4_194_304;

/** Steps that were applied and are not yet let go of. */
const appliedStepsMax = 256;

/** A part of a lab frame: clicks up to the time `toPs`. */
export interface IntakeStep {
  readonly timesPs: BigInt64Array;
  readonly inputs: Uint8Array;
  readonly toPs: bigint;
}

/**
 * Hands the lab's clicks to an instrument in small steps, and gives the host as much time to empty the
 * port between them as the real instrument would. The lab's frames come in jerks when the machine is
 * busy; without this, a jerk would overflow a FIFO that a steady stream of photons leaves nearly empty.
 */
export class PacedIntake {
  readonly #clock: Clock;
  readonly #apply: (step: IntakeStep) => boolean;
  #steps: (IntakeStep & { readonly spanMs: number })[] = [];
  #next = 0;
  #clicksWaiting = 0;
  /** When a real instrument would have come as far as this one, on the program's clock. */
  #dueMs = 0;
  #timer: Disposable | null = null;

  /** `apply` lets the instrument live through a step and tells whether its port is full afterwards. */
  constructor(clock: Clock, apply: (step: IntakeStep) => boolean) {
    this.#clock = clock;
    this.#apply = apply;
  }

  /** Nothing waits. */
  get isIdle(): boolean {
    return this.#next === this.#steps.length;
  }

  /** Takes a frame; copies what it keeps. */
  push(frame: LabClicks): void {
    if (this.isIdle) this.#dueMs = this.#clock.monotonicMs();
    this.#forgetApplied();
    const { timesPs, inputs } = frame;
    let fromPs: bigint = frame.fromPs;
    let at = 0;
    do {
      const end = Math.min(at + clicksPerStepMax, timesPs.length);
      const toPs = end === timesPs.length ? frame.toPs : (timesPs[end] ?? frame.toPs);
      this.#steps.push({
        timesPs: timesPs.slice(at, end),
        inputs: inputs.slice(at, end),
        toPs,
        spanMs: Number(toPs - fromPs) / 1e9,
      });
      fromPs = toPs;
      at = end;
    } while (at < timesPs.length);
    this.#clicksWaiting += timesPs.length;
    if (this.#timer === null) this.resume();
  }

  /** Goes on: the port may take bytes again, or time is up. */
  resume(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    while (!this.isIdle) {
      const step = this.#steps[this.#next++];
      if (step === undefined) break;
      this.#clicksWaiting -= step.timesPs.length;
      this.#dueMs += step.spanMs;
      const isPortFull = this.#apply(step);
      const waitMs = this.#dueMs - this.#clock.monotonicMs();
      if (isPortFull && waitMs > 0 && this.#clicksWaiting < clicksWaitingMax && !this.isIdle) {
        this.#timer = this.#clock.after(waitMs, () => this.resume());
        return;
      }
    }
    this.#steps = [];
    this.#next = 0;
  }

  /** A host that never catches up lets the intake never be idle. */
  #forgetApplied(): void {
    if (this.#next <= appliedStepsMax) return;
    this.#steps.splice(0, this.#next);
    this.#next = 0;
  }

  /** Forgets what waits. */
  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#steps = [];
    this.#next = 0;
  }
}
