/**
 * What no single key of a station file can tell: names that point nowhere, inputs wired twice, limits
 * exceeded. Works on the plain values of the file, so that these problems show together with those of
 * its shape; what has the wrong shape is passed over here, as the schema reports it.
 */
import type { z } from "zod";
import { isLabError } from "../errors.ts";
import { parseLinkUrl } from "../links/link-url.ts";
import type { DriverManifest } from "../manifest.ts";
import { nameOf, problemsFromSchema } from "./schema-problem.ts";
import { adviceFor, nearestOf, type StationProblem, unitOfKey } from "./station-problem.ts";
import type { ValuePath, YamlSource } from "./yaml-source.ts";

/** As much of a driver's manifest as a station file is checked against. */
export type StationManifest = Pick<
  DriverManifest,
  "id" | "title" | "roles" | "links" | "settings" | "inputs"
>;

/** The drivers' manifests, by their ids. */
export type Manifests = ReadonlyMap<string, StationManifest>;

interface Check {
  readonly source: YamlSource;
  readonly manifests: Manifests;
  /** Names in the mock section; null where there is none. */
  readonly mockInstruments: readonly string[] | null;
  /** Ports met so far, and where. */
  readonly portUsers: Map<string, ValuePath>;
}

type Group = Readonly<Record<string, unknown>>;

/** Gives the keys and values of a group of keys; nothing of anything else. */
export function groupAt(value: unknown, ...path: readonly string[]): Group {
  let inner = value;
  for (const key of path) inner = groupAt(inner)[key];
  return typeof inner === "object" && inner !== null && !Array.isArray(inner)
    ? (inner as Group)
    : {};
}

/** Gives every contradiction in a station's values. */
export function contradictionsIn(source: YamlSource, manifests: Manifests): StationProblem[] {
  const station = groupAt(source.value);
  const { mock = null } = station;
  const check: Check = {
    source,
    manifests,
    mockInstruments: mock === null ? null : Object.keys(groupAt(mock, "instruments")),
    portUsers: new Map(),
  };
  return [...checkNodes(check, station), ...checkLinks(check, station)];
}

function* checkNodes(check: Check, station: Group): Generator<StationProblem> {
  for (const [nodeName, node] of Object.entries(groupAt(station, "nodes"))) {
    const devices = groupAt(node, "devices");
    for (const [deviceName, device] of Object.entries(devices)) {
      const at = ["nodes", nodeName, "devices", deviceName];
      const { port, driver } = groupAt(device);
      yield* checkPort(check, port, at);
      yield* checkDriver(check, driver, groupAt(device), at);
    }
    yield* checkDetectors(check, nodeName, groupAt(node, "detectors"), devices);
  }
}

function* checkPort(check: Check, port: unknown, at: ValuePath): Generator<StationProblem> {
  if (typeof port !== "string") return;
  const { source, mockInstruments, portUsers } = check;
  const portAt = [...at, "port"];
  try {
    const url = parseLinkUrl(port);
    if (url.kind === "mock" && !(mockInstruments ?? []).includes(url.name)) {
      const advice =
        mockInstruments === null
          ? "this station has no mock section; add one, or name a real port"
          : adviceFor(url.name, mockInstruments);
      yield source.problemAt(
        portAt,
        "station.unknown-instrument",
        `there is no mock instrument "${url.name}"; ${advice}`,
      );
    }
    // Nodes may be different machines, whose serial ports share names; the mock lab is one.
    const user = url.kind === "mock" ? port : `${at[1]} ${port}`;
    const first = portUsers.get(user);
    if (first === undefined) portUsers.set(user, at);
    else {
      yield source.problemAt(
        portAt,
        "station.port-in-use",
        `${port} already belongs to ${nameOf(first)} (line ${source.lineOf(first)}); an instrument has one owner`,
      );
    }
  } catch (error) {
    if (!isLabError(error)) throw error;
    yield source.problemAt(portAt, "station.malformed-port", error.message);
  }
}

function* checkDriver(
  { source, manifests }: Check,
  driver: unknown,
  device: { readonly port?: unknown; readonly settings?: unknown; readonly limits?: unknown },
  at: ValuePath,
): Generator<StationProblem> {
  if (typeof driver !== "string") return;
  const manifest = manifests.get(driver);
  if (manifest === undefined) {
    yield source.problemAt(
      [...at, "driver"],
      "station.unknown-driver",
      `there is no driver "${driver}"; ${adviceFor(driver, [...manifests.keys()])}`,
    );
    return;
  }
  yield* checkLinkKind(source, manifest, device.port, at);
  const given = device.settings ?? {};
  const parsed = manifest.settings.safeParse(given, { reportInput: true });
  if (!parsed.success) {
    yield* problemsFromSchema(parsed.error, manifest.settings, source, [...at, "settings"]);
  }
  const settings: Group = parsed.success ? parsed.data : groupAt(given);
  yield* checkLimits(source, manifest, { settings, limits: groupAt(device, "limits"), at });
}

function* checkLinkKind(
  source: YamlSource,
  manifest: StationManifest,
  port: unknown,
  at: ValuePath,
): Generator<StationProblem> {
  const kind = /^(serial|tcp):/.exec(String(port))?.[1];
  if (kind !== undefined && !manifest.links.some((link) => link === kind)) {
    yield source.problemAt(
      [...at, "port"],
      "station.wrong-port",
      `${manifest.title} is reached by ${manifest.links.join(" or ")}, not by ${kind}`,
    );
  }
}

