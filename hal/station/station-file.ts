import { readFile, stat } from "node:fs/promises";
import type { z } from "zod";
import { LabError, messageOf } from "../errors.ts";
import { nameOf, problemsFromSchema } from "./schema-problem.ts";
import { contradictionsIn, groupAt, type Manifests } from "./station-checks.ts";
import { stationError } from "./station-problem.ts";
import { type Station, type StationNode, stationSchema } from "./station-schema.ts";
import { parseYaml } from "./yaml-source.ts";

/** A station file is a page or two of text. */
const fileBytesMax = 1_048_576;

/** What a station file is checked against, from the composition root, as hal knows neither drivers nor mocks. */
export interface StationContext {
  /** The drivers there are, by id. */
  readonly manifests: Manifests;
  /** Schema of the `mock:` section; without one the section is kept as it is written. */
  readonly mockSchema?: z.ZodType;
}

/**
 * Parses a station file. `path` names it in messages.
 * @throws LabError `station.*`: one line for each problem, `file:line:column: what is wrong and what to do`;
 * `details.problems` holds them as data.
 */
export function parseStation(text: string, path: string, context: StationContext): Station {
  const source = parseYaml(text, path);
  const { manifests } = context;
  const problems = [...source.problems];
  if (source.value === undefined) throw stationError(problems);
  if (source.value === null || typeof source.value !== "object") {
    const message = "this is no station file: it begins with `station:` and a name";
    throw stationError([...problems, source.problemAt([], "station.not-a-station", message)]);
  }
  const parsed = stationSchema.safeParse(source.value, { reportInput: true });
  if (!parsed.success) {
    problems.push(...problemsFromSchema(parsed.error, stationSchema, source, []));
  }
  problems.push(...contradictionsIn(source, manifests));
  const { mock: mockAsWritten = null } = groupAt(source.value);
  let mock: unknown = mockAsWritten;
  if (mock !== null && context.mockSchema !== undefined) {
    const parsedMock = context.mockSchema.safeParse(mock, { reportInput: true });
    if (parsedMock.success) mock = parsedMock.data;
    else
      problems.push(...problemsFromSchema(parsedMock.error, context.mockSchema, source, ["mock"]));
  }
  if (problems.length > 0 || !parsed.success) throw stationError(problems);
  return buildStation(parsed.data, { path, mock, manifests });
}

/**
 * Reads and parses a station file.
 * @throws LabError `station.not-found`, `station.not-a-file`, `station.unreadable`, and those of `parseStation`.
 */
export async function readStation(path: string, context: StationContext): Promise<Station> {
  return parseStation(await readText(path), path, context);
}

async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    const found = await stat(path);
    if (!found.isFile()) {
      throw new LabError("station.not-a-file", `${path} is not a file; name a station file`);
    }
    if (found.size > fileBytesMax) {
      throw new LabError(
        "station.too-large",
        `${path} has ${found.size} bytes; a station file has at most ${fileBytesMax}: is it a recording?`,
      );
    }
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof LabError) throw error;
    throw unreadable(path, error);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notText(path, cause);
  }
}

function unreadable(path: string, cause: unknown): LabError {
  const isAbsent = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
  return isAbsent
    ? new LabError("station.not-found", `there is no file ${path}; check the path`, { cause })
    : new LabError("station.unreadable", `cannot read ${path}: ${messageOf(cause)}`, { cause });
}

const notText = (path: string, cause: unknown): LabError =>
  new LabError("station.not-text", `${path} is not UTF-8 text; name a station file`, { cause });

function buildStation(
  file: z.output<typeof stationSchema>,
  context: { readonly path: string; readonly mock: unknown; readonly manifests: Manifests },
): Station {
  const { path, mock, manifests } = context;
  return {
    name: file.station,
    path,
    nodes: new Map(
      Object.entries(file.nodes).map(([name, node]) => [name, buildNode(name, node, manifests)]),
    ),
    links: new Map(Object.entries(file.links).map(([name, link]) => [name, { name, ...link }])),
    mock,
  };
}

function buildNode(
  name: string,
  node: z.output<typeof stationSchema>["nodes"][string],
  manifests: Manifests,
): StationNode {
  const devices = Object.entries(node.devices).map(([deviceName, device]) => {
    const manifest = manifests.get(device.driver);
    if (manifest === undefined)
      throw new TypeError(`unchecked driver in ${nameOf([name, deviceName])}`);
    return {
      name: deviceName,
      driver: device.driver,
      port: device.port,
      settings: manifest.settings.parse(device.settings),
      givenSettings: new Set(Object.keys(device.settings)),
      limits: device.limits,
    };
  });
  const detectors = Object.entries(node.detectors).map(([detectorName, detector]) => ({
    name: detectorName,
    ...detector,
    channel: detector.input - 1,
    delayPs: BigInt(detector.delayPs),
  }));
  return {
    name,
    devices: new Map(devices.map((device) => [device.name, device])),
    detectors: new Map(detectors.map((detector) => [detector.name, detector])),
  };
}
