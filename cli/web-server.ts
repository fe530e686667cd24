/**
 * The web server of a running station: the files of the page, the present state as JSON, and a
 * WebSocket that pushes it. It shows and never commands. It listens on the loopback address alone,
 * asks for a token, and refuses any Host or Origin but its own, so that no page of another site can
 * read it through the browser (DNS rebinding, cross-site WebSockets).
 */
import { timingSafeEqual } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Observable } from "rxjs";
import { WebSocketServer } from "ws";
import type { Clock } from "../hal/clock.ts";
import { entryPointUrl } from "../hal/entry-point.ts";
import { LabError } from "../hal/errors.ts";
import { type Logger, toJson } from "../hal/log.ts";
import type { RandomSource } from "../hal/random.ts";
import type { LiveState } from "./live-state.ts";
import { createStateFeed, type StateFeed } from "./web-state-feed.ts";

/** What a web server needs; `port` 0 or none lets the system choose a free one. */
export interface WebServerOptions {
  readonly state$: Observable<LiveState>;
  readonly port?: number;
  readonly logger: Logger;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/** A running web server; `url` carries the token, so it goes to the user's terminal and nowhere else. */
export interface WebServer {
  readonly url: string;
  /** Idempotent; ends every connection. */
  close(): Promise<void>;
}

const loopbackAddress = "127.0.0.1";
const headerBytesMax = 16_384;
const requestTimeoutMs = 10_000;
const inboundBytesMax = 1_024;

const contentTypeByExtension: ReadonlyMap<string, string> = new Map([
  ["html", "text/html; charset=utf-8"],
  ["css", "text/css; charset=utf-8"],
  ["js", "text/javascript; charset=utf-8"],
  ["svg", "image/svg+xml"],
]);

interface StaticFile {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

/** Starts the server. @throws LabError `web.port-in-use`, `web.page-missing`, `web.cannot-listen`. */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  const files = readPage();
  const token = Buffer.from(options.random.bytes(24)).toString("base64url");
  const feed = createStateFeed(options);
  const server = createServer({ maxHeaderSize: headerBytesMax, requestTimeout: requestTimeoutMs });
  try {
    await listen(server, options.port ?? 0);
  } catch (error) {
    feed.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const guard = createGuard(token, port);
  server.on("request", (request, response) => answer(request, response, { files, guard, feed }));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: inboundBytesMax });
  server.on("upgrade", (request, socket, head) => {
    const refusal = upgradeRefusal(request, guard, feed);
    if (refusal !== null) {
      refuseUpgrade(socket, refusal);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => feed.add(client));
  });
  options.logger.info({ port }, "web page served on the loopback address");
  let closing: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    feed.close();
    sockets.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    url: `http://${loopbackAddress}:${port}/?token=${token}`,
    close: () => {
      closing ??= stop();
      return closing;
    },
  };
}

/** Reads the built page into memory once: what is not in this table cannot be asked for. */
function readPage(): ReadonlyMap<string, StaticFile> {
  const folder = new URL("../web/", entryPointUrl("#cli/web-server"));
  const files = new Map<string, StaticFile>();
  for (const name of namesIn(folder)) {
    const contentType = contentTypeByExtension.get(name.split(".").at(-1) ?? "");
    if (contentType === undefined) continue;
    files.set(`/${name}`, { contentType, bytes: readFileSync(new URL(name, folder)) });
  }
  const index = files.get("/index.html");
  if (index === undefined) {
    throw new LabError(
      "web.page-missing",
      `the page is missing in ${fileURLToPath(folder)}; run "npm run build"`,
    );
  }
  return files.set("/", index);
}

function namesIn(folder: URL): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const message =
        error.code === "EADDRINUSE"
          ? `port ${port} is already in use on this machine; choose another or leave it out`
          : `the web page cannot listen on port ${port}: ${error.message}`;
      const code = error.code === "EADDRINUSE" ? "web.port-in-use" : "web.cannot-listen";
      reject(new LabError(code, message, { details: { port }, cause: error }));
    });
    server.listen({ host: loopbackAddress, port }, resolve);
  });
}

