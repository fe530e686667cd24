/**
 * A channel over TCP. It is NOT encrypted and NOT authenticated: whoever reaches the port can read,
 * forge and refuse. The names in the hello guard against wrong addresses, not against an adversary.
 * Therefore it binds and connects to the loopback interface only, unless `allowRemote` says that the
 * network between the nodes is trusted or tunnelled. Key distillation must authenticate what it says.
 */
import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { BehaviorSubject, type Observable, Subject } from "rxjs";
import type { Clock } from "../../hal/clock.ts";
import { LabError, messageOf } from "../../hal/errors.ts";
import { type Logger, silentLogger } from "../../hal/log.ts";
import type { ChannelState, ClassicalChannel } from "./channel.ts";
import { channelState } from "./channel-opening.ts";
import { type SessionBounds, type SessionEnd, TcpSession } from "./tcp-session.ts";

/** Where, between whom, and which end listens. */
export interface TcpChannelSettings {
  readonly role: "connect" | "listen";
  readonly host: string;
  /** 1..65535; 0 lets the system choose for a listener, see `port`. */
  readonly port: number;
  readonly local: string;
  readonly peer: string;
  /** Both ends name the same link. */
  readonly link: string;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Allows an address outside loopback; false by default. */
  readonly allowRemote?: boolean;
  /** Overrides of bounds, for tests. */
  readonly bounds?: Partial<SessionBounds>;
}

/** A TCP channel; what it says of itself beyond a channel. */
export interface TcpChannel extends ClassicalChannel {
  /** The port in use. */
  readonly port: number;
  /** Why the channel closed for good, null while it tries or after `close`. */
  readonly failure: LabError | null;
}

/** A dead peer is noticed after `silenceMs` plus at most one `heartbeatMs`. */
const defaultBounds: SessionBounds = {
  messageBytesMax: 2 ** 20,
  queuedBytesMax: 2 ** 24,
  answerTimeoutMs: 3_000,
  heartbeatMs: 500,
  silenceMs: 2_500,
};
const backoffFirstMs = 100;
const backoffLastMs = 2_000;

/** Tells whether an address is of this machine alone. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

/**
 * Opens one end. The listening end resolves once it is bound, the connecting end at once; both are then
 * `connecting` until the peer has said hello (see `waitUntilOpen`), and again whenever a connection
 * ends: messages that were under way are lost with it, so layers above start afresh on each `open`. A
 * peer of another version, name or link closes the connecting end for good, with the reason; the
 * listening end refuses it and listens on.
 * @throws LabError `channel.not-loopback`, `channel.address` when the port cannot be had.
 */
export async function openTcpChannel(settings: TcpChannelSettings): Promise<TcpChannel> {
  const { host, port, role, allowRemote } = settings;
  if (!isLoopback(host) && allowRemote !== true) {
    throw new LabError(
      "channel.not-loopback",
      `the channel to ${host}:${port} would leave this machine, unencrypted and unauthenticated: use a loopback address, or allow it in the station`,
      { details: { host, port } },
    );
  }
  const channel = new TcpEnd(settings);
  if (role === "listen") await channel.listen();
  else channel.dial();
  return channel;
}

const addressRefused = (settings: TcpChannelSettings, cause: unknown): LabError =>
  new LabError(
    "channel.address",
    `${settings.local} cannot listen on ${settings.host}:${settings.port} for link ${settings.link}: ${messageOf(cause)}; choose another port or end what uses it`,
    { details: { host: settings.host, port: settings.port }, cause },
  );

class TcpEnd implements TcpChannel {
  readonly local: string;
  readonly peer: string;
  readonly #settings: TcpChannelSettings;
  readonly #logger: Logger;
  readonly #bounds: SessionBounds;
  readonly #state: BehaviorSubject<ChannelState>;
  readonly #received = new Subject<Uint8Array>();
  #server: Server | null = null;
  #session: TcpSession | null = null;
  #candidates = new Set<TcpSession>();
  #dialing: Socket | null = null;
  #retry: Disposable | null = null;
  #backoffMs = backoffFirstMs;
  failure: LabError | null = null;
  port: number;

  constructor(settings: TcpChannelSettings) {
    this.local = settings.local;
    this.peer = settings.peer;
    this.port = settings.port;
    this.#settings = settings;
    this.#bounds = { ...defaultBounds, ...settings.bounds };
    this.#logger = (settings.logger ?? silentLogger).child({ link: settings.link });
    this.#state = new BehaviorSubject(channelState(settings.clock, "connecting"));
  }

  get state$(): Observable<ChannelState> {
    return this.#state.asObservable();
  }

