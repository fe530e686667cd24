/** Starts the physics process of a mock lab and tells where its instruments connect. */
import { type ChildProcess, fork } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Observable, Subject } from "rxjs";
import { type Clock, systemClock, withDeadline } from "../../hal/clock.ts";
import { entryPointUrl } from "../../hal/entry-point.ts";
import { LabError } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import { systemRandom } from "../../hal/random.ts";
import type { LabSettings } from "./lab-settings.ts";
import type { FromPhysics, LabCounters, ToPhysics } from "./physics-messages.ts";

const startTimeoutMs = 10_000;
const stopTimeoutMs = 2_000;
const counterTimeoutMs = 2_000;
/** As much of what the process printed is kept for the report of its crash. */
const lastWordsMax = 4_096;

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
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #answers = new Map<number, (counters: LabCounters) => void>();
  #socketPath = "";
  #requests = 0;
  #isClosing = false;
  #lastWords = "";

  constructor(seed: number, logger: Logger, clock: Clock) {
    this.seed = seed;
    this.#logger = logger;
    this.#clock = clock;
    this.#child = fork(entryPointUrl("#mocks/physics/physics-process"), [], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // Flags of the parent, such as an inspector's port or a loader, are not for its mocks.
      execArgv: [],
    });
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#lastWords = (this.#lastWords + bytes.toString()).slice(-lastWordsMax);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (exitCode, signal) => {
        this.#removeSocket();
        if (!this.#isClosing && this.#socketPath !== "") {
          this.#logger.info({ exitCode, signal }, "mock physics ended");
          this.failures$.next(this.#crash(exitCode, signal));
        }
        this.failures$.complete();
        resolve();
      });
    });
  }

  get socketPath(): string {
    return this.#socketPath;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  start(settings: LabSettings): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#child.on("message", (message: FromPhysics) => this.#receive(message, resolve, reject));
      this.#child.once("error", (cause) => reject(startFailed(cause.message, cause)));
      this.#child.once("close", (exitCode, signal) =>
        reject(startFailed(this.#crash(exitCode, signal).message)),
      );
    });
    this.#tell({ type: "start", settings, seed: this.seed });
    return withDeadline(this.#clock, ready, startTimeoutMs, () =>
      startFailed(`no answer within ${startTimeoutMs} ms`),
    );
  }

  async countLosses(): Promise<LabCounters> {
    const request = this.#requests++;
    const answer = new Promise<LabCounters>((resolve) => this.#answers.set(request, resolve));
    this.#tell({ type: "count", request });
    try {
      return await withDeadline(
        this.#clock,
        answer,
        counterTimeoutMs,
        () => new LabError("mock.silent", "the mock physics process does not answer its host"),
      );
    } finally {
      this.#answers.delete(request);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#tell({ type: "stop" });
    try {
      await withDeadline(this.#clock, this.#ended, stopTimeoutMs);
    } catch {
      this.#child.kill("SIGKILL");
      await this.#ended;
    }
  }

  #receive(message: FromPhysics, resolve: () => void, reject: (error: LabError) => void): void {
    switch (message.type) {
      case "ready":
        this.#socketPath = message.socketPath;
        resolve();
        break;
      case "failed":
        reject(startFailed(message.message));
        break;
      case "counters":
        if (message.request !== null) this.#answers.get(message.request)?.(message.counters);
        else this.#logger.warn(message.counters, "mock physics has left out time or clicks");
        break;
    }
  }

  #tell(message: ToPhysics): void {
    // A process that has just ended cannot be told; its end is reported by itself.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  #crash(exitCode: number | null, signal: string | null): LabError {
    const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`;
    const words = this.#lastWords.trim();
    const lastLine = words.split("\n").find((line) => line.includes("Error")) ?? "";
    return new LabError(
      "mock.crashed",
      `the mock physics process ended ${how}${lastLine === "" ? "" : `: ${lastLine.trim()}`}; start again`,
      { details: { exitCode, signal, lastWords: words } },
    );
  }

  /** A process that was killed could not remove its socket itself. */
  #removeSocket(): void {
    if (this.#socketPath === "" || this.#socketPath.startsWith("tcp:")) return;
    rmSync(dirname(this.#socketPath), { recursive: true, force: true });
  }
}

const startFailed = (reason: string, cause?: unknown): LabError =>
  new LabError("mock.start-failed", `the mock physics process did not start: ${reason}`, { cause });
