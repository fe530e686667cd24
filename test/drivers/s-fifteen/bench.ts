/** A bench of mock instruments behind real ports, and clicks to feed them. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../hal/clock.ts";
import type { Device } from "../../../hal/device.ts";
import { silentLogger } from "../../../hal/log.ts";
import type { DriverManifest } from "../../../hal/manifest.ts";
import { openDevice } from "../../../hal/open-device.ts";
import { type PortClient, startPortHost } from "../../../hal/ports/port-client.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import { ps, roundMsToPs } from "../../../hal/units.ts";
import {
  type HostedInstrument,
  type InstrumentHost,
  startInstruments,
} from "../../../mocks/instrument-host.ts";
import { repeat } from "../../../mocks/instruments/mock-instrument.ts";
import { type LabServer, listenLab } from "../../../mocks/physics/lab-server.ts";
import { labSettingsSchema } from "../../../mocks/physics/lab-settings.ts";
import { hasPty } from "../../../mocks/ports/pty.ts";

/** Light of a constant rate on all four inputs of every tagger. */
export interface BenchLight {
  clicksPerS: number;
}

/** Everything that stands on the bench. */
export interface Bench {
  readonly light: BenchLight;
  readonly instrument: (name: string) => HostedInstrument;
  /** Opens a device by the driver, as a station would. */
  open<Opened extends Device>(
    manifest: DriverManifest,
    instrument: string,
    options?: {
      readonly settings?: Readonly<Record<string, unknown>>;
      readonly limits?: Readonly<Record<string, number>>;
    },
  ): Promise<Opened>;
  readonly tagMemory: TagMemory;
  readonly portClient: PortClient;
  /** Closes what a failed test left open. */
  closeDevices(): Promise<void>;
  close(): Promise<void>;
}

type InstrumentInput = { readonly model: string } & Readonly<Record<string, unknown>>;

function shine(server: LabServer, light: BenchLight, taggers: readonly string[]): Disposable {
  const startMs = systemClock.monotonicMs();
  let fromPs = ps(0n);
  let input = 0;
  return repeat(systemClock, 5, () => {
    const toPs = roundMsToPs(systemClock.monotonicMs() - startMs);
    const spacingPs = light.clicksPerS > 0 ? BigInt(Math.round(1e12 / light.clicksPerS)) : 0n;
    const count = spacingPs > 0n ? Number((toPs - fromPs) / spacingPs) : 0;
    const timesPs = BigInt64Array.from({ length: count }, (_, k) => fromPs + BigInt(k) * spacingPs);
    const inputs = Uint8Array.from({ length: count }, () => input++ % 4);
    for (const tagger of taggers) server.send(tagger, { fromPs, toPs, timesPs, inputs });
    fromPs = toPs;
  });
}

/** Sets up mock instruments at ports of this system, lit or dark. */
export async function setUpBench(
  instruments: Readonly<Record<string, InstrumentInput>>,
  clock: Clock = systemClock,
): Promise<Bench> {
  const portClient = await startPortHost({ clock: systemClock, logger: silentLogger });
  const socketPath = hasPty()
    ? join(tmpdir(), `bellwether-bench-${process.pid}-${portClient.pid}.sock`)
    : "tcp:127.0.0.1:0";
  const names = Object.keys(instruments);
  const server = await listenLab(socketPath, {
    instruments: new Set(names),
    labEpochUtcPs: systemClock.utcPs(),
    onPumpCurrent: () => {},
  });
  const light = { clicksPerS: 100_000 };
  const shape = labSettingsSchema.shape.instruments;
  const at = hasPty() ? "pty" : "tcp";
  const host: InstrumentHost = await startInstruments({
    instruments: shape.parse(
      Object.fromEntries(names.map((name) => [name, { at, ...instruments[name] }])),
    ),
    ...{ labSocketPath: server.socketPath, logger: silentLogger },
  });
  const shining = shine(server, light, names);
  const tagMemory = TagMemory.create({ slots: 128 });
  const opened: Device[] = [];
  const instrument = (name: string): HostedInstrument => {
    const found = host.instruments.get(name);
    if (found === undefined) throw new TypeError(`no ${name} on the bench`);
    return found;
  };
  const closeDevices = async (): Promise<void> => {
    await Promise.allSettled(opened.splice(0).map((device) => device.close()));
  };
  return {
    ...{ light, instrument, tagMemory, portClient, closeDevices },
    open: async (manifest, name, options = {}) => {
      const device = await openDevice({
        ...{ name, manifest, url: instrument(name).url, portClient, tagMemory, clock },
        ...{ logger: silentLogger, ...options },
      });
      opened.push(device);
      return device as never;
    },
    close: async () => {
      await closeDevices();
      await portClient.close();
      shining[Symbol.dispose]();
      await host.close();
      server.close();
    },
  };
}
