/** Starts mock instruments, each in its own process, and tells at which URL each one serves. */
import { type ChildProcess, fork } from "node:child_process";
import { rmSync } from "node:fs";
import { type Observable, Subject } from "rxjs";
import { type Clock, systemClock, withDeadline } from "../hal/clock.ts";
import { entryPointUrl } from "../hal/entry-point.ts";
import { LabError } from "../hal/errors.ts";
import type { Logger } from "../hal/log.ts";
import type { FromInstrument, ToInstrument } from "./instrument-messages.ts";
import type { InstrumentCounters, InstrumentFault } from "./instruments/mock-instrument.ts";
import type { InstrumentSettings } from "./physics/lab-settings.ts";

/** How long a mock may take to serve at its port. */
const startTimeoutMs = 10_000;
/** How long a mock may take to end before it is killed. */
const stopTimeoutMs = 2_000;
const counterTimeoutMs = 2_000;
/** As much of what a mock printed is kept for the report of its crash. */
const lastWordsMax = 4_096;

/** A mock instrument as its host sees it. */
export interface HostedInstrument {
  readonly name: string;
  /** Where it serves: `serial:/dev/pts/3` or `tcp:127.0.0.1:40123`. */
  readonly url: string;
  readonly pid: number;
  /** Makes a fault happen in it. */
  inflict(fault: InstrumentFault): void;
  /** Asks what happened inside; for tests. @throws LabError `mock.silent`. */
  countInside(): Promise<InstrumentCounters>;
}

/** The running mock instruments of a station. */
export interface InstrumentHost {
  readonly instruments: ReadonlyMap<string, HostedInstrument>;
  /**
   * Mocks that ended by themselves, as LabError `mock.crashed` with `instrument`, `exitCode` (null after a
   * signal), `signal` and the process's `lastWords` in its details. Nothing is restarted.
   */
  readonly failures$: Observable<LabError>;
  /** Gives the URL behind `mock:name`; any other URL as it is. @throws LabError `mock.unknown-instrument`. */
  resolve(portUrl: string): string;
  /** Ends all of them and waits until they are gone. Idempotent. */
  close(): Promise<void>;
}

/** What mock instruments need to run. */
export interface InstrumentHostOptions {
  readonly instruments: Readonly<Record<string, InstrumentSettings>>;
  /** Where the physics process listens; null runs them in the dark. */
  readonly labSocketPath: string | null;
  /** Gives an instrument's pseudo-terminal a path that stays the same from run to run. */
  readonly linkPaths?: Readonly<Record<string, string>>;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * Starts every instrument and resolves when all serve. When one fails, the others are ended first.
 * @throws LabError `mock.start-failed` naming the instrument and the reason.
 */
export async function startInstruments(options: InstrumentHostOptions): Promise<InstrumentHost> {
  const failures$ = new Subject<LabError>();
  const children = Object.entries(options.instruments).map(
    ([name, settings]) => new InstrumentChild(name, settings, options, failures$),
  );
  const closeAll = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.close()));
    failures$.complete();
  };
  const started = await Promise.allSettled(children.map((child) => child.ready));
  for (const outcome of started) {
    if (outcome.status === "rejected") {
      await closeAll();
      throw outcome.reason;
    }
  }
  const instruments = new Map(children.map((child) => [child.name, child]));
  return {
    instruments,
    failures$,
    resolve: (portUrl) => {
      if (!portUrl.startsWith("mock:")) return portUrl;
      const instrument = instruments.get(portUrl.slice("mock:".length));
      if (instrument !== undefined) return instrument.url;
      throw new LabError(
        "mock.unknown-instrument",
        `${portUrl} is not among the mock instruments (${[...instruments.keys()].join(", ")}); add it to mock.instruments in the station file`,
      );
    },
    close: closeAll,
  };
}

class InstrumentChild implements HostedInstrument {
  readonly name: string;
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #linkPath: string | null;
  readonly #ended: Promise<void>;
  readonly #answers = new Map<number, (counters: InstrumentCounters) => void>();
  #url = "";
  #requests = 0;
  #isClosing = false;
  #lastWords = "";

  constructor(
    name: string,
    settings: InstrumentSettings,
    options: InstrumentHostOptions,
    failures$: Subject<LabError>,
  ) {
    this.name = name;
    this.#clock = options.clock ?? systemClock;
    this.#linkPath = options.linkPaths?.[name] ?? null;
    this.#child = fork(entryPointUrl("#mocks/instrument-process"), [], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // Flags of the parent, such as an inspector's port or a loader, are not for its mocks.
      execArgv: [],
    });
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#lastWords = (this.#lastWords + bytes.toString()).slice(-lastWordsMax);
    });
    const served = this.#serve();
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (exitCode, signal) => {
        this.#removeLink();
        if (!this.#isClosing && this.#url !== "") {
          options.logger.info({ instrument: name, exitCode, signal }, "mock instrument ended");
          failures$.next(this.#crash(exitCode, signal));
        }
        resolve();
      });
    });
    this.ready = withDeadline(this.#clock, served, startTimeoutMs, () =>
      this.#startFailed(`it did not serve within ${startTimeoutMs} ms`),
    );
    this.#tell({
      type: "start",
      name,
      settings,
      labSocketPath: options.labSocketPath,
      linkPath: this.#linkPath,
    });
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  inflict(fault: InstrumentFault): void {
    this.#tell({ type: "inflict", fault });
  }

  async countInside(): Promise<InstrumentCounters> {
    const request = this.#requests++;
    const answer = new Promise<InstrumentCounters>((resolve) => {
      this.#answers.set(request, resolve);
    });
    this.#tell({ type: "count", request });
    try {
      return await withDeadline(
        this.#clock,
        answer,
        counterTimeoutMs,
        () => new LabError("mock.silent", `mock instrument ${this.name} does not answer its host`),
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

  #tell(message: ToInstrument): void {
    // A mock that has just ended cannot be told; its end is reported by itself.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Resolves when the mock says that it serves; rejects when it fails or ends before. */
  #serve(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.on("message", (message: FromInstrument) => {
        switch (message.type) {
          case "ready":
            this.#url = message.url;
            resolve();
            break;
          case "failed":
            reject(this.#startFailed(message.message));
            break;
          case "counters":
            this.#answers.get(message.request)?.(message.counters);
            break;
        }
      });
      this.#child.once("error", (cause) => reject(this.#startFailed(cause.message, cause)));
      this.#child.once("close", (exitCode, signal) =>
        reject(this.#startFailed(this.#crash(exitCode, signal).message)),
      );
    });
  }

  #startFailed(reason: string, cause?: unknown): LabError {
    return new LabError(
      "mock.start-failed",
      `mock instrument ${this.name} did not start: ${reason}`,
      { details: { instrument: this.name }, cause },
    );
  }

  #crash(exitCode: number | null, signal: string | null): LabError {
    const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`;
    const words = this.#lastWords.trim();
    const lastLine = words.split("\n").find((line) => /Error/.test(line)) ?? "";
    const why = lastLine === "" ? "" : `: ${lastLine.trim()}`;
    return new LabError(
      "mock.crashed",
      `mock instrument ${this.name} ended ${how}${why}; start again`,
      {
        details: { instrument: this.name, exitCode, signal, lastWords: words },
      },
    );
  }

  /** A mock that was killed could not remove its link itself. */
  #removeLink(): void {
    if (this.#linkPath !== null) rmSync(this.#linkPath, { force: true });
  }
}
