import { psPerMs, psPerS, roundMsToPs } from "../../../hal/units.ts";
import { connectLab, type LabConnection } from "../../lab-socket.ts";
import { createTaggerClock } from "../../physics/tagger-clock.ts";
import { type InstrumentSite, type MockInstrument, pump, repeat } from "../mock-instrument.ts";
import { PacedIntake } from "../paced-intake.ts";
import { Tdc1 } from "./tdc1.ts";

/** How often time moves on when no lab tells it. */
const darkPeriodMs = 5;

/**
 * Runs a TDC1 at its port: clicks from the lab through the tagger's own clock, bytes to and from the host.
 * When the physics process ends, the instrument stays on, in the dark, on the host's clock.
 * @throws LabError `mock.lab-unreachable`.
 */
export async function openTdc1Instrument(site: InstrumentSite): Promise<MockInstrument> {
  const { settings, port, clock } = site;
  const taggerClock = createTaggerClock(settings.clock);
  const tdc1 = new Tdc1({
    serialNumber: settings.serialNumber ?? "TDC1-0001",
    fifoTags: settings.fifoTags,
    tagsPerSecondMax: settings.tagsPerSecondMax,
    ticksPerSecond: Number(psPerS) / settings.clock.tickPs,
    startTick: Number(taggerClock.tickAt(0n)),
  });
  let labPs = 0n;
  let labMs = clock.monotonicMs();
  let isDark = true;
  let lab: LabConnection | null = null;

  const reach = (toPs: bigint): void => {
    labPs = toPs;
    labMs = clock.monotonicMs();
    tdc1.advance(Number(taggerClock.tickAt(toPs)));
    pump(port, tdc1);
  };
  const intake = new PacedIntake(clock, ({ timesPs, inputs, toPs }) => {
    const ticks = Float64Array.from(taggerClock.ticksAt(timesPs), Number);
    tdc1.addClicks(ticks, inputs, ticks.length);
    reach(toPs);
    return tdc1.peek().length > 0;
  });
  const passDarkTime = (): void => {
    if (isDark && intake.isIdle) reach(labPs + roundMsToPs(clock.monotonicMs() - labMs));
  };

  if (site.labSocketPath !== null) {
    isDark = false;
    lab = await connectLab(site.labSocketPath, site.name, {
      clicks: (clicks) => intake.push(clicks),
      closed: () => {
        isDark = true;
      },
    });
  }
  const timer = repeat(clock, darkPeriodMs, passDarkTime);
  const listening = port.received$.subscribe((bytes) => {
    tdc1.receive(bytes);
    pump(port, tdc1);
  });
  listening.add(
    port.writable$.subscribe(() => {
      pump(port, tdc1);
      intake.resume();
    }),
  );

  return {
    counters: () => ({ ...tdc1.counters, labTimeMs: Number(labPs / psPerMs) }),
    inflict: (fault) => {
      if (fault.kind === "unplug") port.unplug();
      if (fault.kind === "slip") tdc1.slip(fault.bytes);
      if (fault.kind === "stall") tdc1.isStalled = fault.isStalled;
      pump(port, tdc1);
    },
    close: () => {
      timer[Symbol.dispose]();
      intake.close();
      listening.unsubscribe();
      lab?.close();
      port.close();
    },
  };
}
