/**
 * The link layer on photons without memory: pairs between neighbours, measured on arrival. A pair is known
 * only because both photons clicked, so everything here is post-selected and nothing is heralded.
 *
 * The announcing end sends times and bases, the matching end answers with what it paired (link-messages.ts).
 * Both count the same pairs in the same order. Whatever could make the two counts differ (a message lost,
 * doubled, malformed, a channel that was down) ends the incarnation, and a new one counts from 0.
 */
import { type Observable, Subject, type Subscription } from "rxjs";
import type { Clock } from "../../hal/clock.ts";
import { isLabError, LabError, messageOf } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import type { RandomSource } from "../../hal/random.ts";
import { createRetainQuota } from "../../hal/tags/block-hub.ts";
import type { TagMemory } from "../../hal/tags/tag-memory.ts";
import type { RetainedBlock, TagBlock, TagStream } from "../../hal/tags/tag-stream.ts";
import { ps, roundMsToPs } from "../../hal/units.ts";
import type { ClassicalChannel, MessagePort } from "../classical/channel.ts";
import { messagePortOpener } from "../classical/message-port.ts";
import type { LinkLoss, PairColumns } from "../physical/announcement.ts";
import { checkWiring, type DetectorWiring } from "../physical/detector-wiring.ts";
import { createInlineEngine, startEngineWorker } from "../physical/engines.ts";
import type { EngineOutput, EngineSettings, LinkEngine } from "../physical/link-engine.ts";
import { LagMeter } from "./lag-meter.ts";
import type { LinkEvent } from "./link-event.ts";
import { type LinkMessage, linkMessageSchema } from "./link-messages.ts";
import { LinkSession } from "./link-session.ts";
import type { PairRecords } from "./pair-records.ts";

/** What the station says of a link. */
export interface PhotonicLinkSettings {
  /** Full width: a pair counts if -floor(w / 2) <= remote - local < ceil(w / 2). */
  readonly coincidenceWindowPs: number;
  readonly offsetMaxMs: number;
  readonly driftMaxPpb: number;
  /** Of a wrong lock in one search; 1e-6 by default. */
  readonly falseAlarmProbability?: number;
}

/** What an end of a photonic link works with. */
export interface PhotonicLinkOptions {
  readonly link: string;
  readonly local: string;
  readonly peer: string;
  readonly role: "announcer" | "matcher";
  readonly stream: TagStream;
  readonly wiring: DetectorWiring;
  readonly channel: ClassicalChannel;
  readonly settings: PhotonicLinkSettings;
  readonly clock: Clock;
  /** For nonces, and double clicks where no worker is used. */
  readonly random: RandomSource;
  readonly logger: Logger;
  /** The stream's memory: the work is then done in worker threads. Without it, in this thread. */
  readonly memory?: TagMemory;
}

/** What the link can do, for the layer above to ask before it asks for more. */
export interface LinkCapabilities {
  readonly selection: "post-selected";
  readonly delivery: "measure";
  readonly bases: readonly ["z", "x"];
  readonly basisChoice: "at-detection";
  readonly memory: false;
}

/** An open end. */
export interface PhotonicLink {
  readonly link: string;
  readonly local: string;
  readonly peer: string;
  readonly role: "announcer" | "matcher";
  readonly capabilities: LinkCapabilities;
  /** Hot; one block of records for each announcement while the clock is known, empty ones included. */
  readonly records$: Observable<PairRecords>;
  /** Hot; subscribe before anything can happen: nothing is sent in the turn in which the link is opened. */
  readonly events$: Observable<LinkEvent>;
  /** Idempotent; completes both streams. */
  close(): Promise<void>;
}

/** Blocks in the hands of the engine; beyond, this link loses blocks, and says so. */
const retainedBlocksMax = 64;
/** Bytes that may wait in the channel before detections are lost rather than announced. */
const backlogBytesMax = 2 ** 20;
const extraLossesMax = 32;

/**
 * Opens one end. It works whenever the channel is open and both ends run, for as long as it is not closed.
 * @throws LabError `physical.wiring`, `pairs.settings`.
 */
