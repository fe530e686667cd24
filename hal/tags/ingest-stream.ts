/**
 * One stream of an ingest worker: bytes in, blocks out, from the start command to the last block. Knows
 * no thread and no socket; its effects are functions.
 *
 * Coverage only ever advances to the end of the last record that arrived. Silence of the wire proves
 * nothing: the instrument holds back partial packets.
 */
import type { Clock } from "../clock.ts";
import { LabError } from "../errors.ts";
import { ps, roundMsToPs } from "../units.ts";
import type { BlockWriter } from "./block-writer.ts";
import type { IngestAnchor, IngestCounts, StreamSettings, StreamStop } from "./ingest-messages.ts";
import type { LossInterval } from "./loss-interval.ts";
import type { RawDecoder } from "./raw-decoder.ts";
import { holdBack, matchTail, type StreamTail } from "./stream-tail.ts";

/** How often counts are told. */
const countsPeriodMs = 1_000;
/** Times are signed 64-bit counts of ps. A stream ends an hour before they run out, as one read may bring so much. */
const observedPsMax = 2n ** 63n - 2n ** 52n;

/** What a stream does to the world. */
export interface IngestStreamEffects {
  send(bytes: Uint8Array): void;
  counts(counts: IngestCounts): void;
  /** The stream broke by itself. */
  broken(error: LabError): void;
}

/** What a stream that stopped in order says. */
export interface StoppedStream {
  readonly tail: string;
  readonly fromPs: bigint;
  readonly toPs: bigint;
}

interface Settling<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: LabError) => void;
}

/** See the file's head. */
export class IngestStream {
  readonly #settings: StreamSettings;
  readonly #clock: Clock;
  readonly #writer: BlockWriter;
  readonly #decoder: RawDecoder;
  readonly #effects: IngestStreamEffects;
  #sentUtcPs = 0n;
  #starting: Settling<IngestAnchor> | undefined;
  #stopping: (Settling<StoppedStream> & { readonly stop: StreamStop }) | undefined;
  #tail: StreamTail = { held: new Uint8Array(0) };
  #bytesReceived = 0;
  #idleTries = 0;
  #lastReceivedMs = 0;
  #hasEnded = false;
  #idleTimer: Disposable | undefined;
  #ageTimer: Disposable | undefined;
  #deadline: Disposable | undefined;
  #quietTimer: Disposable | undefined;
  #countsTimer: Disposable | undefined;

  constructor(
    settings: StreamSettings,
    parts: {
      readonly clock: Clock;
      readonly writer: BlockWriter;
      readonly decoder: RawDecoder;
      readonly effects: IngestStreamEffects;
    },
  ) {
    this.#settings = settings;
    this.#clock = parts.clock;
    this.#writer = parts.writer;
    this.#decoder = parts.decoder;
    this.#effects = parts.effects;
  }

