import type { Clock } from "../clock.ts";
import { psPerMs } from "../units.ts";
import type { Station, StationDevice } from "./station-schema.ts";

/** Who chose a value: the driver, the station file, a person or script while it ran, or the instrument itself by a read-back. */
export type SettingOrigin = "default" | "station-file" | "operator" | "instrument";

/** One setting, when it came to be so, and through whom. */
export interface SettingRecord {
  /** Keys from the station's root: `nodes.alice.devices.tagger.settings.threshold`. */
  readonly path: string;
  /** JSON, with picoseconds as decimal strings. */
  readonly value: unknown;
  /** UTC in ISO 8601. */
  readonly at: string;
  readonly origin: SettingOrigin;
}

/** Everything that was set when something was recorded or calibrated; plain JSON. */
export interface SettingsSnapshot {
  readonly station: string;
  readonly file: string;
  /** UTC in ISO 8601. */
  readonly takenAt: string;
  readonly settings: readonly SettingRecord[];
}

/** Keeps what every setting of a station is at present. */
export interface SettingsBook {
  /** Notes that a setting has a new value from now on. */
  record(path: string, value: unknown, origin: SettingOrigin): void;
  /** Gives all settings as they are now, by path. */
  takeSnapshot(): SettingsSnapshot;
}

const isoTime = (clock: Clock): string => new Date(Number(clock.utcPs() / psPerMs)).toISOString();

/** Opens a book with what the station file and the drivers' defaults say. */
export function openSettingsBook(station: Station, clock: Clock): SettingsBook {
  const records = new Map<string, SettingRecord>();
  const record = (path: string, value: unknown, origin: SettingOrigin): void => {
    records.set(path, { path, value: asJson(value), at: isoTime(clock), origin });
  };
  for (const [path, value, origin] of settingsOf(station)) record(path, value, origin);
  return {
    record,
    takeSnapshot: () => ({
      station: station.name,
      file: station.path,
      takenAt: isoTime(clock),
      settings: [...records.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    }),
  };
}

type Setting = readonly [path: string, value: unknown, origin: SettingOrigin];

function* settingsOf(station: Station): Generator<Setting> {
  for (const node of station.nodes.values()) {
    for (const device of node.devices.values()) {
      yield* settingsOfDevice(device, `nodes.${node.name}.devices.${device.name}`);
    }
    for (const { name, ...wiring } of node.detectors.values()) {
      yield [`nodes.${node.name}.detectors.${name}`, wiring, "station-file"];
    }
  }
  for (const { name, ...link } of station.links.values()) {
    yield [`links.${name}`, link, "station-file"];
  }
  if (station.mock !== null) yield ["mock", station.mock, "station-file"];
}

function* settingsOfDevice(device: StationDevice, at: string): Generator<Setting> {
  yield [`${at}.driver`, device.driver, "station-file"];
  yield [`${at}.port`, device.port, "station-file"];
  for (const [key, value] of Object.entries(device.settings)) {
    const origin = device.givenSettings.has(key) ? "station-file" : "default";
    yield [`${at}.settings.${key}`, value, origin];
  }
  for (const [key, value] of Object.entries(device.limits)) {
    yield [`${at}.limits.${key}`, value, "station-file"];
  }
}

/** Gives a copy that JSON can hold and that nobody else can change. */
const asJson = (value: unknown): unknown =>
  value === undefined
    ? null
    : JSON.parse(
        JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}` : item)),
      );
