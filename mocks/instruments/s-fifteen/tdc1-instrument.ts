import { psPerMs, psPerS, roundMsToPs } from "../../../hal/units.ts";
import { connectLab, type LabClicks, type LabConnection } from "../../lab-socket.ts";
import { createTaggerClock } from "../../physics/tagger-clock.ts";
import { type InstrumentSite, type MockInstrument, pump, repeat } from "../mock-instrument.ts";
import { Tdc1 } from "./tdc1.ts";

/** Clicks between two looks at the port, so that a long frame drains while it is taken. */
const clicksPerStepMax = 4096;
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
  const exactTicks = new BigInt64Array(clicksPerStepMax);
  const ticks = new Float64Array(clicksPerStepMax);
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
  const take = (clicks: LabClicks): void => {
    const { timesPs, inputs } = clicks;
    for (let at = 0; at < timesPs.length; at += clicksPerStepMax) {
      const count = Math.min(clicksPerStepMax, timesPs.length - at);
      taggerClock.ticksAt(timesPs.subarray(at, at + count), exactTicks);
      for (let index = 0; index < count; index++) ticks[index] = Number(exactTicks[index]);
      tdc1.addClicks(ticks, inputs.subarray(at, at + count), count);
      tdc1.advance(ticks[count - 1] ?? 0);
      pump(port, tdc1);
    }
    reach(clicks.toPs);
  };
  const passDarkTime = (): void => {
    if (isDark) reach(labPs + roundMsToPs(clock.monotonicMs() - labMs));
  };

  if (site.labSocketPath !== null) {
    isDark = false;
    lab = await connectLab(site.labSocketPath, site.name, {
      clicks: take,
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
  listening.add(port.writable$.subscribe(() => pump(port, tdc1)));

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
      listening.unsubscribe();
      lab?.close();
      port.close();
    },
  };
}
