/** One TCP connection of a channel: hello, numbered messages, heartbeats, and one reason when it ends. */
import type { Socket } from "node:net";
import type { Clock } from "../../hal/clock.ts";
import { type LabErrorCode, messageOf } from "../../hal/errors.ts";
import {
  type Frame,
  FrameSplitter,
  frame,
  frameKinds,
  type Hello,
  helloFrame,
  messageFrame,
  parseHello,
  parseMessage,
  refusalFrame,
  tcpChannelVersion,
} from "./tcp-frames.ts";

/** Bounds and periods of a connection. */
export interface SessionBounds {
  readonly messageBytesMax: number;
  readonly queuedBytesMax: number;
  readonly answerTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly silenceMs: number;
}

/** Why a connection ended; a lasting reason will not go away by connecting again. */
export interface SessionEnd {
  readonly reason: string;
  readonly code: LabErrorCode;
  readonly lasting: boolean;
}

/** Whom the session speaks for and what it tells its channel. */
export interface SessionContext {
  readonly local: string;
  readonly peer: string;
  readonly link: string;
  readonly clock: Clock;
  readonly bounds: SessionBounds;
  readonly opened: () => void;
  readonly message: (bytes: Uint8Array) => void;
  readonly ended: (end: SessionEnd) => void;
}

/** Runs the frames of one connected socket until it ends, once. */
export class TcpSession {
  readonly #socket: Socket;
  readonly #context: SessionContext;
  readonly #splitter: FrameSplitter;
  #timer: Disposable | null = null;
  #sent = 0n;
  #received = 0n;
  #heardMs: number;
  #isOpen = false;
  #isEnded = false;

  constructor(socket: Socket, context: SessionContext) {
    const { clock, bounds, local, peer, link } = context;
    this.#socket = socket;
    this.#context = context;
    this.#splitter = new FrameSplitter(bounds.messageBytesMax + 9);
    this.#heardMs = clock.monotonicMs();
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => this.#take(bytes));
    socket.on("error", (error) =>
      this.#lose(`the connection to ${peer} failed: ${messageOf(error)}`),
    );
    socket.on("close", () => this.#lose(`${peer} closed the connection`));
    socket.write(helloFrame({ node: local, peer, link }));
    this.#timer = clock.after(bounds.answerTimeoutMs, () =>
      this.end({
        reason: `something accepted the connection but did not say hello within ${bounds.answerTimeoutMs} ms`,
        code: "channel.no-answer",
        lasting: false,
      }),
    );
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.#isEnded;
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  send(message: Uint8Array): void {
    const { queuedBytesMax } = this.#context.bounds;
    if (this.queuedBytes + message.length > queuedBytesMax) {
      this.#lose(
        `${this.#context.peer} did not keep up: ${queuedBytesMax} bytes were waiting for it`,
      );
      return;
    }
    this.#socket.write(messageFrame(this.#sent++, message));
  }

  /** Ends the connection; `refusal` is told to the peer first. */
  end(end: SessionEnd, refusal?: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#timer?.[Symbol.dispose]();
    if (refusal === undefined) this.#socket.destroy();
    else this.#socket.end(refusalFrame(refusal), () => this.#socket.destroySoon());
    this.#context.ended(end);
  }

  #lose(reason: string): void {
    this.end({ reason, code: "channel.lost", lasting: false });
  }

  #take(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    this.#heardMs = this.#context.clock.monotonicMs();
    try {
      for (const received of this.#splitter.push(bytes)) {
        if (this.#isEnded) return;
        this.#takeFrame(received);
      }
    } catch (error) {
      const reason = `what came from ${this.#context.peer} is no channel of Bellwether: ${messageOf(error)}`;
      this.end({ reason, code: "channel.malformed", lasting: false }, reason);
    }
  }

  #takeFrame({ kind, payload }: Frame): void {
    if (kind === frameKinds.refusal) {
      const told = new TextDecoder().decode(payload.subarray(0, 500));
      const { peer, local } = this.#context;
      this.end({
        ...{ reason: `${peer} refused ${local}: ${told}`, code: "channel.refused" },
        lasting: true,
      });
    } else if (kind === frameKinds.hello && !this.#isOpen) this.#takeHello(parseHello(payload));
    else if (kind === frameKinds.message && this.#isOpen) this.#takeMessage(payload);
    else if (kind !== frameKinds.heartbeat || !this.#isOpen) {
      this.#lose(`${this.#context.peer} sent a frame of kind ${kind} where none is due`);
    }
  }

  #takeHello(hello: Hello): void {
    const refusal = this.#refusalOf(hello);
    if (refusal !== null) {
      this.end({ ...refusal, lasting: true }, refusal.reason);
      return;
    }
    this.#isOpen = true;
    this.#timer?.[Symbol.dispose]();
    this.#beat();
    this.#context.opened();
  }

  #refusalOf(hello: Hello): { readonly reason: string; readonly code: LabErrorCode } | null {
    const { local, peer, link } = this.#context;
    if (hello.version !== tcpChannelVersion) {
      const reason = `${hello.node} speaks version ${hello.version} of the channel and ${local} version ${tcpChannelVersion}: run the same release on both`;
      return { reason, code: "channel.version" };
    }
    if (hello.node !== peer || hello.peer !== local) {
      const reason = `${local} expects node ${peer} here, but this is ${hello.node} looking for ${hello.peer}: check the addresses of the links`;
      return { reason, code: "channel.other-node" };
    }
    if (hello.link !== link) {
      const reason = `${local} serves link ${link} here, and ${hello.node} asks for link ${hello.link}: check the addresses of the links`;
      return { reason, code: "channel.other-link" };
    }
    return null;
  }

  #takeMessage(payload: Uint8Array): void {
    const { sequence, message } = parseMessage(payload);
    if (sequence !== this.#received) {
      this.#lose(
        `message ${sequence} came from ${this.#context.peer} in place of ${this.#received}`,
      );
      return;
    }
    this.#received++;
    this.#context.message(message);
  }

  /** Sends a heartbeat and looks whether the peer has been heard of, once a period. */
  #beat(): void {
    const { clock, bounds, peer } = this.#context;
    if (clock.monotonicMs() - this.#heardMs > bounds.silenceMs) {
      this.#lose(`${peer} has been silent for ${bounds.silenceMs} ms`);
      return;
    }
    this.#socket.write(frame(frameKinds.heartbeat, new Uint8Array(0)));
    this.#timer = clock.after(bounds.heartbeatMs, () => this.#beat());
  }
}
