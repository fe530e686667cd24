import { accessSync, constants, statSync } from "node:fs";
import { SerialPortStream } from "@serialport/stream";
import { type Clock, withDeadline } from "../clock.ts";
import { LabError, messageOf } from "../errors.ts";
import type { PausableLink } from "./byte-link.ts";
import { createLinkEnd, disconnected, type LinkEnd } from "./link-end.ts";
import { findPortOwner } from "./port-owner.ts";
import { safeBinding } from "./safe-binding.ts";

const openTimeoutMs = 5_000;
const sendTimeoutMs = 2_000;
const drainTimeoutMs = 500;

/** How to open a serial port: raw, 8 data bits, no parity, 1 stop bit, no flow control. */
export interface SerialLinkSettings {
  /** Device file or COM port. */
  readonly path: string;
  /** Virtual ports of USB instruments ignore it. */
  readonly baud: number;
}

const reasonCode = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

function notFound(url: string, path: string, cause?: unknown): LabError {
  return new LabError(
    "link.not-found",
    `${url}: there is no ${path}; is the instrument plugged in and on? \`ls /dev/serial/by-id\` lists what is there`,
    { details: { url, path }, cause },
  );
}

function permissionRefused(url: string, path: string, cause?: unknown): LabError {
  return new LabError(
    "link.permission",
    `${url}: this user may not open ${path}; join the group that owns it (often dialout) and log in again`,
    { details: { url, path }, cause },
  );
}

const noSerialPort = (url: string, path: string, cause?: unknown): LabError =>
  new LabError("link.not-a-port", `${url}: ${path} is not a serial port; name a device file`, {
    details: { url, path },
    cause,
  });

/** Looks before opening: the native binding reports all of these by text alone. */
function assertOpenable(url: string, path: string): void {
  if (process.platform === "win32") return;
  try {
    if (!statSync(path).isCharacterDevice()) throw noSerialPort(url, path);
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (error instanceof LabError) throw error;
    if (reasonCode(error) === "EACCES") throw permissionRefused(url, path, error);
    throw notFound(url, path, error);
  }
}

function openFailure(url: string, path: string, cause: unknown): LabError {
  const words = messageOf(cause);
  if (/cannot lock port|access denied/i.test(words)) {
    const owner = findPortOwner(path);
    const by = owner === null ? "another program" : `${owner.name} (process ${owner.pid})`;
    return new LabError("link.busy", `${url} is in use by ${by}: end that first`, {
      details: { url, path, ownerPid: owner?.pid ?? null },
      cause,
    });
  }
  if (/permission denied/i.test(words)) return permissionRefused(url, path, cause);
  if (/no such file|file not found/i.test(words)) return notFound(url, path, cause);
  if (/inappropriate ioctl|not a tty/i.test(words)) return noSerialPort(url, path, cause);
  return new LabError("link.open-failed", `${url} could not be opened: ${words}`, {
    details: { url, path },
    cause,
  });
}

/** Opens the native port. Its own deadline: opening a dead USB bridge can hang in the kernel. */
function openStream(
  clock: Clock,
  url: string,
  { path, baud }: SerialLinkSettings,
): Promise<SerialPortStream> {
  const opening = new Promise<SerialPortStream>((resolve, reject) => {
    const stream = new SerialPortStream({
      ...{ binding: safeBinding, path, baudRate: baud, autoOpen: false, lock: true },
      ...{ dataBits: 8, parity: "none", stopBits: 1 },
      ...{ rtscts: false, xon: false, xoff: false, xany: false },
    });
    stream.open((error) => {
      if (error === null || error === undefined) resolve(stream);
      else reject(openFailure(url, path, error));
    });
  });
  return withDeadline(
    clock,
    opening,
    openTimeoutMs,
    () => new LabError("link.timeout", `${url} did not open within ${openTimeoutMs} ms`),
  );
}

function sendBytes(
  clock: Clock,
  stream: SerialPortStream,
  end: LinkEnd,
  url: string,
  bytes: Uint8Array,
): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    stream.write(Buffer.from(bytes), undefined, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(disconnected(url, error));
    });
  });
  // Whoever gave up waiting is told by the deadline; the write may still fail later, with the port.
  written.catch(() => {});
  const lost = end.closed.then((reason) => {
    throw reason ?? new LabError("link.closed", `${url} was closed while sending`);
  });
  lost.catch(() => {});
  return withDeadline(
    clock,
    Promise.race([written, lost]),
    sendTimeoutMs,
    () =>
      new LabError("link.timeout", `${url} took no bytes for ${sendTimeoutMs} ms: is it hung?`, {
        details: { url, bytes: bytes.length },
      }),
  );
}

/**
 * Opens a serial port through the native `serialport` binding, locked against other programs.
 * Only on the main thread of a process: the binding polls on libuv's default loop and aborts the
 * process from any other thread. An unplug is noticed at once, without a write.
 * @throws LabError `link.not-found`, `link.permission`, `link.busy`, `link.not-a-port`, `link.open-failed`, `link.timeout`.
 */
export async function openSerialLink(
  settings: SerialLinkSettings,
  clock: Clock,
): Promise<PausableLink> {
  const { path } = settings;
  const url = `serial:${path}`;
  assertOpenable(url, path);
  const stream = await openStream(clock, url, settings);
  const end = createLinkEnd(url);
  let isClosing = false;
  stream.on("data", (bytes: Buffer) => end.receive(bytes));
  stream.on("error", (error: Error) => end.end(disconnected(url, error)));
  stream.on("close", (error: Error | null) => {
    end.end(isClosing && !error ? undefined : disconnected(url, error ?? undefined));
  });
  const drain = (): Promise<void> =>
    new Promise((resolve) => {
      stream.drain(() => resolve());
    });
  const close = async (): Promise<void> => {
    if (isClosing || end.hasEnded) return void (await end.closed);
    isClosing = true;
    // What was sent last may be what makes the instrument safe: let it out, but never wait for a dead one.
    await withDeadline(clock, drain(), drainTimeoutMs).catch(() => {});
    if (stream.isOpen) await new Promise<void>((resolve) => stream.close(() => resolve()));
    end.end();
  };
  return {
    url,
    received$: end.received$,
    closed: end.closed,
    send: async (bytes) => {
      end.assertOpen();
      await sendBytes(clock, stream, end, url, bytes);
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    close,
  };
}
