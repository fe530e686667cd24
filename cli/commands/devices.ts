import { existsSync, readdirSync, realpathSync } from "node:fs";
import type { Command } from "commander";
import { driverManifests } from "../../drivers/registry.ts";
import type { DeviceFingerprint, DriverManifest } from "../../hal/manifest.ts";
import { readStation } from "../../hal/station/station-file.ts";
import type { Station } from "../../hal/station/station-schema.ts";
import type { CommandContext } from "../command.ts";
import type { Printer } from "../print.ts";
import { stationContext } from "./station.ts";

/** A serial port that the system shows. */
interface FoundPort {
  /** Link URL for a station file; by its lasting name where there is one. */
  readonly url: string;
  readonly path: string;
  /** Drivers whose fingerprint it bears. */
  readonly drivers: readonly string[];
}

interface StationPort {
  readonly node: string;
  readonly device: string;
  readonly driver: string;
  readonly port: string;
  /** Null where this cannot be seen without opening it: TCP and mock ports. */
  readonly isPresent: boolean | null;
}

/** Adds `devices [STATION]`: drivers, ports, and whether a station's ports are there. Opens nothing. */
export function addDevicesCommand(program: Command, context: CommandContext): void {
  program
    .command("devices")
    .description("list drivers and serial ports; with a station, say which of its ports are there")
    .argument("[station]", "a station file")
    .option("--json", "one JSON object on standard output")
    .action((path: string | undefined, options: { readonly json?: true }) =>
      context.run(async () => {
        const station = path === undefined ? null : await readStation(path, stationContext());
        const drivers = [...driverManifests.values()].map(({ id, title, roles, links }) => ({
          ...{ id, title, roles, links },
        }));
        const ports = findSerialPorts();
        const devices = station === null ? null : stationPorts(station);
        if (options.json) context.printer.json({ drivers, ports, devices });
        else printDevices(context.printer, { drivers, ports, devices });
        return undefined;
      }),
    );
}

/** Lists serial ports by what the kernel and udev show under /dev; other systems show theirs elsewhere. */
export function findSerialPorts(): readonly FoundPort[] {
  const lasting = namesUnder("/dev/serial/by-id").map((name) => ({
    path: `/dev/serial/by-id/${name}`,
    target: realpathSync(`/dev/serial/by-id/${name}`),
    drivers: [...driverManifests.values()].filter((each) => bears(each, name)).map(({ id }) => id),
  }));
  const others = namesUnder("/dev")
    .filter((name) => /^tty(ACM|USB)\d+$/.test(name))
    .map((name) => `/dev/${name}`)
    .filter((path) => lasting.every(({ target }) => target !== path));
  return [
    ...lasting.map(({ path, drivers }) => ({ url: `serial:${path}`, path, drivers })),
    ...others.map((path) => ({ url: `serial:${path}`, path, drivers: [] })),
  ];
}

function namesUnder(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

/** udev names a port `usb-MAKER_PRODUCT_SERIAL-if00`, blanks as underscores. */
function bears({ fingerprints }: DriverManifest, portName: string): boolean {
  const name = portName.replaceAll("_", " ");
  const matches = ({ usbManufacturer, usbProduct, serialNumberPattern }: DeviceFingerprint) =>
    (usbManufacturer === undefined || name.includes(usbManufacturer)) &&
    (usbProduct === undefined || name.includes(usbProduct)) &&
    (serialNumberPattern === undefined || serialNumberPattern.test(name));
  return fingerprints.some(matches);
}

function stationPorts(station: Station): readonly StationPort[] {
  return [...station.nodes.values()].flatMap((node) =>
    [...node.devices.values()].map(({ name, driver, port }) => ({
      ...{ node: node.name, device: name, driver, port },
      isPresent: port.startsWith("serial:") ? existsSync(port.slice("serial:".length)) : null,
    })),
  );
}

function printDevices(
  printer: Printer,
  found: {
    readonly drivers: readonly Pick<DriverManifest, "id" | "title" | "roles" | "links">[];
    readonly ports: readonly FoundPort[];
    readonly devices: readonly StationPort[] | null;
  },
): void {
  printer.table(
    ["driver", "instrument", "role", "ports"],
    found.drivers.map(({ id, title, roles, links }) => [
      ...[id, title, roles.join(", "), links.join(", ")],
    ]),
  );
  printer.line();
  if (found.ports.length === 0) printer.line("no serial port found");
  else {
    printer.table(
      ["port", "looks like"],
      found.ports.map(({ url, drivers }) => [url, drivers.join(" or ") || "–"]),
    );
  }
  if (found.devices === null) return;
  printer.line();
  printer.table(
    ["node", "device", "driver", "port", "present"],
    found.devices.map(({ node, device, driver, port, isPresent }) => [
      ...[node, device, driver, port],
      isPresent === null ? "–" : isPresent ? "yes" : printer.alarm("no"),
    ]),
  );
}