  /** Sends the start command; resolves with the anchor once the first record arrived. @throws LabError `link.timeout`. */
  start(): Promise<IngestAnchor> {
    return new Promise((resolve, reject) => {
      const { startBytes, startTimeoutMs } = this.#settings;
      this.#starting = { resolve, reject };
      this.#sentUtcPs = this.#clock.utcPs();
      this.#lastReceivedMs = this.#clock.monotonicMs();
      this.#effects.send(startBytes);
      this.#watchIdle();
      this.#tellCounts();
      this.#deadline = this.#clock.after(startTimeoutMs, () =>
        this.break(
          new LabError("link.timeout", `no time tag within ${startTimeoutMs} ms of starting`),
        ),
      );
    });
  }

  receive(bytes: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#bytesReceived += bytes.length;
    this.#lastReceivedMs = this.#clock.monotonicMs();
    this.#idleTries = 0;
    if (this.#stopping === undefined) this.#decode(bytes);
    else this.#decodeBeforeTail(bytes, this.#stopping.stop);
  }

  /** Sends the stop command; resolves when the tail was seen and all before it is decoded. @throws LabError `link.timeout`. */
  stop(stop: StreamStop): Promise<StoppedStream> {
    return new Promise((resolve, reject) => {
      this.#idleTimer?.[Symbol.dispose]();
      this.#stopping = { resolve, reject, stop };
      this.#deadline?.[Symbol.dispose]();
      this.#deadline = this.#clock.after(stop.timeoutMs, () =>
        this.break(
          new LabError("link.timeout", `the stream did not end within ${stop.timeoutMs} ms`),
        ),
      );
      this.#effects.send(stop.stopBytes);
    });
  }

  /** Publishes the last block, with the losses that only the end could tell. */
  finish(losses: readonly LossInterval[]): void {
    if (this.#decoder.unfinishedBytes > 0) this.#addUnfinished();
    for (const loss of losses) this.#writer.addLoss(loss);
    this.#end();
    this.#decoder.finish();
  }

  /** Ends the stream for a reason: what was observed is published, the rest is a loss. */
  break(error: LabError): void {
    if (this.#hasEnded) return;
    const { observedPs } = this.#decoder;
    if (observedPs !== null) {
      const unobservedPs = roundMsToPs(this.#clock.monotonicMs() - this.#lastReceivedMs);
      const toPs = ps(observedPs + (unobservedPs > 0n ? unobservedPs : 1n));
      this.#writer.addLoss({ fromPs: ps(observedPs), toPs, count: null, cause: "disconnected" });
    }
    const { starting, stopping } = { starting: this.#starting, stopping: this.#stopping };
    this.#end();
    this.#decoder.finish();
    starting?.reject(error);
    stopping?.reject(error);
    this.#effects.broken(error);
  }

  get #counts(): IngestCounts {
    const { tagsDecoded, desynchronisations } = this.#decoder;
    return { bytesReceived: this.#bytesReceived, tagsDecoded, desynchronisations };
  }

  #decode(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    if ((this.#decoder.observedPs ?? 0n) > observedPsMax) {
      const words = "the stream reached the end of 64-bit time, 106 days: start tagging again";
      this.break(new LabError("tags.time-range", words));
      return;
    }
    if (this.#starting !== undefined && this.#decoder.firstPs !== null) {
      this.#anchor(this.#starting, this.#decoder.firstPs);
    }
    if (this.#writer.isDue()) this.#decoder.flush();
    else this.#ageTimer ??= this.#clock.after(this.#settings.blockAgeMs, () => this.#flushAged());
  }

  /** The first record was made after the start command left and before it arrived here. */
  #anchor(starting: Settling<IngestAnchor>, firstPs: bigint): void {
    const arrivedUtcPs = this.#clock.utcPs();
    const uncertaintyPs = (arrivedUtcPs - this.#sentUtcPs) / 2n;
    this.#starting = undefined;
    this.#deadline?.[Symbol.dispose]();
    starting.resolve({ utcPs: this.#sentUtcPs + uncertaintyPs - firstPs, uncertaintyPs });
  }

  #flushAged(): void {
    this.#ageTimer = undefined;
    if (this.#hasEnded || !this.#writer.isDue()) return;
    this.#decoder.flush();
  }

  #decodeBeforeTail(bytes: Uint8Array, stop: StreamStop): void {
    const { tail, released } = holdBack(this.#tail, bytes, stop.tailBytes);
    this.#tail = tail;
    this.#decode(released);
    this.#quietTimer?.[Symbol.dispose]();
    const text = matchTail(tail, stop.tailBytes, stop.tailPattern);
    if (text === null) return;
    this.#quietTimer = this.#clock.after(stop.quietMs, () => {
      this.#deadline?.[Symbol.dispose]();
      const fromPs = this.#decoder.firstPs ?? 0n;
      this.#stopping?.resolve({ tail: text, fromPs, toPs: this.#decoder.observedPs ?? fromPs });
    });
  }

  #addUnfinished(): void {
    const observedPs = this.#decoder.observedPs ?? 0n;
    const toPs = ps(observedPs + 1n);
    this.#writer.addLoss({ fromPs: ps(observedPs), toPs, count: null, cause: "desynchronised" });
  }

  #watchIdle(): void {
    const { afterMs, bytes, triesMax } = this.#settings.idle;
    const silentMs = this.#clock.monotonicMs() - this.#lastReceivedMs;
    const waitMs = Math.max(1, afterMs * (this.#idleTries + 1) - silentMs);
    this.#idleTimer = this.#clock.after(waitMs, () => {
      const nowSilentMs = this.#clock.monotonicMs() - this.#lastReceivedMs;
      if (nowSilentMs < afterMs * (this.#idleTries + 1)) return this.#watchIdle();
      if (this.#idleTries === triesMax) {
        this.break(
          new LabError(
            "link.timeout",
            `the stream fell silent: nothing for ${Math.round(nowSilentMs)} ms, asked ${triesMax} times`,
          ),
        );
        return;
      }
      this.#idleTries++;
      this.#effects.send(bytes);
      this.#watchIdle();
    });
  }

  #tellCounts(): void {
    this.#countsTimer = this.#clock.after(countsPeriodMs, () => {
      this.#effects.counts(this.#counts);
      this.#tellCounts();
    });
  }

  #end(): void {
    this.#hasEnded = true;
    this.#starting = undefined;
    this.#stopping = undefined;
    for (const timer of [
      ...[this.#idleTimer, this.#ageTimer, this.#deadline, this.#quietTimer, this.#countsTimer],
    ]) {
      timer?.[Symbol.dispose]();
    }
    this.#effects.counts(this.#counts);
  }
}