function* checkLimits(
  source: YamlSource,
  manifest: StationManifest,
  device: { readonly settings: Group; readonly limits: Group; readonly at: ValuePath },
): Generator<StationProblem> {
  const { settings, limits, at } = device;
  const shape: Readonly<Record<string, z.ZodType>> = manifest.settings.shape;
  for (const [key, bound] of Object.entries(limits)) {
    const limitAt = [...at, "limits", key];
    const [, setting = "", side = ""] = /^(.*)(Max|Min)$/.exec(key) ?? [];
    const schema = shape[setting];
    if (schema === undefined) {
      yield source.problemAtKey(
        limitAt,
        "station.unknown-limit",
        `${manifest.id} has no limit "${key}"; ${limitAdvice(key, Object.keys(shape))}`,
      );
      continue;
    }
    if (typeof bound !== "number") continue;
    if (!schema.safeParse(bound).success) {
      yield source.problemAt(
        limitAt,
        "station.limit",
        `the limit ${key} ${bound} is itself beyond what ${manifest.id} can be set to; give one within its range`,
      );
    }
    const value = settings[setting];
    const isWithin =
      typeof value !== "number" || (side === "Max" ? value <= bound : value >= bound);
    if (isWithin) continue;
    const relation = side === "Max" ? "exceeds" : "is below";
    const inUnit = (figure: unknown): string => [figure, unitOfKey(setting)].join(" ").trim();
    yield source.problemAt(
      [...at, "settings", setting],
      "station.limit",
      `${setting} ${inUnit(value)} ${relation} the limit ${key} ${inUnit(bound)} (line ${source.lineOf(limitAt)}); change one of them`,
    );
  }
}

function limitAdvice(key: string, settings: readonly string[]): string {
  if (settings.includes(key)) return `did you mean "${key}Max" or "${key}Min"?`;
  const nearest = nearestOf(
    key,
    settings.flatMap((setting) => [`${setting}Max`, `${setting}Min`]),
  );
  return nearest === null
    ? `a limit is a setting's name followed by Max or Min, and the settings are ${settings.join(", ")}`
    : `did you mean "${nearest}"?`;
}

function* checkDetectors(
  check: Check,
  nodeName: string,
  detectors: Group,
  devices: Group,
): Generator<StationProblem> {
  const { source } = check;
  const users = new Map<string, string>();
  for (const [name, detector] of Object.entries(detectors)) {
    const at = ["nodes", nodeName, "detectors", name];
    const { tagger, input } = groupAt(detector);
    if (typeof tagger !== "string") continue;
    if (devices[tagger] === undefined) {
      yield source.problemAt(
        [...at, "tagger"],
        "station.unknown-tagger",
        `node ${nodeName} has no device "${tagger}"; ${adviceFor(tagger, Object.keys(devices))}`,
      );
      continue;
    }
    if (typeof input !== "number") continue;
    yield* checkInput(check, { tagger, input, device: groupAt(devices, tagger), at });
    const first = users.get(`${tagger} ${input}`);
    if (first === undefined) users.set(`${tagger} ${input}`, name);
    else {
      yield source.problemAt(
        [...at, "input"],
        "station.input-in-use",
        `input ${input} of ${tagger} already has detector "${first}" (line ${source.lineOf([...at.slice(0, 3), first])}); wire this one elsewhere`,
      );
    }
  }
}

function* checkInput(
  { source, manifests }: Check,
  wire: {
    readonly tagger: string;
    readonly input: number;
    readonly device: Group;
    readonly at: ValuePath;
  },
): Generator<StationProblem> {
  const { tagger, input, device, at } = wire;
  const { driver } = device;
  const manifest = manifests.get(String(driver));
  if (manifest === undefined) return;
  if (!manifest.roles.includes("time-tagger")) {
    yield source.problemAt(
      [...at, "tagger"],
      "station.not-a-tagger",
      `"${tagger}" is a ${manifest.title}, which tags no time; name a time tagger`,
    );
  } else if (manifest.inputs !== undefined && input > manifest.inputs) {
    yield source.problemAt(
      [...at, "input"],
      "station.no-such-input",
      `${manifest.title} has inputs 1 to ${manifest.inputs}, not ${input}`,
    );
  }
}

function* checkLinks({ source }: Check, station: Group): Generator<StationProblem> {
  const nodes = groupAt(station, "nodes");
  for (const [name, link] of Object.entries(groupAt(station, "links"))) {
    const at = ["links", name];
    const { ends, channel } = groupAt(link);
    if (Array.isArray(ends)) yield* checkEnds(source, nodes, ends, [...at, "ends"]);
    if (typeof channel === "string" && channel !== "in-process" && !isTcp(channel)) {
      yield source.problemAt(
        [...at, "channel"],
        "station.malformed-channel",
        `"${channel}" is not a channel: write in-process or tcp:host:port`,
      );
    }
  }
}

function* checkEnds(
  source: YamlSource,
  nodes: Group,
  ends: readonly unknown[],
  at: ValuePath,
): Generator<StationProblem> {
  for (const [index, end] of ends.entries()) {
    if (typeof end !== "string") continue;
    const endAt = [...at, index];
    if (nodes[end] === undefined) {
      yield source.problemAt(
        endAt,
        "station.unknown-node",
        `there is no node "${end}"; ${adviceFor(end, Object.keys(nodes))}`,
      );
    } else if (Object.keys(groupAt(nodes, end, "detectors")).length === 0) {
      yield source.problemAt(
        endAt,
        "station.no-detectors",
        `node ${end} has no detectors, so no link can end there; add them under nodes.${end}.detectors`,
      );
    }
    if (index > 0 && end === ends[0]) {
      yield source.problemAt(
        endAt,
        "station.same-ends",
        `both ends are "${end}"; a link joins two nodes`,
      );
    }
  }
}

function isTcp(channel: string): boolean {
  try {
    return parseLinkUrl(channel).kind === "tcp";
  } catch (error) {
    if (!isLabError(error)) throw error;
    return false;
  }
}
