/**
 * The native serial binding with another way to read. A terminal that hung up (unplugged while a read
 * is in flight) reads as 0 bytes for ever; the binding retries at once, so that a core spins and nobody
 * is told (serialport/bindings-cpp issue 162). Here 0 bytes, or any error of the descriptor, means gone.
 *
 * It also waits for readiness first and then reads in place: the descriptor never blocks, so the
 * detour through a thread of the pool, and the exception for "nothing yet", are both saved.
 */
import { readSync } from "node:fs";
import {
  autoDetect,
  type BindingInterface,
  type BindingPortInterface,
  DarwinPortBinding,
  LinuxPortBinding,
} from "@serialport/bindings-cpp";

type UnixPort = LinuxPortBinding | DarwinPortBinding;

const gone = (cause?: unknown): Error =>
  Object.assign(new Error("the device hung up", { cause }), { disconnect: true });

const canceled = (): Error => Object.assign(new Error("the port was closed"), { canceled: true });

const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

const waitUntilReadable = (port: UnixPort): Promise<void> =>
  new Promise((resolve, reject) => {
    port.poller.once("readable", (error: (Error & { canceled?: boolean }) | null) => {
      if (error === null) resolve();
      else reject(error.canceled === true ? error : gone(error));
    });
  });

/** Reads what there is, or null when there is nothing yet. */
function readNow(fd: number, buffer: Buffer, start: number, bytesMax: number): number | null {
  try {
    const bytesRead = readSync(fd, buffer, start, bytesMax, null);
    if (bytesRead > 0) return bytesRead;
  } catch (error) {
    if (["EAGAIN", "EWOULDBLOCK", "EINTR"].includes(errorCode(error))) return null;
    throw gone(error);
  }
  throw gone();
}

/** Reads from an open port; rejects with `disconnect: true` once it hung up. */
async function readOrNoticeUnplug(
  port: UnixPort,
  buffer: Buffer,
  start: number,
  bytesMax: number,
): Promise<{ buffer: Buffer; bytesRead: number }> {
  for (;;) {
    if (port.fd === null) throw canceled();
    await waitUntilReadable(port);
    if (port.fd === null) throw canceled();
    const bytesRead = readNow(port.fd, buffer, start, bytesMax);
    if (bytesRead !== null) return { buffer, bytesRead };
  }
}

const native = autoDetect() as BindingInterface;

/** The host's serial binding, safe to unplug on Linux and macOS; Windows reports an unplug by itself. */
export const safeBinding: BindingInterface = {
  list: () => native.list(),
  open: async (options) => {
    const port: BindingPortInterface = await native.open(options);
    if (port instanceof LinuxPortBinding || port instanceof DarwinPortBinding) {
      port.read = (buffer, start, bytesMax) => readOrNoticeUnplug(port, buffer, start, bytesMax);
    }
    return port;
  },
};
