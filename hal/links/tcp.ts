import { connect, type Socket } from "node:net";
import { type Clock, withDeadline } from "../clock.ts";
import { LabError, messageOf } from "../errors.ts";
import type { PausableLink } from "./byte-link.ts";
import { createLinkEnd, disconnected } from "./link-end.ts";
import { formatLinkUrl } from "./link-url.ts";

const openTimeoutMs = 3_000;
const sendTimeoutMs = 2_000;
const keepAliveMs = 1_000;

/** A TCP address. */
export interface TcpLinkSettings {
  readonly host: string;
  readonly port: number;
}

/** Wraps a connected stream socket as a link. `prefix` is what was read from it already. */
export function linkOfSocket(
  socket: Socket,
  url: string,
  clock: Clock,
  prefix?: Uint8Array,
): PausableLink {
  const end = createLinkEnd(url);
  let isClosing = false;
  let failure: Error | undefined;
  socket.on("data", (bytes: Buffer) => end.receive(bytes));
  socket.on("error", (error) => {
    failure = error;
  });
  // The far end closing its half is the only notice that an idle instrument went away.
  socket.on("end", () => socket.destroy());
  socket.on("close", () => end.end(isClosing ? undefined : disconnected(url, failure)));
  if (prefix !== undefined && prefix.length > 0) queueMicrotask(() => end.receive(prefix));
  const sendTimedOut = (): LabError =>
    new LabError("link.timeout", `${url} took no bytes for ${sendTimeoutMs} ms: is it hung?`, {
      details: { url },
    });
  return {
    url,
    received$: end.received$,
    closed: end.closed,
    send: async (bytes) => {
      end.assertOpen();
      const written = new Promise<void>((resolve, reject) => {
        socket.write(bytes, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(disconnected(url, error));
        });
      });
      written.catch(() => {});
      await withDeadline(clock, written, sendTimeoutMs, sendTimedOut);
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: async () => {
      isClosing = true;
      if (!end.hasEnded) {
        socket.end();
        socket.destroySoon();
      }
      await end.closed;
    },
  };
}

/**
 * Connects to an instrument over TCP. A closed or reset connection is noticed at once; a silent loss of
 * the network only by keep-alive probes, after seconds.
 * @throws LabError `link.refused`, `link.not-found`, `link.timeout`.
 */
export async function openTcpLink(settings: TcpLinkSettings, clock: Clock): Promise<PausableLink> {
  const url = formatLinkUrl({ kind: "tcp", ...settings });
  const socket = connect({ host: settings.host, port: settings.port, noDelay: true });
  socket.setKeepAlive(true, keepAliveMs);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error) => reject(openFailure(url, error)));
  });
  try {
    await withDeadline(
      clock,
      connected,
      openTimeoutMs,
      () =>
        new LabError(
          "link.timeout",
          `${url} did not answer within ${openTimeoutMs} ms: is it on?`,
          {
            details: { url },
          },
        ),
    );
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return linkOfSocket(socket, url, clock);
}

function openFailure(url: string, cause: unknown): LabError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") {
    return new LabError("link.refused", `nothing listens at ${url}: start it or check the port`, {
      details: { url },
      cause,
    });
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EHOSTUNREACH") {
    return new LabError("link.not-found", `${url}: there is no such host; check name and network`, {
      details: { url },
      cause,
    });
  }
  return new LabError("link.open-failed", `${url} could not be opened: ${messageOf(cause)}`, {
    details: { url },
    cause,
  });
}
