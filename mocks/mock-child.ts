/** A part of the mock lab in a process of its own, as the process that started it sees it. */
import { type ChildProcess, fork } from "node:child_process";
import { type Clock, withDeadline } from "../hal/clock.ts";
import { entryPointUrl } from "../hal/entry-point.ts";
import { LabError } from "../hal/errors.ts";

/** How long a mock may take to serve, to end before it is killed, and to answer. */
const startTimeoutMs = 10_000;
const stopTimeoutMs = 2_000;
const counterTimeoutMs = 2_000;
/** As much of what a mock printed is kept for the report of its crash. */
const lastWordsMax = 4_096;

/** What every part tells its host; `request` is null for counters that nobody asked for. */
export type FromMock<Ready, Counters> =
  | ({ readonly type: "ready" } & Ready)
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "counters"; readonly request: number | null; readonly counters: Counters };

/** Which part, and what is to be done when it speaks unasked or ends. */
export interface MockChildOptions<Counters> {
  /** As sentences name it: `mock instrument alice-tagger`. */
  readonly title: string;
  readonly entryPoint: `#${string}`;
  /** Facts for its errors. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  readonly onUnasked?: (counters: Counters) => void;
  /** The process is gone: null when it was closed or never served, else `mock.crashed` with exitCode, signal, lastWords. */
  readonly onEnd: (crash: LabError | null) => void;
}

/** One such process, from its start to its end. */
export class MockChild<ToMock extends { readonly type: string }, Ready, Counters> {
  readonly #options: MockChildOptions<Counters>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #answers = new Map<number, (counters: Counters) => void>();
  #requests = 0;
  #hasServed = false;
  #isClosing = false;
  #lastWords = "";

  constructor(options: MockChildOptions<Counters>) {
    this.#options = options;
    this.#child = fork(entryPointUrl(options.entryPoint), [], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // Flags of the parent, such as an inspector's port or a loader, are not for its mocks.
      execArgv: [],
    });
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#lastWords = (this.#lastWords + bytes.toString()).slice(-lastWordsMax);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (exitCode, signal) => {
        const isCrash = this.#hasServed && !this.#isClosing;
        options.onEnd(isCrash ? this.#crash(exitCode, signal) : null);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends the first message and resolves with what the part says when it serves. @throws LabError `mock.start-failed`. */
  start(message: ToMock): Promise<Ready> {
    const ready = new Promise<Ready>((resolve, reject) => {
      this.#child.on("message", (said: FromMock<Ready, Counters>) => {
        if (said.type === "failed") reject(this.#startFailed(said.message));
        else if (said.type === "counters") this.#takeCounters(said.request, said.counters);
        else {
          this.#hasServed = true;
          resolve(said);
        }
      });
      this.#child.once("error", (cause) => reject(this.#startFailed(cause.message, cause)));
      this.#child.once("close", (exitCode, signal) =>
        reject(this.#startFailed(this.#crash(exitCode, signal).message)),
      );
    });
    this.tell(message);
    return withDeadline(this.#options.clock, ready, startTimeoutMs, () =>
      this.#startFailed(`it did not serve within ${startTimeoutMs} ms`),
    );
  }

  tell(message: ToMock | { readonly type: "count"; readonly request: number }): void {
    // A process that has just ended cannot be told; its end is reported by itself.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Asks for its counters. @throws LabError `mock.silent`. */
  async count(): Promise<Counters> {
    const { clock, title, details } = this.#options;
    const request = this.#requests++;
    const answer = new Promise<Counters>((resolve) => this.#answers.set(request, resolve));
    this.tell({ type: "count", request });
    try {
      return await withDeadline(
        clock,
        answer,
        counterTimeoutMs,
        () => new LabError("mock.silent", `${title} does not answer its host`, { details }),
      );
    } finally {
      this.#answers.delete(request);
    }
  }

  /** Tells it to stop and waits until it is gone; kills it when that takes too long. Idempotent. */
  async close(stop: ToMock): Promise<void> {
    this.#isClosing = true;
    this.tell(stop);
    try {
      await withDeadline(this.#options.clock, this.#ended, stopTimeoutMs);
    } catch {
      this.#child.kill("SIGKILL");
      await this.#ended;
    }
  }

  #takeCounters(request: number | null, counters: Counters): void {
    if (request === null) this.#options.onUnasked?.(counters);
    else this.#answers.get(request)?.(counters);
  }

  #startFailed(reason: string, cause?: unknown): LabError {
    const { title, details } = this.#options;
    return new LabError("mock.start-failed", `${title} did not start: ${reason}`, {
      details,
      cause,
    });
  }

  #crash(exitCode: number | null, signal: string | null): LabError {
    const { title, details } = this.#options;
    const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`;
    const lastWords = this.#lastWords.trim();
    const lastLine = lastWords.split("\n").find((line) => line.includes("Error")) ?? "";
    const why = lastLine === "" ? "" : `: ${lastLine.trim()}`;
    return new LabError("mock.crashed", `${title} ended ${how}${why}; start again`, {
      details: { ...details, exitCode, signal, lastWords },
    });
  }
}
