import type { Clock } from "./clock.ts";
import type { Device } from "./device.ts";
import { LabError, messageOf } from "./errors.ts";
import { parseLinkUrl } from "./links/link-url.ts";
import type { Logger } from "./log.ts";
import type { DriverManifest, DriverPort } from "./manifest.ts";
import type { HostedPort, PortClient } from "./ports/port-client.ts";
import { openStreamingPort } from "./tags/live-source.ts";
import { compileTagKernels } from "./tags/tag-kernels.ts";
import type { TagMemory } from "./tags/tag-memory.ts";

/** One instrument to open. */
export interface DeviceRequest {
  /** The device's name in the station file. */
  readonly name: string;
  readonly manifest: DriverManifest;
  /** Link URL, `mock:` resolved. */
  readonly url: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Bounds: a setting's name followed by Max or Min. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly portClient: PortClient;
  readonly tagMemory: TagMemory;
  /** Compiled once a process; compiled here when absent. */
  readonly tagKernels?: WebAssembly.Module;
  readonly clock: Clock;
  readonly logger: Logger;
}

function parseSettings({ name, manifest, settings = {} }: DeviceRequest): Record<string, unknown> {
  const parsed = manifest.settings.safeParse(settings);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const key = issue?.path.join(".") || "settings";
  throw new LabError(
    "device.setting",
    `${name}: ${key}: ${issue?.message ?? "not accepted"} (see the settings of ${manifest.id})`,
    { details: { device: name, key } },
  );
}

/** Checks the settings against the station's own bounds, which are tighter than the instrument's. */
function assertWithinLimits(
  { name, manifest, limits = {} }: DeviceRequest,
  settings: Readonly<Record<string, unknown>>,
): void {
  for (const [key, bound] of Object.entries(limits)) {
    const [, setting = "", side] = /^(.*)(Max|Min)$/.exec(key) ?? [];
    if (!(setting in manifest.settings.shape)) {
      throw new LabError(
        "device.limit",
        `${name}: no setting of ${manifest.id} has a limit ${key}; a limit is a setting's name followed by Max or Min`,
        { details: { device: name, key } },
      );
    }
    const value = settings[setting];
    if (typeof value !== "number") continue;
    if (side === "Max" ? value <= bound : value >= bound) continue;
    throw new LabError(
      "device.limit",
      `${name}: ${setting} ${value} is beyond the station's ${key} ${bound}`,
      { details: { device: name, key, value, bound } },
    );
  }
}

function driverPort(port: HostedPort, request: DeviceRequest): DriverPort {
  const { tagMemory, clock } = request;
  return {
    url: port.url,
    attach: () => port.attach(),
    attachStreaming: () =>
      openStreamingPort(port, {
        ...{ tagMemory, clock, tagKernels: request.tagKernels ?? compileTagKernels() },
      }),
    setSafeState: (steps) => port.setSafeState(steps),
    close: () => port.close(),
  };
}

/**
 * Opens an instrument: checks its settings, leases the port, has the driver make sure of what is there. If
 * any of it fails the port is closed again, outputs off.
 * @throws LabError `device.setting`, `device.limit`, `device.wrong-kind`, `device.refused`, `device.link`, `link.*`.
 */
export async function openDevice(request: DeviceRequest): Promise<Device> {
  const { name, manifest, url, limits = {}, clock } = request;
  const settings = parseSettings(request);
  assertWithinLimits(request, settings);
  const { kind } = parseLinkUrl(url);
  if (kind !== "mock" && !manifest.links.includes(kind)) {
    throw new LabError(
      "device.link",
      `${name}: ${manifest.title} has no ${kind} port; it is reached by ${manifest.links.join(" or ")}`,
      { details: { device: name, url } },
    );
  }
  const logger = request.logger.child({ device: name, link: url });
  const port = await request.portClient.open({
    ...{ url, holder: name },
    ...(manifest.baud === undefined ? {} : { baud: manifest.baud }),
  });
  try {
    const device = await manifest.open({
      ...{ name, settings, limits, clock, logger, port: driverPort(port, request) },
    });
    logger.info({ driver: manifest.id, identity: device.identity.raw }, "opened");
    return device;
  } catch (error) {
    await port.close().catch((failure: unknown) => {
      logger.error({ reason: messageOf(failure) }, "the port could not be closed safely");
    });
    throw error;
  }
}
