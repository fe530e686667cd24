import { LabError } from "../../hal/errors.ts";
import type { InstrumentSite, MockInstrument } from "./mock-instrument.ts";
import { openSpdcInstrument } from "./s-fifteen/spdc-instrument.ts";
import { openTdc1Instrument } from "./s-fifteen/tdc1-instrument.ts";

type OpenInstrument = (site: InstrumentSite) => Promise<MockInstrument>;

const models: ReadonlyMap<string, OpenInstrument> = new Map([
  ["s-fifteen/tdc1", openTdc1Instrument],
  ["s-fifteen/spdc", openSpdcInstrument],
]);

/** Names of the instruments that have a mock, as `vendor/model`. */
export const mockModels: readonly string[] = [...models.keys()];

/**
 * Gives what starts a mock instrument of a model.
 * @throws LabError `mock.unknown-model`.
 */
export function modelOpener(model: string): OpenInstrument {
  const open = models.get(model);
  if (open === undefined) {
    throw new LabError(
      "mock.unknown-model",
      `there is no mock of "${model}"; there are ${mockModels.join(", ")}`,
    );
  }
  return open;
}
