import type { Clock } from "../../hal/clock.ts";
import type { InstrumentSettings } from "../physics/lab-settings.ts";
import type { MockPort } from "../ports/mock-port.ts";

/** What happened inside a mock instrument, by name of the count; which there are depends on the model. */
export interface InstrumentCounters {
  /** TDC1: clicks that fell into an acquisition. */
  readonly clicksTaken?: number;
  /** TDC1: clicks whose word found the FIFO full. */
  readonly clicksLost?: number;
  /** TDC1: words lost, dummies included. */
  readonly wordsLost?: number;
  /** TDC1: words waiting in the FIFO. */
  readonly wordsHeld?: number;
  /** TDC1: lab time reached, in whole milliseconds. */
  readonly labTimeMs?: number;
  /** SPDC: pump current in mA, 0 when dark. */
  readonly pumpCurrentMa?: number;
}

/** What can be done to a mock instrument by a test that plays the unlucky laboratory. */
export type InstrumentFault =
  /** The cable is pulled. */
  | { readonly kind: "unplug" }
  /** The instrument hands nothing to the host any more, or does again; its FIFO fills meanwhile. */
  | { readonly kind: "stall"; readonly isStalled: boolean }
  /** Bytes of the stream are lost between instrument and host. */
  | { readonly kind: "slip"; readonly bytes: number }
  /** The mock's own program ends with an error. */
  | { readonly kind: "crash" };

/** What a mock instrument stands in. */
export interface InstrumentSite {
  /** Its name in the mock section. */
  readonly name: string;
  readonly settings: InstrumentSettings;
  readonly port: MockPort;
  /** Where the physics process listens; null for an instrument alone in the dark. */
  readonly labSocketPath: string | null;
  readonly clock: Clock;
}

/** A running mock instrument. */
export interface MockInstrument {
  /** What happened inside: clicks taken, tags lost. For tests alone; a host sees only what the port says. */
  counters(): InstrumentCounters;
  /** Makes a fault happen. Faults that this kind of instrument does not have are ignored. */
  inflict(fault: InstrumentFault): void;
  /** Stops it and lets its port and its connection to the lab go. Idempotent. */
  close(): void;
}

/** Repeats `run` every `periodMs` until it is disposed. */
export function repeat(clock: Clock, periodMs: number, run: () => void): Disposable {
  let isDisposed = false;
  let timer: Disposable | undefined;
  const again = (): void => {
    timer = clock.after(periodMs, () => {
      if (isDisposed) return;
      run();
      again();
    });
  };
  again();
  return {
    [Symbol.dispose]: () => {
      isDisposed = true;
      timer?.[Symbol.dispose]();
    },
  };
}

/** Hands over what is ready until the port is full. */
export function pump(
  port: MockPort,
  source: { peek(): Uint8Array; take(count: number): void },
): void {
  for (let bytes = source.peek(); bytes.length > 0; bytes = source.peek()) {
    const taken = port.write(bytes);
    source.take(taken);
    if (taken < bytes.length) return;
  }
}
