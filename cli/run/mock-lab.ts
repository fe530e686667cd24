import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { merge, NEVER, type Observable } from "rxjs";
import { z } from "zod";
import { type Clock, offsetClock } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import { type Logger, toJson } from "../../hal/log.ts";
import type { Station } from "../../hal/station/station-schema.ts";
import { roundMsToPs } from "../../hal/units.ts";
import { type InstrumentHost, startInstruments } from "../../mocks/instrument-host.ts";
import type { LabSettings } from "../../mocks/physics/lab-settings.ts";
import { type PhysicsHost, startPhysics } from "../../mocks/physics/physics-host.ts";

/** The processes behind a station's `mock:` ports. */
export interface MockLab {
  /** Seed of all chance in the lab; null where the station has no mock. */
  readonly seed: number | null;
  /** Gives the URL at which a port is really served. */
  resolve(portUrl: string): string;
  /** Where each mock instrument serves, by name. */
  readonly urls: ReadonlyMap<string, string>;
  /** Parts of the lab that ended by themselves. */
  readonly failures$: Observable<LabError>;
  close(): Promise<void>;
}

const noLab: MockLab = {
  seed: null,
  resolve: (portUrl) => portUrl,
  urls: new Map(),
  failures$: NEVER,
  close: () => Promise.resolve(),
};

/** Gives a node's own clock: wrong by what the mock lab says of its host, if it says anything. */
export function nodeClock(station: Station, node: string, clock: Clock): Clock {
  const lab = station.mock as LabSettings | null;
  const utcOffsetMs = lab?.hosts[node]?.utcOffsetMs ?? 0;
  return utcOffsetMs === 0 ? clock : offsetClock(clock, roundMsToPs(utcOffsetMs));
}

/**
 * Starts the physics process and then the mock instruments of a station; a station without mocks starts nothing.
 * @throws LabError `mock.*` when a part does not start; the others are ended first.
 */
export async function startMockLab(
  station: Station,
  options: { readonly clock: Clock; readonly logger: Logger; readonly linkFolder?: string },
): Promise<MockLab> {
  const lab = station.mock as LabSettings | null;
  if (lab === null) return noLab;
  const physics = await startPhysics(lab, options);
  try {
    const instruments = await startInstruments({
      instruments: lab.instruments,
      labSocketPath: physics.socketPath,
      logger: options.logger,
      clock: options.clock,
      linkPaths: Object.fromEntries(
        options.linkFolder === undefined
          ? []
          : Object.keys(lab.instruments).map((name) => [name, `${options.linkFolder}/${name}`]),
      ),
    });
    return runningLab(physics, instruments);
  } catch (error) {
    await physics.close();
    throw error;
  }
}

function runningLab(physics: PhysicsHost, instruments: InstrumentHost): MockLab {
  return {
    seed: physics.seed,
    resolve: instruments.resolve,
    urls: new Map([...instruments.instruments].map(([name, { url }]) => [name, url])),
    failures$: merge(physics.failures$, instruments.failures$),
    close: async () => {
      await instruments.close();
      await physics.close();
    },
  };
}

/** Name of the file in a served lab's folder that says where its instruments are. */
const addressFile = "lab.json";

/**
 * Writes where the instruments of a lab are served, for other processes that run nodes of the station.
 * @throws LabError `mock.folder`.
 */
export function publishMockLab(lab: MockLab, folder: string): void {
  const { seed } = lab;
  const served = { pid: process.pid, seed, urls: Object.fromEntries(lab.urls) };
  writeFileSync(join(folder, addressFile), toJson(served));
}

/** Makes sure that no other process serves a lab in the folder. @throws LabError `mock.folder`. */
export function assertNotServed(folder: string): void {
  const pid = servingProcess(join(folder, addressFile));
  if (pid === null) return;
  throw new LabError(
    "mock.folder",
    `process ${pid} serves a mock lab in ${folder} already: end it, or name another folder`,
    { details: { folder, pid } },
  );
}

/** Null when nobody serves; a file may have outlived a process that was killed. */
function servingProcess(path: string): number | null {
  try {
    const { pid = 0 } = servedLabSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    return pid > 0 && process.kill(pid, 0) ? pid : null;
  } catch {
    return null;
  }
}

/** Takes back what `publishMockLab` wrote. */
export const withdrawMockLab = (folder: string): void =>
  rmSync(join(folder, addressFile), { force: true });

/** Uses the lab that another process serves in `mocksFolder`, or starts one. @throws LabError `mock.*`. */
export function openMockLab(
  station: Station,
  options: { readonly clock: Clock; readonly logger: Logger; readonly mocksFolder?: string },
): Promise<MockLab> {
  const { mocksFolder } = options;
  return mocksFolder === undefined
    ? startMockLab(station, options)
    : Promise.resolve(servedLab(station, mocksFolder));
}

const servedLabSchema = z.object({
  /** The process that serves. */
  pid: z.int().optional(),
  seed: z.number().nullable(),
  urls: z.record(z.string(), z.string()),
});

function servedLab(station: Station, folder: string): MockLab {
  const path = join(folder, addressFile);
  const { seed, urls } = readServedLab(path, station);
  return {
    ...noLab,
    seed,
    urls: new Map(Object.entries(urls)),
    resolve: (portUrl) => {
      if (!portUrl.startsWith("mock:")) return portUrl;
      const url = urls[portUrl.slice("mock:".length)];
      if (url !== undefined) return url;
      throw new LabError("mock.unknown-instrument", `${path} serves no ${portUrl}`);
    },
  };
}

function readServedLab(path: string, station: Station): z.output<typeof servedLabSchema> {
  try {
    return servedLabSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    const failure = new LabError(
      "mock.not-served",
      `no mock lab is served in ${dirname(path)}; start one with: bellwether mocks serve ${station.path} --folder ${dirname(path)}`,
      { cause },
    );
    throw failure;
  }
}
