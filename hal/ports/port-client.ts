import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, withDeadline } from "../clock.ts";
import { entryPointUrl } from "../entry-point.ts";
import { LabError } from "../errors.ts";
import type { ByteLink } from "../links/byte-link.ts";
import { linkOfSocket } from "../links/tcp.ts";
import type { Logger } from "../log.ts";
import { attachToPort, type PortAttachment } from "./port-attachment.ts";
import {
  errorOf,
  type HostReport,
  type HostRequest,
  type HostSettings,
  type SafeStep,
  safeSequenceMsMax,
} from "./port-messages.ts";

const startTimeoutMs = 10_000;
const openTimeoutMs = 8_000;
const requestTimeoutMs = 3_000;
const endTimeoutMs = safeSequenceMsMax + 4_000;
const beatsPerTimeout = 4;

/** A port that this node's host holds. */
export interface HostedPort {
  readonly url: string;
  /** What a worker thread needs to use the port instead of this thread; one of the two, once. */
  readonly attachment: PortAttachment;
  /** Uses the port from this thread. Closing the link closes the port. @throws LabError `link.closed`, `link.timeout`. */
  attach(): Promise<ByteLink>;
  /**
   * Replaces what the host sends when this port ends, however it ends: at most 512 writes and 15 s of pauses.
   * Resolves when the host has them. @throws LabError `link.closed`, `link.timeout`.
   */
  setSafeState(steps: readonly SafeStep[]): Promise<void>;
  /** Resolves when the port has ended and was made safe: undefined when it was closed, else the reason. */
  readonly closed: Promise<LabError | undefined>;
  /** Has the safe steps sent and the port closed. Idempotent. @throws LabError `device.not-made-safe`. */
  close(): Promise<void>;
}

/** A node's port host, as its main thread sees it. */
export interface PortClient {
  /** The host's process id. */
  readonly pid: number;
  /**
   * Opens a port and leases it to `holder`. @throws LabError `link.*`; `link.busy` names who has it.
   */
  open(options: {
    readonly url: string;
    readonly holder: string;
    readonly baud?: number;
  }): Promise<HostedPort>;
  /** Resolves when the host has ended, with the reason when it was not asked to. */
  readonly closed: Promise<LabError | undefined>;
  /** Makes all ports safe, closes them and ends the host. Idempotent. */
  close(): Promise<void>;
}

interface OpenPort {
  readonly end: (reason: LabError | undefined, unsafe: LabError | undefined) => void;
}

interface Answered {
  readonly resolve: (report: HostReport) => void;
  readonly reject: (error: LabError) => void;
}

/** A short path: a Unix socket's is limited to about 100 bytes. */
function socketAddress(): string {
  const name = `bellwether-${process.pid}-${randomBytes(6).toString("hex")}`;
  return process.platform === "win32" ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

/** Removes the sockets of hosts that were killed together with their nodes: nobody else could. */
function removeOrphanedSockets(): void {
  if (process.platform === "win32") return;
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^bellwether-(\d+)-[0-9a-f]{12}\.sock$/.exec(name)?.[1]);
    // Another user's file cannot be removed, which is as it should be.
    if (pid > 0 && !isRunning(pid)) tryToRemove(join(tmpdir(), name));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

function tryToRemove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It stays; the next start tries again.
  }
}

/** The fork channel: requests by number, and ports that end. */
class HostChannel {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #answered = new Map<number, Answered>();
  readonly #ports = new Map<number, OpenPort>();
  #nextRequestId = 1;
  #failure: LabError | undefined;

  constructor(child: ChildProcess, clock: Clock) {
    this.#child = child;
    this.#clock = clock;
  }

