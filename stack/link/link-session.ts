/** How the two ends agree on an incarnation and keep to it: the conversation, without tags. */
import type { Clock } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import type { RandomSource } from "../../hal/random.ts";
import type { PairColumns } from "../physical/announcement.ts";
import type { ClockModel } from "../physical/clock-model.ts";
import { uncertaintyPsAt } from "../physical/clock-model.ts";
import type { EngineInput, EngineOutput } from "../physical/link-engine.ts";
import type { MatcherEffect } from "../physical/matcher-core.ts";
import type { LinkEvent } from "./link-event.ts";
import {
  incarnationOf,
  type LinkClock,
  type LinkMessage,
  type LinkStatus,
  linkProtocolVersion,
} from "./link-messages.ts";

/** What a session speaks for, and how it reaches peer, engine and users. */
export interface SessionContext {
  readonly role: "announcer" | "matcher";
  readonly link: string;
  readonly windowPs: bigint;
  readonly tickPs: bigint;
  readonly epochPs: bigint;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** False when the channel is gone. */
  readonly send: (message: LinkMessage) => boolean;
  readonly engine: (input: EngineInput) => void;
  readonly emit: (event: LinkEvent) => void;
}

type MessageOf<Type extends LinkMessage["type"]> = Extract<LinkMessage, { type: Type }>;

const openRetryMs = 1_000;
const refusedRetryMs = 5_000;
/** Announcements that stay unanswered for so long end the incarnation. */
const reportTimeoutMs = 5_000;
/** Stream times and their differences are 64-bit picoseconds, 106 days. */
const epochsApartPsMax = 50n * 86_400n * 10n ** 12n;

/** The agreed incarnation of one end, or the way to it. */
export class LinkSession {
  readonly #context: SessionContext;
  #isChannelOpen = false;
  #isClosed = false;
  #number = 0;
  #nonce: string | null = null;
  #matcherNonce: string | null = null;
  #incarnation: string | null = null;
  #labelOffsetPs = 0n;
  #timer: Disposable | null = null;
  #unanswered = 0;
  #answeredMs = 0;
  #refusal = "";

  constructor(context: SessionContext) {
    this.#context = context;
  }

  get incarnation(): string | null {
    return this.#incarnation;
  }

  /** The number under which the engine knows the session; null while there is none. */
  get session(): number | null {
    return this.#incarnation === null ? null : this.#number;
  }

