/** What a run says as it happens: sentences for people, one JSON object a line for scripts. */
import type { Clock } from "../../hal/clock.ts";
import type { KeyEvent } from "../../stack/application/qkd/key-events.ts";
import type { LinkEvent } from "../../stack/link/link-event.ts";
import type { NodeEvent } from "../../stack/node.ts";
import { formatQuantity, plainStyle, rateStyle } from "../../web/quantity.ts";
import type { Printer } from "../print.ts";
import type { DarkCountRate } from "./dark-counts.ts";
import { lossOf } from "./live-link.ts";
import type { RunSummary } from "./live-station.ts";
import type { RunSession } from "./station-session.ts";

type SessionEvent = NodeEvent & { readonly node: string };

/** Metrics come once a second; people get them this often. */
const sentenceEveryMs = 5_000;

/** Prints a run. */
export class RunReport {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #isJson: boolean;
  /** The end of each link that is listened to: both tell the same story. */
  readonly #narrators: ReadonlyMap<string, string>;
  readonly #saidMs = new Map<string, number>();
  #assumptionsSaid = false;

  constructor(
    session: RunSession,
    options: { readonly printer: Printer; readonly clock: Clock; readonly isJson: boolean },
  ) {
    this.#printer = options.printer;
    this.#clock = options.clock;
    this.#isJson = options.isJson;
    this.#startedMs = options.clock.monotonicMs();
    const here = session.nodes.map(({ settings }) => settings.name);
    this.#narrators = new Map(
      [...session.station.links.values()].map((link) => [
        link.name,
        link.ends.find((end) => here.includes(end)) ?? "",
      ]),
    );
  }

  /** Says one thing: as a sentence, or as an event with `facts`. */
  say(event: string, sentence: string, facts: Readonly<Record<string, unknown>> = {}): void {
    const seconds = (this.#clock.monotonicMs() - this.#startedMs) / 1e3;
    if (this.#isJson) this.#printer.json({ event, seconds, ...facts });
    else this.#printer.line(`${seconds.toFixed(1).padStart(6)} s  ${sentence}`);
  }

  /** Says what each node's detectors counted before the sources were switched on. */
  sayDarkCounts(rates: readonly DarkCountRate[]): void {
    for (const node of new Set(rates.map((rate) => rate.node))) {
      const own = rates.filter((rate) => rate.node === node);
      const words = own.map(
        ({ detector, rateHz }) => `${detector} ${formatQuantity(rateHz, "/s", rateStyle)}`,
      );
      const ratesHz = Object.fromEntries(own.map(({ detector, rateHz }) => [detector, rateHz]));
      this.say("dark-counts", `${node}: dark counts ${words.join(", ")}`, { node, ratesHz });
    }
  }

  take(event: SessionEvent): void {
    if (event.kind === "link") this.#takeLink(event.node, event.link, event.event);
    else if (event.kind === "key") this.#takeKey(event.node, event.link, event.event);
    else if (event.kind === "tagger-ended" && event.error !== null) {
      const { node, tagger, error } = event;
      this.say("tagger-ended", `${node}/${tagger}: ${error.message}`, {
        ...{ node, tagger, code: error.code, message: error.message },
      });
    } else if (event.kind === "rates" && this.#isJson) this.#takeRates(event);
  }

  end(summary: RunSummary): void {
    if (this.#isJson) {
      this.#printer.json(summary);
      return;
    }
    for (const { name, pairs, secretBits, keys, qber, keysIdentical } of summary.links) {
      const error = qber === null ? "not known" : `${(100 * qber).toFixed(2)} %`;
      const same = keys === 0 ? "" : keysIdentical ? ", identical at both ends" : ", NOT identical";
      this.#printer.line(
        `${name}: ${pairs} pairs, QBER ${error}, ${secretBits} secret bits in ${keys} keys${same}`,
      );
    }
    this.#printer.line(
      summary.lostTags === null
        ? "tags were lost; the hardware cannot tell how many"
        : `${summary.lostTags} tags lost`,
    );
  }

  #takeRates({ node, tagger, report }: Extract<SessionEvent, { kind: "rates" }>): void {
    const seconds = Number(report.interval.liveTimePs) / 1e12;
    if (!this.#isDue(`rates ${node} ${tagger}`, 1_000) || seconds <= 0) return;
    const ratesHz = Object.fromEntries(
      Object.entries(report.interval.counts).map(([channel, count]) => [channel, count / seconds]),
    );
    const { tags, lostTags } = report;
    this.say("rates", "", { node, tagger, ratesHz, tags, lostTags });
  }

  #takeLink(node: string, link: string, event: LinkEvent): void {
    if (this.#narrators.get(link) !== node) return;
    switch (event.kind) {
      case "up":
        this.say("link-up", `${link}: both ends agree, pairs count from 0`, {
          ...{ link, incarnation: event.incarnation },
        });
        break;
      case "down":
        this.say("link-down", `${link}: down: ${event.reason}`, { link, reason: event.reason });
        break;
      case "refused":
      case "failed":
        this.say("link-failed", `${link}: ${event.error.message}`, {
          ...{ link, code: event.error.code, message: event.error.message },
        });
        break;
      case "searching":
        this.say("clock-search", `${link}: looking for the other clock`, { link });
        break;
      case "locked":
        this.#sayClock(link, event.clock);
        break;
      case "lost":
        this.say("clock-lost", `${link}: clock lost: ${event.reason}`, {
          ...{ link, reason: event.reason },
        });
        break;
      case "metrics":
        this.#takeMetrics(link, event);
        break;
      case "loss":
        this.say("loss", `${link}: ${event.loss.count ?? "?"} tags lost (${event.loss.cause})`, {
          ...{ link, end: event.end, ...event.loss },
        });
        break;
    }
  }

  #sayClock(link: string, clock: Extract<LinkEvent, { kind: "locked" }>["clock"]): void {
    const { offsetPs, driftPpb, uncertaintyPs, driftUncertaintyPpb } = clock;
    const offset = formatQuantity(
      { value: Number(offsetPs) / 1e12, uncertainty: uncertaintyPs / 1e12 },
      "s",
    );
    const drift = formatQuantity(
      { value: driftPpb, uncertainty: driftUncertaintyPpb },
      "ppb",
      plainStyle,
    );
    this.say("clock", `${link}: clock found, offset ${offset}, drift ${drift}`, { link, ...clock });
  }

  #takeMetrics(link: string, event: Extract<LinkEvent, { kind: "metrics" }>): void {
    const { metrics, clock, pairs, lagMs } = event;
    const lossDb = lossOf(metrics);
    if (this.#isJson) {
      const { histogram: _histogram, ...figures } = metrics;
      this.say("coincidences", "", { link, pairs, ...figures, lossDb, clock, lagMs });
      return;
    }
    if (!this.#isDue(`metrics ${link}`, sentenceEveryMs)) return;
    const rate = formatQuantity(metrics.coincidenceRateHz, "/s", rateStyle);
    const car = metrics.car === null ? "" : `, CAR ${metrics.car.value.toFixed(0)}`;
    const loss = [lossDb.first, lossDb.second].map((each) =>
      formatQuantity(each, "dB", plainStyle),
    );
    this.say(
      "coincidences",
      `${link}: ${rate} coincidences${car}, loss ${loss.join(" and ")}, ${pairs} pairs so far`,
    );
  }

  #takeKey(node: string, link: string, event: KeyEvent): void {
    const isNarrator = this.#narrators.get(link) === node;
    switch (event.type) {
      case "estimate":
        if (this.#isJson && isNarrator) {
          const { overall, z, x } = event.qber;
          this.say("estimate", "", { link, block: event.block, qber: overall, z, x });
        }
        break;
      case "reconciled":
        if (this.#isJson && isNarrator) this.say("reconciled", "", { link, ...event });
        break;
      case "key":
        this.#sayKey(node, link, event);
        break;
      case "aborted":
        if (event.reason !== "closed") {
          this.say("key-aborted", `${node}: block ${event.block} given up: ${event.detail}`, {
            ...{ node, link, reason: event.reason, by: event.by, detail: event.detail },
          });
        }
        break;
      case "discarded":
      case "revoked":
      case "unsettled":
        this.say(`key-${event.type}`, `${node}: ${keyTrouble(event)}`, { node, link, ...event });
        break;
      case "sifted":
      case "verified":
        break;
    }
  }

  #sayKey(node: string, link: string, event: Extract<KeyEvent, { type: "key" }>): void {
    const { keyId, fingerprint, bits, promise } = event;
    this.say("key", `${node}: key ${keyId}, ${bits} bits, fingerprint ${fingerprint}`, {
      ...{ node, link, keyId, fingerprint, bits, promise },
    });
    if (this.#assumptionsSaid || this.#isJson) return;
    this.#assumptionsSaid = true;
    const { secrecyError, assumptions } = promise;
    this.#printer.line(`          secret up to ${secrecyError} (${promise.bound}), as long as`);
    for (const assumption of assumptions) this.#printer.line(`          - ${assumption}`);
  }

  #isDue(what: string, everyMs: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#saidMs.get(what) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    this.#saidMs.set(what, nowMs);
    return true;
  }
}

function keyTrouble(
  event: Extract<KeyEvent, { type: "discarded" | "revoked" | "unsettled" }>,
): string {
  if (event.type === "discarded") return `${event.bits} sifted bits thrown away: ${event.cause}`;
  return event.type === "revoked"
    ? `key ${event.keyId} is revoked: the other end gave it up`
    : `key ${event.keyId} is unsettled: the other end restarted before it confirmed`;
}
