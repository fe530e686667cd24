import { Subject } from "rxjs";
import type { Clock } from "../../hal/clock.ts";
import { isLabError, LabError, messageOf } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import type { PairSource } from "../../hal/roles/pair-source.ts";

/** A source and how brightly the station wants it. */
export interface Pump {
  readonly source: PairSource;
  readonly currentMa: number;
}

/** A source goes off by itself when its lease has not been renewed for this long. */
const leaseMs = 5_000;
const renewEveryMs = 1_000;

/** Keeps sources lit by renewing their leases from this thread: a program that hangs lets them go dark. */
export class PumpLease {
  readonly failures$ = new Subject<LabError>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #lit: readonly PairSource[] = [];
  #timer: Disposable | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** From the beginning of `arm` to `release`. */
  get isArmed(): boolean {
    return this.#lit.length > 0;
  }

  /** Lights all of them, or none. @throws LabError `device.limit`, `device.refused`, `link.*`. */
  async arm(pumps: readonly Pump[]): Promise<void> {
    this.#lit = pumps.map(({ source }) => source);
    try {
      await Promise.all(pumps.map(({ source, currentMa }) => source.arm({ currentMa, leaseMs })));
    } catch (error) {
      await this.release();
      throw error;
    }
    this.#renew();
  }

  /** Switches all of them off and gives those that read back as off: none when it was done before. */
  async release(): Promise<readonly PairSource[]> {
    this.#timer?.[Symbol.dispose]();
    const lit = this.#lit;
    this.#lit = [];
    const outcomes = await Promise.allSettled(lit.map((source) => source.disarm()));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        // Closing its port tries again, and says so when it fails as well.
        this.#logger.info({ reason: messageOf(outcome.reason) }, "a source was not switched off");
      }
    }
    return lit.filter((_source, index) => outcomes[index]?.status === "fulfilled");
  }

  #renew(): void {
    if (this.#lit.length === 0) return;
    try {
      for (const source of this.#lit) source.renewLease();
    } catch (error) {
      this.failures$.next(
        isLabError(error)
          ? error
          : new LabError("device.lease", `a source could not be kept on: ${messageOf(error)}`),
      );
      return;
    }
    this.#timer = this.#clock.after(renewEveryMs, () => this.#renew());
  }
}
