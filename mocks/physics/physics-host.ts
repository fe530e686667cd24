/** Starts the physics process of a mock lab and tells where its instruments connect. */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Observable, Subject } from "rxjs";
import { type Clock, systemClock } from "../../hal/clock.ts";
import type { LabError } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import { systemRandom } from "../../hal/random.ts";
import { MockChild } from "../mock-child.ts";
import type { LabSettings } from "./lab-settings.ts";
import type { LabCounters, ToPhysics } from "./physics-messages.ts";

/** The physics process as its host sees it. */
export interface PhysicsHost {
  /** Where instruments connect, with `connectLab`. */
  readonly socketPath: string;
  /** Seed of all chance in the lab: from the settings, or drawn afresh. */
  readonly seed: number;
  readonly pid: number;
  /** Emits `mock.crashed` if the process ends by itself; completes on close. */
  readonly failures$: Observable<LabError>;
  /** Asks what was lost since the start. @throws LabError `mock.silent`. */
  countLosses(): Promise<LabCounters>;
  /** Ends the process and waits until it is gone. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the physics process; resolves when instruments can connect.
 * @throws LabError `mock.start-failed` with the reason.
 */
export async function startPhysics(
  settings: LabSettings,
  options: { readonly logger: Logger; readonly clock?: Clock },
): Promise<PhysicsHost> {
  const seed = settings.seed ?? systemRandom.below(2 ** 32);
  const child = new PhysicsChild(seed, options.logger, options.clock ?? systemClock);
  try {
    await child.start(settings);
    return child;
  } catch (error) {
    await child.close();
    throw error;
  }
}

class PhysicsChild implements PhysicsHost {
  readonly seed: number;
  readonly failures$ = new Subject<LabError>();
  readonly #child: MockChild<ToPhysics, { readonly socketPath: string }, LabCounters>;
  #socketPath = "";

  constructor(seed: number, logger: Logger, clock: Clock) {
    this.seed = seed;
    this.#child = new MockChild({
      ...{ title: "the mock physics process", entryPoint: "#mocks/physics/physics-process" },
      ...{ details: {}, clock },
      onUnasked: (counters) => logger.warn(counters, "mock physics has left out time or clicks"),
      onEnd: (crash) => {
        this.#removeSocket();
        if (crash !== null) {
          logger.info(crash.details, "mock physics ended");
          this.failures$.next(crash);
        }
        this.failures$.complete();
      },
    });
  }

  get socketPath(): string {
    return this.#socketPath;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async start(settings: LabSettings): Promise<void> {
    const { socketPath } = await this.#child.start({ type: "start", settings, seed: this.seed });
    this.#socketPath = socketPath;
  }

  countLosses(): Promise<LabCounters> {
    return this.#child.count();
  }

  close(): Promise<void> {
    return this.#child.close({ type: "stop" });
  }

  /** A process that was killed could not remove its socket itself. */
  #removeSocket(): void {
    if (this.#socketPath === "" || this.#socketPath.startsWith("tcp:")) return;
    rmSync(dirname(this.#socketPath), { recursive: true, force: true });
  }
}