export function openPhotonicLink(options: PhotonicLinkOptions): PhotonicLink {
  checkWiring(options.wiring);
  const { coincidenceWindowPs: windowPs, offsetMaxMs, driftMaxPpb } = options.settings;
  if (!Number.isInteger(windowPs) || windowPs < 1 || windowPs > 1e7) {
    throw new LabError(
      "pairs.settings",
      `the coincidence window of link ${options.link} is ${windowPs} ps: give a whole number from 1 to 10,000,000`,
    );
  }
  if (!(offsetMaxMs > 0 && offsetMaxMs <= 10_000 && driftMaxPpb >= 0 && driftMaxPpb <= 5_000)) {
    throw new LabError(
      "pairs.settings",
      `link ${options.link} searches offsets to ${offsetMaxMs} ms and drifts to ${driftMaxPpb} ppb: at most 10,000 ms and 5,000 ppb can be searched`,
    );
  }
  return new PhotonicLinkEnd(options);
}

/** Gives a stream's tick in whole picoseconds, or 1 where it is no such number. */
const wholeTickPs = ({ tickPs }: TagStream): bigint =>
  tickPs.denominator === 1n ? tickPs.numerator : 1n;

class PhotonicLinkEnd implements PhotonicLink {
  readonly link: string;
  readonly local: string;
  readonly peer: string;
  readonly role: "announcer" | "matcher";
  readonly capabilities: LinkCapabilities = {
    selection: "post-selected",
    delivery: "measure",
    bases: ["z", "x"],
    basisChoice: "at-detection",
    memory: false,
  };
  readonly #options: PhotonicLinkOptions;
  readonly #records = new Subject<PairRecords>();
  readonly #events = new Subject<LinkEvent>();
  readonly #engine: LinkEngine;
  readonly #session: LinkSession;
  readonly #port: MessagePort<LinkMessage>;
  readonly #quota;
  readonly #retained = new Map<number, RetainedBlock>();
  readonly #lag = new LagMeter();
  readonly #subscriptions: Subscription[] = [];
  #current: TagBlock | null = null;
  #extraLosses: LinkLoss[] = [];
  #lastToPs: bigint | null = null;
  #pairs = 0;
  #isClosed = false;

