/**
 * A channel between two nodes of one process. It behaves as a network does: messages are copied, arrive
 * later and in order, and queue up to a bound. Nothing is shared between the ends.
 */
import { BehaviorSubject, Subject } from "rxjs";
import { type Clock, systemClock } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import type { ChannelState, ClassicalChannel } from "./channel.ts";
import { channelState } from "./channel-opening.ts";

/** Names and bounds of an in-process channel. */
export interface InProcessChannelSettings {
  readonly ends: readonly [string, string];
  /** Delivers what waits, as soon as it runs timers; the host's clock by default. */
  readonly clock?: Clock;
  /** Bytes that may wait in one direction; 16 MiB by default. Beyond it the channel closes. */
  readonly queuedBytesMax?: number;
  /** Bytes of one message; 1 MiB by default. */
  readonly messageBytesMax?: number;
}

/** Creates both ends of a channel, open. */
export function createInProcessChannel(
  settings: InProcessChannelSettings,
): readonly [ClassicalChannel, ClassicalChannel] {
  const clock = settings.clock ?? systemClock;
  const [nameOfFirst, nameOfSecond] = settings.ends;
  const bounds = {
    queuedBytesMax: settings.queuedBytesMax ?? 2 ** 24,
    messageBytesMax: settings.messageBytesMax ?? 2 ** 20,
  };
  const first = new InProcessEnd(nameOfFirst, nameOfSecond, clock, bounds);
  const second = new InProcessEnd(nameOfSecond, nameOfFirst, clock, bounds);
  first.connect(second);
  second.connect(first);
  return [first, second];
}

class InProcessEnd implements ClassicalChannel {
  readonly local: string;
  readonly peer: string;
  readonly #clock: Clock;
  readonly #bounds: { readonly queuedBytesMax: number; readonly messageBytesMax: number };
  readonly #state: BehaviorSubject<ChannelState>;
  readonly #received = new Subject<Uint8Array>();
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #other: InProcessEnd | null = null;

  constructor(
    local: string,
    peer: string,
    clock: Clock,
    bounds: { readonly queuedBytesMax: number; readonly messageBytesMax: number },
  ) {
    this.local = local;
    this.peer = peer;
    this.#clock = clock;
    this.#bounds = bounds;
    this.#state = new BehaviorSubject(channelState(clock, "open"));
  }

  get state$() {
    return this.#state.asObservable();
  }

  get received$() {
    return this.#received.asObservable();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  connect(other: InProcessEnd): void {
    this.#other = other;
  }

  send(message: Uint8Array): void {
    const { queuedBytesMax, messageBytesMax } = this.#bounds;
    if (this.#state.value.state !== "open") throw closed(this.local, this.peer);
    if (message.length > messageBytesMax) {
      throw new RangeError(`a message has at most ${messageBytesMax} bytes, not ${message.length}`);
    }
    if (this.#queuedBytes + message.length > queuedBytesMax) {
      this.#end(`${this.peer} did not keep up: ${queuedBytesMax} bytes were waiting for it`);
      throw closed(this.local, this.peer);
    }
    if (this.#queue.length === 0) this.#clock.after(0, () => this.#deliver());
    this.#queue.push(message.slice());
    this.#queuedBytes += message.length;
  }

  close(): Promise<void> {
    if (this.#state.value.state === "open") this.#end(`${this.local} closed the channel`);
    return Promise.resolve();
  }

  #deliver(): void {
    const messages = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const message of messages) this.#other?.accept(message);
  }

  accept(message: Uint8Array): void {
    if (this.#state.value.state === "open") this.#received.next(message);
  }

  #end(reason: string): void {
    this.finish(reason);
    this.#other?.finish(reason);
  }

  finish(reason: string): void {
    if (this.#state.value.state === "closed") return;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#state.next(channelState(this.#clock, "closed", reason));
    this.#received.complete();
  }
}

const closed = (local: string, peer: string): LabError =>
  new LabError("channel.closed", `the channel from ${local} to ${peer} is closed`, {
    details: { local, peer },
  });
