/** Starts mock instruments, each in its own process, and tells at which URL each one serves. */
import { rmSync } from "node:fs";
import { type Observable, Subject } from "rxjs";
import { type Clock, systemClock } from "../hal/clock.ts";
import { LabError } from "../hal/errors.ts";
import type { Logger } from "../hal/log.ts";
import type { ToInstrument } from "./instrument-messages.ts";
import type { InstrumentCounters, InstrumentFault } from "./instruments/mock-instrument.ts";
import { MockChild } from "./mock-child.ts";
import type { InstrumentSettings } from "./physics/lab-settings.ts";

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
  readonly #child: MockChild<ToInstrument, { readonly url: string }, InstrumentCounters>;
  #url = "";

  constructor(
    name: string,
    settings: InstrumentSettings,
    options: InstrumentHostOptions,
    failures$: Subject<LabError>,
  ) {
    this.name = name;
    const { labSocketPath, logger, clock = systemClock } = options;
    const linkPath = options.linkPaths?.[name] ?? null;
    this.#child = new MockChild({
      ...{ title: `mock instrument ${name}`, entryPoint: "#mocks/instrument-process", clock },
      details: { instrument: name },
      onEnd: (crash) => {
        // A mock that was killed could not remove its link itself.
        if (linkPath !== null) rmSync(linkPath, { force: true });
        if (crash === null) return;
        logger.info(crash.details, "mock instrument ended");
        failures$.next(crash);
      },
    });
    this.ready = this.#child
      .start({ type: "start", name, settings, labSocketPath, linkPath })
      .then(({ url }) => {
        this.#url = url;
      });
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid;
  }

  inflict(fault: InstrumentFault): void {
    this.#child.tell({ type: "inflict", fault });
  }

  countInside(): Promise<InstrumentCounters> {
    return this.#child.count();
  }

  close(): Promise<void> {
    return this.#child.close({ type: "stop" });
  }
}