  constructor(options: PhotonicLinkOptions) {
    const { channel, stream, logger, memory } = options;
    this.#options = options;
    this.link = options.link;
    this.local = options.local;
    this.peer = options.peer;
    this.role = options.role;
    this.#quota = createRetainQuota(`link ${options.link} of ${options.local}`, retainedBlocksMax);
    this.#port = messagePortOpener(logger)(channel, `link/${options.link}`, linkMessageSchema);
    const settings = this.#engineSettings();
    const emit = (output: EngineOutput): void => this.#takeOutput(output);
    this.#engine =
      memory === undefined
        ? createInlineEngine(settings, {
            random: options.random,
            emit,
            read: () => this.#columns(),
          })
        : startEngineWorker(settings, { memory, emit, failed: (error) => this.#fail(error) });
    this.#session = new LinkSession({
      ...{ role: options.role, link: options.link, windowPs: settings.windowPs },
      ...{ tickPs: settings.tickPs, epochPs: stream.epochPs },
      ...{ clock: options.clock, random: options.random },
      send: (message) => this.#send(message),
      engine: (input) => this.#engine.take(input),
      emit: (event) => this.#emit(event),
    });
    this.#subscriptions.push(
      channel.state$.subscribe(({ state, reason }) =>
        state === "open"
          ? this.#session.channelOpened()
          : this.#session.end(reason ?? `the channel to ${options.peer} is ${state}`),
      ),
      this.#port.received$.subscribe((message) => this.#session.take(message)),
      stream.blocks$.subscribe({
        next: (block) => this.#takeBlock(block),
        error: (error) =>
          this.#session.end(`the tagger of ${options.local} stopped: ${messageOf(error)}`),
      }),
    );
  }

  get records$(): Observable<PairRecords> {
    return this.#records.asObservable();
  }

  get events$(): Observable<LinkEvent> {
    return this.#events.asObservable();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#session.close(`${this.local} closed the link`);
    this.#isClosed = true;
    await this.#engine.close();
    for (const block of this.#retained.values()) block[Symbol.dispose]();
    this.#retained.clear();
    this.#records.complete();
    this.#events.complete();
  }

  #engineSettings(): EngineSettings {
    const { role, wiring, stream, settings } = this.#options;
    return {
      ...{ role, wiring, tickPs: wholeTickPs(stream) },
      windowPs: BigInt(settings.coincidenceWindowPs),
      offsetPsMax: roundMsToPs(settings.offsetMaxMs),
      driftPpbMax: settings.driftMaxPpb,
      falseAlarmProbability: settings.falseAlarmProbability ?? 1e-6,
    };
  }

  #takeBlock(block: TagBlock): void {
    const { session } = this.#session;
    if (session === null) {
      this.#lastToPs = null;
      return;
    }
    if (this.#lastToPs !== null && block.fromPs > this.#lastToPs) {
      this.#lose({
        fromPs: this.#lastToPs,
        toPs: block.fromPs,
        count: null,
        cause: "subscriber-quota",
      });
    }
    this.#lastToPs = block.toPs;
    if (this.#options.memory === undefined) this.#current = block;
    else {
      const retained = block.retain(this.#quota);
      if (retained === null) {
        const { fromPs, toPs, count } = block;
        this.#lose({ fromPs, toPs, count, cause: "subscriber-quota" });
        return;
      }
      this.#retained.set(block.sequence, retained);
    }
    this.#lag.arrived(block.toPs, this.#options.clock.monotonicMs());
    const { times: _times, channels: _channels, retain: _retain, ...descriptor } = block;
    const mayAnnounce = this.#options.channel.queuedBytes < backlogBytesMax;
    const losses = this.#extraLosses;
    this.#extraLosses = [];
    this.#engine.take({ kind: "block", session, block: descriptor, losses, mayAnnounce });
    this.#current = null;
  }

  #lose(loss: LinkLoss): void {
    if (this.#extraLosses.length < extraLossesMax) this.#extraLosses.push(loss);
    else {
      const last = this.#extraLosses[extraLossesMax - 1] ?? loss;
      const count = last.count === null || loss.count === null ? null : last.count + loss.count;
      this.#extraLosses[extraLossesMax - 1] = { ...last, toPs: loss.toPs, count };
    }
  }

  #columns() {
    const block = this.#current;
    if (block === null) throw new TypeError("an engine in this thread reads a block as it arrives");
    return { times: block.times(), channels: block.channels() };
  }

  #takeOutput(output: EngineOutput): void {
    if (this.#isClosed) return;
    if (output.kind === "released") {
      this.#retained.get(output.sequence)?.[Symbol.dispose]();
      this.#retained.delete(output.sequence);
      return;
    }
    const pairs = this.#session.takeOutput(output);
    if (pairs !== null) this.#deliver(pairs);
  }

  #deliver(pairs: PairColumns): void {
    const { incarnation } = this.#session;
    if (incarnation === null) return;
    this.#pairs = Number(pairs.firstSequence) + pairs.count;
    this.#lag.delivered(pairs.toPs, this.#options.clock.monotonicMs());
    const { fromPs, toPs, ...columns } = pairs;
    this.#records.next({
      ...{ link: this.link, incarnation, selection: "post-selected", ...columns },
      ...{ fromPs: ps(fromPs), toPs: ps(toPs) },
    });
  }

  #emit(event: LinkEvent): void {
    if (event.kind === "up") this.#pairs = 0;
    const { logger } = this.#options;
    if (event.kind !== "metrics") logger.info({ link: this.link, event: event.kind }, "link event");
    this.#events.next(
      event.kind === "metrics"
        ? { ...event, pairs: this.#pairs, lagMs: this.#lag.percentiles() }
        : event,
    );
  }

  /** Sends, or ends the session when the channel has just gone; false then. */
  #send(message: LinkMessage): boolean {
    try {
      this.#port.send(message);
      return true;
    } catch (error) {
      if (!isLabError(error, "channel")) throw error;
      this.#session.end(messageOf(error));
      return false;
    }
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#session.close(`the physical worker of ${this.local} failed`);
    const failure = new LabError(
      "physical.worker",
      `the worker thread of link ${this.link} at ${this.local} failed: ${messageOf(error)}; restart the node`,
      { cause: error },
    );
    this.#events.next({ kind: "failed", error: failure });
  }
}
