import { connectLab } from "../../lab-socket.ts";
import { type InstrumentSite, type MockInstrument, pump, repeat } from "../mock-instrument.ts";
import { Spdc } from "./spdc.ts";

/** How often the oven moves on. */
const thermalPeriodMs = 100;

/**
 * Runs an SPDC source board at its port and tells the lab the pump current whenever it changes.
 * The light outlives the cable, as on the bench: an unplugged board keeps its pump on.
 * @throws LabError `mock.lab-unreachable`.
 */
export async function openSpdcInstrument(site: InstrumentSite): Promise<MockInstrument> {
  const { settings, port, clock } = site;
  const spdc = new Spdc({ serialNumber: settings.serialNumber ?? "SPDCSDR-0001" });
  const lab =
    site.labSocketPath === null ? null : await connectLab(site.labSocketPath, site.name, {});
  let toldMa = 0;
  let isStalled = false;
  let lastMs = clock.monotonicMs();

  const reply = (): void => {
    if (!isStalled) pump(port, spdc);
  };
  const timer = repeat(clock, thermalPeriodMs, () => {
    const nowMs = clock.monotonicMs();
    spdc.advance((nowMs - lastMs) / 1000);
    lastMs = nowMs;
  });
  const listening = port.received$.subscribe((bytes) => {
    spdc.receive(bytes);
    if (spdc.pumpCurrentMa !== toldMa) {
      toldMa = spdc.pumpCurrentMa;
      lab?.setPumpCurrent(toldMa);
    }
    reply();
  });
  listening.add(port.writable$.subscribe(reply));

  return {
    counters: () => ({ pumpCurrentMa: spdc.pumpCurrentMa }),
    inflict: (fault) => {
      if (fault.kind === "unplug") port.unplug();
      if (fault.kind === "stall") isStalled = fault.isStalled;
      reply();
    },
    close: () => {
      timer[Symbol.dispose]();
      listening.unsubscribe();
      lab?.close();
      port.close();
    },
  };
}
