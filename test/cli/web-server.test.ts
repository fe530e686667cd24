import { request } from "node:http";
import { BehaviorSubject, Subject } from "rxjs";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { LiveState } from "../../cli/live-state.ts";
import { startWebServer, type WebServer } from "../../cli/web-server.ts";
import { systemClock } from "../../hal/clock.ts";
import { silentLogger } from "../../hal/log.ts";
import { systemRandom } from "../../hal/random.ts";
import { syntheticState } from "../web/synthetic-state.ts";

const parts = { logger: silentLogger, random: systemRandom, clock: systemClock };
const servers: WebServer[] = [];

async function start(
  state$ = new BehaviorSubject<LiveState>(syntheticState(3)),
): Promise<WebServer> {
  const server = await startWebServer({ ...parts, state$ });
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** Asks with the path exactly as given: a URL object would tidy `..` away. */
function ask(
  server: WebServer,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, ...options }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(pieces).toString(),
        }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

const tokenOf = (server: WebServer): string => new URL(server.url).searchParams.get("token") ?? "";

async function cookieOf(server: WebServer): Promise<string> {
  const { headers } = await ask(server, `/?token=${tokenOf(server)}`);
  return String(headers["set-cookie"]).split(";")[0] ?? "";
}

/** Resolves with the first message, or with the status of the refusal. */
function knock(server: WebServer, query: string, headers: Record<string, string>) {
  const socket = new WebSocket(
    `${server.url.replace(/^http/, "ws").split("?")[0]}api/live${query}`,
    {
      headers,
    },
  );
  return new Promise<{ readonly socket: WebSocket; readonly outcome: string }>((resolve) => {
    socket.on("message", (data) => resolve({ socket, outcome: data.toString() }));
    socket.on("error", (error) => resolve({ socket, outcome: error.message }));
  });
}

describe("the web server", () => {
  test("gives nothing without its token, neither page nor state", async () => {
    const server = await start();
    for (const path of ["/", "/main.js", "/api/state", "/?token=", `/?token=${"A".repeat(32)}`]) {
      expect((await ask(server, path)).status, path).toBe(401);
    }
    expect((await knock(server, "", {})).outcome).toContain("401");
  });

  test("exchanges the token for a cookie that scripts and other sites cannot use", async () => {
    const server = await start();
    const { status, headers } = await ask(server, `/?token=${tokenOf(server)}`);
    expect(status).toBe(303);
    expect(headers).toMatchObject({ location: "/" });
    expect(String(headers["set-cookie"])).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    const page = await ask(server, "/", { headers: { cookie: await cookieOf(server) } });
    expect(page.status).toBe(200);
    expect(page.body).toContain('<script type="module" src="/main.js">');
  });

  test("allows no script but its own files", async () => {
    const server = await start();
    const { headers } = await ask(server, "/", { headers: { cookie: await cookieOf(server) } });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toContain("unsafe");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });

  test("refuses another Host, as after DNS rebinding, and another Origin", async () => {
    const server = await start();
    const cookie = await cookieOf(server);
    const rebound = await ask(server, "/api/state", {
      headers: { cookie, host: `evil.example:${new URL(server.url).port}` },
    });
    expect(rebound.status).toBe(403);
    const crossSite = await ask(server, "/api/state", {
      headers: { cookie, origin: "https://evil.example" },
    });
    expect(crossSite.status).toBe(403);
    const socket = await knock(server, "", { cookie, origin: "http://evil.example" });
    expect(socket.outcome).toContain("403");
  });

  test("answers only GET, and only what is in its folder", async () => {
    const server = await start();
    const headers = { cookie: await cookieOf(server) };
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect((await ask(server, "/", { method, headers })).status, method).toBe(405);
    }
    const outside = [
      "/../cli/main.js",
      "/..%2fcli%2fmain.js",
      "//etc/passwd",
      "/%2e%2e/package.json",
    ];
    for (const path of [...outside, "/main.ts", "/nothing"]) {
      expect((await ask(server, path, { headers })).status, path).toBe(404);
    }
  });

  test("gives the present state as JSON, and 503 before there is one", async () => {
    const server = await start();
    const path = `/api/state?token=${tokenOf(server)}`;
    expect(JSON.parse((await ask(server, path)).body)).toEqual(syntheticState(3));
    const silent = await startWebServer({ ...parts, state$: new Subject<LiveState>() });
    servers.push(silent);
    expect((await ask(silent, `/api/state?token=${tokenOf(silent)}`)).status).toBe(503);
  });

  test("pushes states to a socket with the token, and ends it when it closes", async () => {
    const state$ = new BehaviorSubject<LiveState>(syntheticState(1));
    const server = await start(state$);
    const { socket, outcome } = await knock(server, `?token=${tokenOf(server)}`, {});
    expect(JSON.parse(outcome)).toEqual(syntheticState(1));
    const next = new Promise<string>((resolve) =>
      socket.once("message", (data) => resolve(data.toString())),
    );
    state$.next(syntheticState(2));
    expect(JSON.parse(await next)).toEqual(syntheticState(2));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await server.close();
    await closed;
  });

  test("takes 64 tabs and refuses the next", async () => {
    const server = await start();
    const query = `?token=${tokenOf(server)}`;
    const tabs = await Promise.all(Array.from({ length: 64 }, () => knock(server, query, {})));
    expect(tabs.every(({ outcome }) => outcome.startsWith("{"))).toBe(true);
    expect((await knock(server, query, {})).outcome).toContain("503");
    for (const { socket } of tabs) socket.terminate();
  });

  test("says in one sentence that its port is taken", async () => {
    const server = await start();
    const port = Number(new URL(server.url).port);
    const state$ = new Subject<LiveState>();
    await expect(startWebServer({ ...parts, state$, port })).rejects.toMatchObject({
      code: "web.port-in-use",
    });
    expect(state$.observed).toBe(false);
  });
});
