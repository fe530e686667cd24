/**
 * The port host: a child process that alone touches the node's serial ports and sockets to instruments.
 * Entry point, forked by port-client.ts; started with the address to listen at and its settings.
 *
 *     node, main thread  == fork channel ==>  open, safe-state, close, beat       (port-messages.ts)
 *     whoever uses a port == local socket ==> token in hex, then bytes both ways; the host first sends 0x06
 *
 * It makes every port safe and closes it when the port's socket closes, when beats stop, on SIGTERM and
 * SIGHUP, and when the node dies. SIGINT from a terminal reaches the whole process group; the node then
 * says in which order to stop, so the host leaves it alone. Nothing survives SIGKILL of the host itself.
 */
import { randomBytes } from "node:crypto";
import { realpathSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { systemClock } from "../clock.ts";
import { LabError, messageOf } from "../errors.ts";
import { parseLinkUrl } from "../links/link-url.ts";
import { openLink } from "../links/open-link.ts";
import { type LeasedPort, leasePort } from "./leased-port.ts";
import {
  factsOf,
  type HostReport,
  type HostRequest,
  type HostSettings,
  safeSequenceMsMax,
  safeStepsMax,
  tokenLength,
} from "./port-messages.ts";

const portsMax = 64;
const attachersMax = 64;
const tokenTimeoutMs = 2_000;
const beatGraceMs = 50;
const exitTimeoutMs = safeSequenceMsMax + 5_000;

const [, , address = "", settingsText = "{}"] = process.argv;
const { heartbeatTimeoutMs } = JSON.parse(settingsText) as HostSettings;
const clock = systemClock;
const portsById = new Map<number, LeasedPort>();
const portsByToken = new Map<string, LeasedPort>();
const holdersByPlace = new Map<string, string>();
const attachers = new Set<Socket>();
let nextPortId = 1;
let isEnding = false;

const report = (message: HostReport): void => {
  // The node may be gone at any moment; its channel then ends by "disconnect".
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

const toLabError = (error: unknown): LabError =>
  error instanceof LabError
    ? error
    : new LabError("link.open-failed", messageOf(error), { cause: error });

/** Names the device itself: one instrument has several paths, and one lease. */
function placeOf(text: string): string {
  const url = parseLinkUrl(text);
  if (url.kind !== "serial") return text;
  try {
    return `serial:${realpathSync(url.path)}`;
  } catch {
    return text;
  }
}

function takePlace(place: string, holder: string, url: string): void {
  const owner = holdersByPlace.get(place);
  if (owner !== undefined) {
    throw new LabError(
      "link.busy",
      `${url} is in use by ${owner} of this node (process ${process.ppid}): a port has one owner`,
      { details: { url, holder: owner, ownerPid: process.ppid } },
    );
  }
  if (isEnding || holdersByPlace.size >= portsMax) {
    throw new LabError("link.busy", `${url} cannot be opened: the port host is ending or full`);
  }
  holdersByPlace.set(place, holder);
}

async function openPort(request: HostRequest & { readonly type: "open" }): Promise<void> {
  const { requestId, url, holder, baud } = request;
  let place: string | undefined;
  try {
    const asked = placeOf(url);
    takePlace(asked, holder, url);
    place = asked;
    const port = leasePort(await openLink(url, { baud, clock }), { holder, clock });
    const portId = nextPortId++;
    const token = randomBytes(tokenLength / 2).toString("hex");
    portsById.set(portId, port);
    portsByToken.set(token, port);
    void port.ended.then(({ error, unsafe }) => {
      portsById.delete(portId);
      portsByToken.delete(token);
      holdersByPlace.delete(asked);
      report({
        ...{ type: "ended", portId },
        error: error === null ? null : factsOf(error),
        unsafe: unsafe === null ? null : factsOf(unsafe),
      });
    });
    report({ type: "opened", requestId, portId, token });
  } catch (error) {
    if (place !== undefined) holdersByPlace.delete(place);
    report({ type: "failed", requestId, error: factsOf(toLabError(error)) });
  }
}

/** Reads the token of a new connection and gives it to the port that it names. */
function attach(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  if (attachers.size >= attachersMax) {
    socket.destroy();
    return;
  }
  attachers.add(socket);
  const deadline = clock.after(tokenTimeoutMs, () => socket.destroy());
  let received = "";
  const leave = (): void => {
    deadline[Symbol.dispose]();
    attachers.delete(socket);
    socket.off("data", readToken);
  };
  const readToken = (bytes: Buffer): void => {
    received += bytes.toString("latin1");
    if (received.length < tokenLength) return;
    leave();
    // A token is used once; its user sends nothing more until it is accepted.
    const port = portsByToken.get(received);
    portsByToken.delete(received);
    if (port === undefined || !port.attach(socket)) socket.destroy();
  };
  socket.on("data", readToken);
  socket.once("close", leave);
}

async function endAllPorts(reason: LabError): Promise<void> {
  await Promise.all([...portsById.values()].map((port) => port.end(reason)));
}

/** Makes everything safe and exits, whatever still hangs. */
async function endProcess(exitCode: number, why: string): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  clock.after(exitTimeoutMs, () => process.exit(1));
  await endAllPorts(new LabError("link.closed", `the port was closed: ${why}`));
  if (process.platform !== "win32") rmSync(address, { force: true });
  process.exit(exitCode);
}

function noteSilence(): void {
  const reason = `the node gave no sign of life for ${heartbeatTimeoutMs} ms; its ports were made safe and closed`;
  void endAllPorts(new LabError("link.heartbeat-lost", reason));
}

let watchdog: Disposable | undefined;
function beat(): void {
  watchdog?.[Symbol.dispose]();
  watchdog = clock.after(heartbeatTimeoutMs, () => {
    // When this process itself was held up, beats wait unread and timers run first: read before judging.
    watchdog = clock.after(beatGraceMs, noteSilence);
  });
}

function setSafeState(request: HostRequest & { readonly type: "safe-state" }): void {
  const { requestId, portId, steps } = request;
  const port = portsById.get(portId);
  const pausedMs = steps.reduce((sum, { delayMs }) => sum + delayMs, 0);
  if (port === undefined || steps.length > safeStepsMax || pausedMs > safeSequenceMsMax) {
    const words =
      port === undefined
        ? "the port is closed"
        : `a safe sequence has at most ${safeStepsMax} steps and ${safeSequenceMsMax} ms`;
    const error = factsOf(new LabError("link.closed", words));
    report({ type: "failed", requestId, error });
    return;
  }
  port.setSafeSteps(steps);
  report({ type: "done", requestId });
}

function obey(request: HostRequest): void {
  switch (request.type) {
    case "open":
      void openPort(request);
      return;
    case "safe-state":
      setSafeState(request);
      return;
    case "close":
      void portsById.get(request.portId)?.end(null);
      return;
    case "beat":
      beat();
      return;
    case "shutdown":
      void endProcess(0, "the node ends");
  }
}

process.on("message", (message) => obey(message as HostRequest));
process.on("disconnect", () => void endProcess(0, "the node ended"));
process.on("SIGTERM", () => void endProcess(0, "the port host was told to end"));
process.on("SIGHUP", () => void endProcess(0, "the terminal was closed"));
process.on("SIGINT", () => {});
process.on("uncaughtException", (error) => {
  process.stderr.write(`port host: ${error.stack ?? error.message}\n`, () => {});
  void endProcess(1, "the port host failed");
});
const server = createServer(attach);
server.listen(address, () => {
  beat();
  report({ type: "ready", address });
});
if (!process.connected) void endProcess(1, "nobody started it");