  get received$(): Observable<Uint8Array> {
    return this.#received.asObservable();
  }

  get queuedBytes(): number {
    return this.#session?.queuedBytes ?? 0;
  }

  send(message: Uint8Array): void {
    if (message.length > this.#bounds.messageBytesMax) {
      throw new RangeError(
        `a message has at most ${this.#bounds.messageBytesMax} bytes, not ${message.length}`,
      );
    }
    if (this.#session?.isOpen !== true) {
      const { reason } = this.#state.value;
      throw new LabError(
        "channel.closed",
        `the channel from ${this.local} to ${this.peer} is not open${reason === undefined ? "" : `: ${reason}`}`,
      );
    }
    this.#session.send(message);
  }

  async close(): Promise<void> {
    this.#finish(`${this.local} closed the channel`);
    const server = this.#server;
    this.#server = null;
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  async listen(): Promise<void> {
    const { host, port } = this.#settings;
    const server = createServer((socket) => this.#attach(socket));
    server.maxConnections = 8;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      });
    } catch (error) {
      throw addressRefused(this.#settings, error);
    }
    server.on("error", (error) =>
      this.#logger.warn({ error: messageOf(error) }, "listener failed"),
    );
    const address = server.address();
    if (address !== null && typeof address === "object") this.port = address.port;
    this.#server = server;
  }

  dial(): void {
    const { host } = this.#settings;
    const socket = netConnect({ host, port: this.port });
    this.#dialing = socket;
    const where = `${host}:${this.port}`;
    const timer = this.#settings.clock.after(this.#bounds.answerTimeoutMs, () =>
      socket.destroy(new Error("no answer to the connection")),
    );
    const refused = (error: Error): void => {
      timer[Symbol.dispose]();
      this.#dialing = null;
      this.#dialAgain(`nothing answers at ${where}: ${error.message}`);
    };
    socket.once("error", refused);
    socket.once("connect", () => {
      timer[Symbol.dispose]();
      socket.off("error", refused);
      this.#dialing = null;
      this.#attach(socket);
    });
  }

  #attach(socket: Socket): void {
    if (this.#state.value.state === "closed") {
      socket.destroy();
      return;
    }
    const session: TcpSession = new TcpSession(socket, {
      ...{ local: this.local, peer: this.peer, link: this.#settings.link },
      ...{ clock: this.#settings.clock, bounds: this.#bounds },
      opened: () => this.#opened(session),
      message: (bytes) => {
        if (this.#session === session) this.#received.next(bytes);
      },
      ended: (end) => this.#ended(session, end),
    });
    this.#candidates.add(session);
  }

  #opened(session: TcpSession): void {
    this.#candidates.delete(session);
    // A peer that restarted comes back before its old connection was noticed to be dead.
    const old = this.#session;
    this.#session = null;
    old?.end({ reason: "the peer connected anew", code: "channel.lost", lasting: false });
    if (old !== null) this.#state.next(this.#now("connecting", "the peer connected anew"));
    this.#session = session;
    this.#backoffMs = backoffFirstMs;
    this.#state.next(this.#now("open"));
  }

  #ended(session: TcpSession, end: SessionEnd): void {
    const wasCandidate = this.#candidates.delete(session);
    const wasCurrent = this.#session === session;
    if (wasCurrent) this.#session = null;
    this.#logger.info({ peer: this.peer, reason: end.reason, code: end.code }, "connection ended");
    if (this.#state.value.state === "closed" || !(wasCandidate || wasCurrent)) return;
    if (this.#settings.role === "listen") {
      if (this.#session === null) this.#state.next(this.#now("connecting", end.reason));
    } else if (end.lasting) {
      this.failure = new LabError(end.code, end.reason, { details: { peer: this.peer } });
      this.#finish(end.reason);
    } else this.#dialAgain(end.reason);
  }

  #dialAgain(reason: string): void {
    if (this.#state.value.state === "closed") return;
    this.#state.next(this.#now("connecting", reason));
    this.#retry = this.#settings.clock.after(this.#backoffMs, () => this.dial());
    this.#backoffMs = Math.min(2 * this.#backoffMs, backoffLastMs);
  }

  #finish(reason: string): void {
    if (this.#state.value.state === "closed") return;
    this.#state.next(this.#now("closed", reason));
    this.#retry?.[Symbol.dispose]();
    this.#dialing?.destroy();
    const end: SessionEnd = { reason, code: "channel.closed", lasting: true };
    for (const candidate of this.#candidates) candidate.end(end);
    this.#session?.end(end);
    this.#received.complete();
  }

  #now(state: ChannelState["state"], reason?: string): ChannelState {
    return channelState(this.#settings.clock, state, reason);
  }
}
