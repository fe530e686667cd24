import { driverManifests } from "../../drivers/registry.ts";
import type { Clock } from "../../hal/clock.ts";
import type { Device } from "../../hal/device.ts";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import { openDevice } from "../../hal/open-device.ts";
import { type PortClient, startPortHost } from "../../hal/ports/port-client.ts";
import type { PairSource } from "../../hal/roles/pair-source.ts";
import type { TimeTagger } from "../../hal/roles/time-tagger.ts";
import type { StationDevice, StationNode } from "../../hal/station/station-schema.ts";
import type { TagMemory } from "../../hal/tags/tag-memory.ts";

/** The opened instruments of one node, held by a port host of their own. */
export interface NodeInstruments {
  readonly devices: ReadonlyMap<string, Device>;
  readonly taggers: ReadonlyMap<string, TimeTagger>;
  readonly pairSources: ReadonlyMap<string, PairSource>;
  /** Resolves when the port host has ended, with the reason when nobody asked it to. */
  readonly portsClosed: Promise<LabError | undefined>;
  /** Sources first, then the rest, then the port host, which makes safe what is left. Idempotent. */
  close(): Promise<void>;
}

/** What opening needs. */
export interface InstrumentsOptions {
  readonly resolve: (portUrl: string) => string;
  /** Devices to open; all of the node by default. */
  readonly only?: ReadonlySet<string>;
  readonly memory: TagMemory;
  readonly tagKernels: WebAssembly.Module;
  readonly clock: Clock;
  readonly logger: Logger;
}

const isTimeTagger = (device: Device): device is TimeTagger => device.role === "time-tagger";
const isPairSource = (device: Device): device is PairSource => device.role === "pair-source";

/**
 * Opens a node's instruments, all at once, and gives them in the station's order.
 * @throws LabError `station.devices` with one line for each that failed; those that opened are closed again.
 */
export async function openInstruments(
  node: StationNode,
  options: InstrumentsOptions,
): Promise<NodeInstruments> {
  const wanted = [...node.devices.values()].filter(
    ({ name }) => options.only === undefined || options.only.has(name),
  );
  const portClient = await startPortHost(options);
  const opened = await Promise.allSettled(wanted.map((each) => openOne(each, portClient, options)));
  const devices = new Map<string, Device>();
  const failures: string[] = [];
  for (const [index, outcome] of opened.entries()) {
    if (outcome.status === "fulfilled") devices.set(outcome.value.name, outcome.value);
    else failures.push(`${node.name}/${wanted[index]?.name}: ${messageOf(outcome.reason)}`);
  }
  const instruments = createInstruments(devices, portClient, options.logger);
  if (failures.length === 0) return instruments;
  await instruments.close();
  throw new LabError("station.devices", failures.join("\n"), { details: { failures } });
}

function openOne(
  device: StationDevice,
  portClient: PortClient,
  { resolve, memory, tagKernels, clock, logger }: InstrumentsOptions,
): Promise<Device> {
  const manifest = driverManifests.get(device.driver);
  if (manifest === undefined) {
    throw new TypeError(`a checked station names the driver ${device.driver}, which is not there`);
  }
  const { name, port, settings, limits } = device;
  return openDevice({
    ...{ name, manifest, url: resolve(port), settings, limits },
    ...{ portClient, tagMemory: memory, tagKernels, clock, logger },
  });
}

function createInstruments(
  devices: ReadonlyMap<string, Device>,
  portClient: PortClient,
  logger: Logger,
): NodeInstruments {
  const all = [...devices.values()];
  const closeAll = async (
    chosen: readonly Device[],
    noteFailure: (device: string, reason: string) => void,
  ): Promise<void> => {
    const outcomes = await Promise.allSettled(chosen.map((device) => device.close()));
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === "rejected") {
        noteFailure(chosen[index]?.name ?? "", messageOf(outcome.reason));
      }
    }
  };
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await closeAll(all.filter(isPairSource), (device, reason) =>
      logger.error({ device, reason }, "IT MAY STILL BE ON: go and look"),
    );
    // Whatever keeps a tagger from closing in order has ended its stream before, and was said then.
    await closeAll(
      all.filter((device) => !isPairSource(device)),
      (device, reason) => logger.info({ device, reason }, "not closed in order"),
    );
    await portClient.close();
  };
  const byName = <Role extends Device>(chosen: readonly Role[]): ReadonlyMap<string, Role> =>
    new Map(chosen.map((device) => [device.name, device]));
  return {
    devices,
    taggers: byName(all.filter(isTimeTagger)),
    pairSources: byName(all.filter(isPairSource)),
    portsClosed: portClient.closed,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
