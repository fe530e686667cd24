/** A mock instrument's port over TCP: for systems without pseudo-terminals, and for instruments that have a network socket. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { Subject } from "rxjs";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { MockPort } from "./mock-port.ts";

/**
 * As much as a pseudo-terminal's kernel buffer holds; what is beyond waits in the instrument. The kernel's
 * own socket buffers hold some megabytes more, so that over TCP an overflow takes longer to come.
 */
const unsentBytesMax = 65_536;

/**
 * Listens on `host` (127.0.0.1 when omitted) and `port` (any free one when omitted) for one host at a
 * time; a second is turned away, as a serial port in use would be. A host that leaves may come again.
 * @throws LabError `mock.port-in-use` when the address cannot be listened on.
 */
export async function openTcpPort(
  options: { readonly host?: string; readonly port?: number } = {},
): Promise<MockPort> {
  const host = options.host ?? "127.0.0.1";
  const server = createServer({ noDelay: true });
  try {
    server.listen(options.port ?? 0, host);
    await once(server, "listening");
  } catch (cause) {
    throw addressRefused(`${host}:${options.port}`, cause);
  }
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return connectTcp(server, `tcp:${host}:${port}`);
}

const addressRefused = (address: string, cause: unknown): LabError =>
  new LabError(
    "mock.port-in-use",
    `cannot listen on ${address}: ${messageOf(cause)}; name another port`,
    { cause },
  );

function connectTcp(server: Server, url: string): MockPort {
  const received$ = new Subject<Uint8Array>();
  const writable$ = new Subject<void>();
  let host: Socket | null = null;
  let isOpen = true;
  let isAwaited = false;

  server.on("connection", (socket) => {
    if (host !== null || !isOpen) {
      socket.destroy();
      return;
    }
    host = socket;
    socket.on("data", (bytes: Buffer) => received$.next(bytes));
    // A broken connection ends in "close" as well, and that is all an instrument notices.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      host = null;
    });
    writable$.next();
  });
  /** Runs when bytes have left; bytes that found no room before are then asked for. */
  const askAgain = (): void => {
    if (!isAwaited || !isOpen) return;
    isAwaited = false;
    writable$.next();
  };
  const unplug = (): void => {
    if (!isOpen) return;
    isOpen = false;
    host?.destroy();
    server.close();
    received$.complete();
    writable$.complete();
  };
  return {
    url,
    received$,
    writable$,
    write: (bytes) => {
      const room = host === null || !isOpen ? 0 : unsentBytesMax - host.writableLength;
      const taken = Math.max(0, Math.min(room, bytes.length));
      // The socket keeps what it is given until it is sent: it gets a copy.
      if (taken > 0) host?.write(bytes.slice(0, taken), askAgain);
      isAwaited ||= taken < bytes.length;
      return taken;
    },
    unplug,
    close: unplug,
  };
}