  /** The channel is open: an announcer proposes, a matcher waits for it. */
  channelOpened(): void {
    if (this.#isClosed) return;
    this.#isChannelOpen = true;
    if (this.#context.role === "announcer") this.#after(0, () => this.#propose());
  }

  /** The channel went, or something that cannot be mended within the incarnation. */
  end(reason: string): void {
    this.#isChannelOpen = false;
    this.#finish(reason);
  }

  close(reason: string): void {
    this.end(reason);
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
  }

  /** Takes a message of the peer. */
  take(message: LinkMessage): void {
    if (this.#isClosed) return;
    if (this.#context.role === "announcer") this.#takeAsAnnouncer(message);
    else this.#takeAsMatcher(message);
  }

  /** Takes what the engine gave; gives the pairs to deliver, if it was that. */
  takeOutput(output: Exclude<EngineOutput, { kind: "released" }>): PairColumns | null {
    const incarnation = this.#incarnation;
    if (incarnation === null || output.session !== this.#number) return null;
    switch (output.kind) {
      case "announcement":
        if (this.#unanswered === 0) this.#answeredMs = this.#context.clock.monotonicMs();
        this.#unanswered++;
        this.#context.send({ type: "announcement", incarnation, body: output.body });
        return null;
      case "reported":
        this.#unanswered = Math.max(0, this.#unanswered - 1);
        this.#answeredMs = this.#context.clock.monotonicMs();
        return null;
      case "pairs":
        return output.pairs;
      case "effect":
        return this.#takeEffect(output.effect, incarnation);
      case "disorder":
        this.#reset(output.reason);
        return null;
    }
  }

  #takeAsAnnouncer(message: LinkMessage): void {
    if (message.type === "accept" && message.nonce === this.#nonce && this.#incarnation === null) {
      this.#begin(message.nonce, message.matcherNonce, null);
      this.#watch();
    } else if (message.type === "refuse" && message.nonce === this.#nonce) this.#refused(message);
    else if (message.type === "reset" && message.incarnation === this.#incarnation) {
      this.#finish(message.reason);
      this.#propose();
    } else if (message.type === "report" && message.incarnation === this.#incarnation) {
      this.#context.engine({ kind: "report", session: this.#number, body: message.body });
    } else if (message.type === "status" && message.incarnation === this.#incarnation) {
      this.#tell(message.body);
    }
  }

  #takeAsMatcher(message: LinkMessage): void {
    if (message.type === "open") this.#takeOpen(message);
    else if (message.type === "reset" && message.incarnation === this.#incarnation) {
      this.#finish(message.reason);
    } else if (message.type === "announcement") {
      const { incarnation, body } = message;
      if (incarnation === this.#incarnation) {
        this.#context.engine({ kind: "announcement", session: this.#number, body });
      } else if (incarnation !== this.#refusal) {
        // Said once an incarnation: the peer goes on in one that this end has left or never knew.
        this.#refusal = incarnation;
        const reason = "the matching end does not know this incarnation";
        this.#context.send({ type: "reset", incarnation, reason });
      }
    }
  }

  #propose(): void {
    if (!this.#isChannelOpen || this.#isClosed) return;
    this.#nonce ??= hex(this.#context.random.bytes(16));
    const { link, windowPs, epochPs, tickPs } = this.#context;
    const offer = { version: linkProtocolVersion, nonce: this.#nonce, link };
    if (this.#context.send({ type: "open", ...offer, windowPs, epochPs, tickPs })) {
      this.#after(openRetryMs, () => this.#propose());
    }
  }

  #takeOpen(open: MessageOf<"open">): void {
    const reason = this.#reasonToRefuse(open);
    if (reason !== null) {
      this.#context.send({ type: "refuse", nonce: open.nonce, reason });
      this.#context.emit({ kind: "refused", error: refusedError(reason) });
      return;
    }
    if (open.nonce !== this.#nonce || this.#matcherNonce === null) {
      this.#finish("the announcing end began anew");
      const matcherNonce = hex(this.#context.random.bytes(16));
      this.#labelOffsetPs = open.epochPs - this.#context.epochPs;
      this.#begin(open.nonce, matcherNonce, open.tickPs);
    }
    const matcherNonce = this.#matcherNonce;
    if (matcherNonce === null) return;
    this.#context.send({ type: "accept", nonce: open.nonce, matcherNonce });
    this.#status({ kind: "searching" });
  }

  #reasonToRefuse(open: MessageOf<"open">): string | null {
    const { link, windowPs } = this.#context;
    if (open.version !== linkProtocolVersion) {
      return `the announcer speaks version ${open.version} of the link protocol, the matcher version ${linkProtocolVersion}: run the same release at both ends`;
    }
    if (open.link !== link) return `the announcer serves link ${open.link}, the matcher ${link}`;
    if (open.windowPs !== windowPs) {
      return `the announcer's coincidence window is ${open.windowPs} ps, the matcher's ${windowPs} ps: set one width in both stations`;
    }
    const apartPs = open.epochPs - this.#context.epochPs;
    if (apartPs > epochsApartPsMax || apartPs < -epochsApartPsMax) {
      return "the two taggers' streams began more than 50 days apart by their hosts' clocks: set the clocks, or start both streams anew";
    }
    return null;
  }

  #begin(nonce: string, matcherNonce: string, remoteTickPs: bigint | null): void {
    this.#timer?.[Symbol.dispose]();
    this.#nonce = nonce;
    this.#matcherNonce = matcherNonce;
    this.#incarnation = incarnationOf(this.#context.link, nonce, matcherNonce);
    this.#number++;
    this.#unanswered = 0;
    const labelOffsetPs = this.#labelOffsetPs;
    const remote = remoteTickPs === null ? null : { labelOffsetPs, tickPs: remoteTickPs };
    this.#context.engine({ kind: "open", session: this.#number, remote });
    this.#context.emit({ kind: "up", incarnation: this.#incarnation });
  }

  #finish(reason: string): void {
    const incarnation = this.#incarnation;
    this.#timer?.[Symbol.dispose]();
    this.#nonce = null;
    this.#matcherNonce = null;
    this.#incarnation = null;
    if (incarnation !== null) this.#context.emit({ kind: "down", incarnation, reason });
  }

  #reset(reason: string): void {
    const incarnation = this.#incarnation;
    if (incarnation === null) return;
    this.#finish(reason);
    this.#context.send({ type: "reset", incarnation, reason: reason.slice(0, 300) });
    if (this.#context.role === "announcer") this.#propose();
  }

  #refused({ reason }: MessageOf<"refuse">): void {
    this.#context.emit({ kind: "refused", error: refusedError(reason) });
    this.#after(refusedRetryMs, () => this.#propose());
  }

  /** An announcer looks once a second whether its announcements are answered. */
  #watch(): void {
    this.#after(openRetryMs, () => {
      const waitedMs = this.#context.clock.monotonicMs() - this.#answeredMs;
      if (this.#unanswered > 0 && waitedMs > reportTimeoutMs) {
        this.#reset(`no report came for ${reportTimeoutMs} ms`);
      } else this.#watch();
    });
  }

  #after(delayMs: number, run: () => void): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#context.clock.after(delayMs, run);
  }

  #takeEffect(effect: MatcherEffect, incarnation: string): PairColumns | null {
    switch (effect.kind) {
      case "report": {
        const isSent = this.#context.send({ type: "report", incarnation, body: effect.report });
        return isSent ? effect.pairs : null;
      }
      case "locked":
        this.#status({ kind: "locked", clock: this.#clockOf(effect.model) });
        return null;
      case "lost":
        this.#status({ kind: "lost", reason: effect.reason });
        this.#status({ kind: "searching" });
        return null;
      case "metrics":
        this.#status({
          kind: "metrics",
          clock: this.#clockOf(effect.model),
          metrics: effect.metrics,
        });
        return null;
      case "loss":
        this.#status({ kind: "loss", loss: effect.loss, end: effect.end });
        return null;
      case "search":
        return null;
    }
  }

  #clockOf(model: ClockModel): LinkClock {
    return {
      offsetPs: model.offsetPs - this.#labelOffsetPs,
      driftPpb: model.driftPpb,
      uncertaintyPs: uncertaintyPsAt(model, model.referencePs),
      driftUncertaintyPpb: model.driftUncertaintyPpb,
    };
  }

  /** Tells the own users and the announcing end. */
  #status(status: LinkStatus): void {
    const incarnation = this.#incarnation;
    if (incarnation === null) return;
    this.#tell(status);
    this.#context.send({ type: "status", incarnation, body: status });
  }

  #tell(status: LinkStatus): void {
    this.#context.emit(status.kind === "metrics" ? { ...status, pairs: 0, lagMs: null } : status);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const refusedError = (reason: string): LabError =>
  new LabError("pairs.refused", `the two ends of the link do not fit: ${reason}`);