  tell(request: HostRequest): void {
    if (this.#child.connected) this.#child.send(request, () => {});
  }

  async ask(
    makeRequest: (requestId: number) => HostRequest,
    timeoutMs: number,
  ): Promise<HostReport> {
    if (this.#failure !== undefined) throw this.#failure;
    const requestId = this.#nextRequestId++;
    const answer = new Promise<HostReport>((resolve, reject) => {
      this.#answered.set(requestId, { resolve, reject });
    });
    this.tell(makeRequest(requestId));
    try {
      return await withDeadline(this.#clock, answer, timeoutMs);
    } finally {
      this.#answered.delete(requestId);
    }
  }

  addPort(portId: number, port: OpenPort): void {
    this.#ports.set(portId, port);
  }

  receive(report: HostReport): void {
    switch (report.type) {
      case "ready":
        return;
      case "opened":
      case "done":
        this.#answered.get(report.requestId)?.resolve(report);
        return;
      case "failed":
        this.#answered.get(report.requestId)?.reject(errorOf(report.error));
        return;
      case "ended": {
        const { portId, error, unsafe } = report;
        const port = this.#ports.get(portId);
        this.#ports.delete(portId);
        port?.end(error ? errorOf(error) : undefined, unsafe ? errorOf(unsafe) : undefined);
      }
    }
  }

  /** The host is gone: nobody answers any more, and no port is open. */
  fail(error: LabError): void {
    this.#failure = error;
    for (const { reject } of this.#answered.values()) reject(error);
    for (const port of this.#ports.values()) port.end(error, error);
    this.#ports.clear();
  }
}

function createHostedPort(
  channel: HostChannel,
  portId: number,
  attachment: PortAttachment,
  clock: Clock,
): HostedPort {
  const { url } = attachment;
  let unsafe: LabError | undefined;
  const closed = new Promise<LabError | undefined>((resolve) => {
    channel.addPort(portId, {
      end: (reason, whyUnsafe) => {
        unsafe = whyUnsafe;
        resolve(reason);
      },
    });
  });
  return {
    ...{ url, attachment, closed },
    attach: async () => {
      const link = linkOfSocket(await attachToPort(attachment, clock), url, clock);
      link.resume();
      // The socket only says that the port ended; the host says why.
      return { ...link, closed };
    },
    setSafeState: async (steps) => {
      const request = (requestId: number): HostRequest => ({
        ...{ type: "safe-state", requestId, portId, steps },
      });
      await channel.ask(request, requestTimeoutMs);
    },
    close: async () => {
      channel.tell({ type: "close", portId });
      await withDeadline(
        clock,
        closed,
        endTimeoutMs,
        () => new LabError("link.timeout", `${url} did not close within ${endTimeoutMs} ms`),
      );
      if (unsafe !== undefined) throw unsafe;
    },
  };
}

/**
 * Starts a node's port host and waits until it listens. Its heartbeat is this thread's event loop: a
 * node that is stuck for `heartbeatTimeoutMs` (2 s by default) loses its ports, made safe.
 * @throws LabError `link.port-host`.
 */
export async function startPortHost(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly heartbeatTimeoutMs?: number;
}): Promise<PortClient> {
  const { clock, logger, heartbeatTimeoutMs = 2_000 } = options;
  removeOrphanedSockets();
  const address = socketAddress();
  const settings: HostSettings = { heartbeatTimeoutMs };
  const child = fork(
    fileURLToPath(entryPointUrl("#hal/ports/port-host")),
    [address, JSON.stringify(settings)],
    // No debugger port, no loaders: the host runs what was built.
    { serialization: "advanced", execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] },
  );
  const channel = new HostChannel(child, clock);
  const started = new Promise<void>((resolve, reject) => {
    child.on("message", (message) => {
      const report = message as HostReport;
      if (report.type === "ready") resolve();
      else channel.receive(report);
    });
    const failed = (words: string): void =>
      reject(new LabError("link.port-host", `the port host ${words}`));
    child.once("error", (error) => failed(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => failed(`ended at once (${signal ?? `code ${code}`})`));
  });
  let isClosing = false;
  let heart: Disposable | undefined;
  const closed = new Promise<LabError | undefined>((resolve) => {
    child.once("exit", (code, signal) => {
      heart?.[Symbol.dispose]();
      if (process.platform !== "win32") tryToRemove(address);
      const reason = new LabError(
        "link.port-host",
        `the port host ended by itself (${signal ?? `code ${code}`}); all ports are closed: check that outputs are off`,
        { details: { code, signal } },
      );
      if (!isClosing) logger.info({ code, signal }, "the port host ended by itself");
      channel.fail(reason);
      resolve(isClosing ? undefined : reason);
    });
  });
  const beat = (): void => {
    channel.tell({ type: "beat" });
    heart = clock.after(heartbeatTimeoutMs / beatsPerTimeout, beat);
  };
  try {
    await withDeadline(clock, started, startTimeoutMs);
  } catch (error) {
    isClosing = true;
    child.kill("SIGKILL");
    throw error;
  }
  beat();
  return {
    pid: child.pid ?? 0,
    closed,
    open: async ({ url, holder, baud = 115_200 }) => {
      const answer = await channel.ask(
        (requestId) => ({ type: "open", requestId, url, holder, baud }),
        openTimeoutMs,
      );
      if (answer.type !== "opened") throw new TypeError(`unexpected ${answer.type}`);
      const attachment = { url, address, token: answer.token };
      return createHostedPort(channel, answer.portId, attachment, clock);
    },
    close: async () => {
      isClosing = true;
      channel.tell({ type: "shutdown" });
      await withDeadline(clock, closed, endTimeoutMs).catch(() => child.kill("SIGKILL"));
    },
  };
}