interface Guard {
  readonly cookie: string;
  isOwnHost(request: IncomingMessage): boolean;
  isOwnOrigin(request: IncomingMessage): boolean;
  hasTokenInQuery(url: URL): boolean;
  hasCookie(request: IncomingMessage): boolean;
}

function createGuard(token: string, port: number): Guard {
  const hosts = new Set([`${loopbackAddress}:${port}`, `localhost:${port}`]);
  const expected = Buffer.from(token);
  // Cookies do not know ports: the name keeps two stations on one machine apart.
  const cookieName = `bellwether-${port}`;
  const isToken = (text: string): boolean => {
    const given = Buffer.from(text);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  return {
    cookie: `${cookieName}=${token}; HttpOnly; SameSite=Strict; Path=/`,
    isOwnHost: (request) => hosts.has(request.headers.host ?? ""),
    isOwnOrigin: (request) => {
      const { origin } = request.headers;
      return origin === undefined || hosts.has(origin.replace(/^http:\/\//, ""));
    },
    hasTokenInQuery: (url) => isToken(url.searchParams.get("token") ?? ""),
    hasCookie: (request) =>
      (request.headers.cookie ?? "")
        .split(/;\s*/)
        .some((pair) => pair.startsWith(`${cookieName}=`) && isToken(pair.split("=")[1] ?? "")),
  };
}

interface Site {
  readonly files: ReadonlyMap<string, StaticFile>;
  readonly guard: Guard;
  readonly feed: StateFeed;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

function answer(request: IncomingMessage, response: ServerResponse, site: Site): void {
  const { status, headers, body } = replyTo(request, site);
  setSafeHeaders(response, request.headers.host ?? "");
  response.writeHead(status, headers).end(body);
}

function replyTo(request: IncomingMessage, { files, guard, feed }: Site): Reply {
  const url = urlOf(request);
  if (url === null) return textReply(400, "bad request");
  if (!guard.isOwnHost(request) || !guard.isOwnOrigin(request)) {
    return textReply(403, "this page answers to its own address only");
  }
  if (request.method !== "GET") return textReply(405, "only GET", { allow: "GET" });
  const hasToken = guard.hasTokenInQuery(url);
  if (!hasToken && !guard.hasCookie(request)) {
    return textReply(401, "open the address that the terminal printed, with its token");
  }
  if (hasToken && url.pathname === "/") {
    // The token goes into a cookie and out of the address bar, the history and the referrer.
    return textReply(303, "see /", { location: "/", "set-cookie": guard.cookie });
  }
  if (url.pathname === "/api/state") return stateReply(feed.latest());
  const file = files.get(url.pathname);
  if (file === undefined) return textReply(404, "no such page");
  return { status: 200, headers: { "content-type": file.contentType }, body: file.bytes };
}

const stateReply = (state: LiveState | null): Reply =>
  state === null
    ? textReply(503, "the station has not reported yet")
    : {
        status: 200,
        headers: { "content-type": "application/json; charset=utf-8" },
        body: toJson(state),
      };

const textReply = (status: number, text: string, headers: Reply["headers"] = {}): Reply => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  body: `${text}\n`,
});

function setSafeHeaders(response: ServerResponse, host: string): void {
  const socketSource = /^[\w.:-]+$/.test(host) ? ` ws://${host}` : "";
  const headers = {
    "Content-Security-Policy": `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'${socketSource}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
  };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

function urlOf(request: IncomingMessage): URL | null {
  const path = request.url ?? "";
  return path.startsWith("/") && URL.canParse(`http://station${path}`)
    ? new URL(`http://station${path}`)
    : null;
}

type Refusal = "400 Bad Request" | "401 Unauthorized" | "403 Forbidden" | "503 Service Unavailable";

function upgradeRefusal(request: IncomingMessage, guard: Guard, feed: StateFeed): Refusal | null {
  const url = urlOf(request);
  if (url === null || url.pathname !== "/api/live") return "400 Bad Request";
  if (!guard.isOwnHost(request) || !guard.isOwnOrigin(request)) return "403 Forbidden";
  if (!guard.hasTokenInQuery(url) && !guard.hasCookie(request)) return "401 Unauthorized";
  return feed.isFull() ? "503 Service Unavailable" : null;
}

function refuseUpgrade(socket: Duplex, refusal: Refusal): void {
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
