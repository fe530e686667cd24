import { driverManifests } from "../../drivers/registry.ts";
import { LabError } from "../../hal/errors.ts";
import type { TimeTagger } from "../../hal/roles/time-tagger.ts";
import { openSettingsBook } from "../../hal/station/snapshot.ts";
import { channelLabels, type StationNode } from "../../hal/station/station-schema.ts";
import { compileTagKernels } from "../../hal/tags/tag-kernels.ts";
import type { OpenStationSession } from "../station-session.ts";
import { ClosingOrder } from "./closing-order.ts";
import { openInstruments } from "./instruments.ts";
import { nodeClock, startMockLab } from "./mock-lab.ts";
import { type Pump, PumpLease } from "./pump-lease.ts";
import { createNodeMemory, pumps } from "./station-session.ts";

/** Opens one tagger of a station; the station's sources are lit for as long as it is open. */
export const openTaggerSession: OpenStationSession = async (station, options) => {
  const { logger, clock: stationClock } = options;
  const closing = new ClosingOrder(logger);
  try {
    const lab = await startMockLab(station, options);
    closing.add("mock lab", lab.close);
    const memory = createNodeMemory(1);
    const tagKernels = compileTagKernels();
    const lit: Pump[] = [];
    let tagger: TimeTagger | undefined;
    for (const node of station.nodes.values()) {
      const isChosenNode = node.name === options.node;
      const isChosen = (device: string): boolean => isChosenNode && device === options.device;
      const isSource = (driver: string): boolean =>
        driverManifests.get(driver)?.roles.includes("pair-source") ?? false;
      const only = new Set(
        [...node.devices.values()]
          .filter(({ name, driver }) => isChosen(name) || isSource(driver))
          .map(({ name }) => name),
      );
      if (only.size === 0) continue;
      const clock = nodeClock(station, node.name, stationClock);
      const { resolve } = lab;
      const instruments = await openInstruments(node, {
        ...{ memory, tagKernels, resolve, only, clock, logger },
      });
      closing.add(`instruments of ${node.name}`, instruments.close);
      lit.push(...pumps(node, instruments));
      const chosen = isChosenNode ? instruments.taggers.get(options.device) : undefined;
      if (chosen !== undefined) tagger = labelled(chosen, node);
    }
    if (tagger === undefined) {
      throw new LabError(
        "station.no-tagger",
        `${station.path} has no time tagger ${options.device} at node ${options.node}`,
      );
    }
    const lease = new PumpLease({ clock: stationClock, logger });
    closing.add("sources", async () => {
      await lease.release();
    });
    await lease.arm(lit);
    const { takeSnapshot } = openSettingsBook(station, stationClock);
    return { tagger, takeSnapshot, close: () => closing.close() };
  } catch (error) {
    await closing.close();
    throw error;
  }
};

/** Gives the tagger with streams whose channels carry the names that the station gives its inputs. */
function labelled(tagger: TimeTagger, node: StationNode): TimeTagger {
  const channels = channelLabels(node, tagger.name, tagger.capabilities.inputs);
  return {
    ...{ name: tagger.name, driver: tagger.driver, role: tagger.role },
    ...{ identity: tagger.identity, capabilities: tagger.capabilities },
    ...{ state$: tagger.state$, health$: tagger.health$ },
    startTagging: async () => ({ ...(await tagger.startTagging()), channels }),
    stopTagging: () => tagger.stopTagging(),
    close: () => tagger.close(),
  };
}
