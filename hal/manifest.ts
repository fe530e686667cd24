import type { z } from "zod";
import type { Clock } from "./clock.ts";
import type { Device } from "./device.ts";
import type { ByteLink } from "./links/byte-link.ts";
import type { Logger } from "./log.ts";
import type { SafeStep } from "./ports/port-messages.ts";
import type { StreamingPort } from "./tags/live-source.ts";

/** How an instrument can be recognised before it is asked: what udev or the USB descriptors show. */
export interface DeviceFingerprint {
  /** USB strings, as in /dev/serial/by-id with blanks for underscores. */
  readonly usbManufacturer?: string;
  readonly usbProduct?: string;
  readonly serialNumberPattern?: RegExp;
}

/** What a driver says about itself before anything is opened: enough to check a station file. */
export interface DriverManifest {
  /** `vendor/model`, as a station file writes it. */
  readonly id: string;
  /** The instrument as its maker calls it. */
  readonly title: string;
  /** What it can be, such as `time-tagger` or `pair-source`. */
  readonly roles: readonly string[];
  /** The kinds of port it can be reached through. */
  readonly links: readonly ("serial" | "tcp")[];
  readonly fingerprints: readonly DeviceFingerprint[];
  /** What a station file may set, with ranges; units last in the keys. Strict: unknown keys are refused. */
  readonly settings: z.ZodObject;
  /** Inputs of a time tagger, numbered from 1 on the box. */
  readonly inputs?: number;
  /** Of a real UART; USB instruments ignore it. 115200 by default. */
  readonly baud?: number;
  /**
   * Loads the driver and opens the instrument: makes sure that it is the right one, then applies the settings, with
   * all outputs off. @throws LabError `device.wrong-kind`, `device.limit`, `device.refused`, `link.*`.
   */
  open(context: DriverContext): Promise<Device>;
}

/** What a driver is given. Whatever it leaves undone when it throws, the caller does: close the port, made safe. */
export interface DriverContext {
  /** The device's name in the station file. */
  readonly name: string;
  /** Parsed by the manifest's schema. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The station's bounds: a setting's name followed by Max or Min. */
  readonly limits: Readonly<Record<string, number>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly port: DriverPort;
}

/** The instrument's port. Use one of `attach` and `attachStreaming`, once. */
export interface DriverPort {
  /** Link URL. */
  readonly url: string;
  /** Bytes on this thread: for instruments that answer queries. */
  attach(): Promise<ByteLink>;
  /** An ingest worker of its own: for instruments that stream time tags. */
  attachStreaming(): Promise<StreamingPort>;
  /**
   * Hands over what makes the outputs safe; the port host sends it when this program dies, hangs or closes the port.
   * Resolves when it is in place: call before switching anything on.
   */
  setSafeState(steps: readonly SafeStep[]): Promise<void>;
  /** Has the safe bytes sent and the port closed. Idempotent. @throws LabError `device.not-made-safe`. */
  close(): Promise<void>;
}
