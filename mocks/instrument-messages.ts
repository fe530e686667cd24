import type { InstrumentCounters, InstrumentFault } from "./instruments/mock-instrument.ts";
import type { FromMock } from "./mock-child.ts";
import type { InstrumentSettings } from "./physics/lab-settings.ts";

/** What the host tells the process of a mock instrument. */
export type ToInstrument =
  | {
      readonly type: "start";
      readonly name: string;
      readonly settings: InstrumentSettings;
      readonly labSocketPath: string | null;
      readonly linkPath: string | null;
    }
  | { readonly type: "inflict"; readonly fault: InstrumentFault }
  | { readonly type: "count"; readonly request: number }
  | { readonly type: "stop" };

/** What the process of a mock instrument tells the host. */
export type FromInstrument = FromMock<{ readonly url: string }, InstrumentCounters>;
