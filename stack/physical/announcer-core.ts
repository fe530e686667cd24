/**
 * The announcing end: turns blocks into announcements, keeps their outcomes until they are reported, and
 * turns reports into pairs. Pure: what it gives depends on what it is given, and on chance for double clicks.
 */
import { LabError } from "../../hal/errors.ts";
import type { RandomSource } from "../../hal/random.ts";
import {
  type Announcement,
  AnnouncementCodec,
  announcedEventsMax,
  decodeIndices,
  type LinkLoss,
  type PairColumns,
  type Report,
} from "./announcement.ts";
import type { BlockInput } from "./block-input.ts";
import { ClickResolver, type DetectionEvents } from "./click-resolver.ts";
import type { DetectorWiring } from "./detector-wiring.ts";
import type { KernelSpace } from "./kernel-space.ts";

/** What an announcing end needs to know. */
export interface AnnouncerSettings {
  readonly wiring: DetectorWiring;
  readonly windowPs: bigint;
  /** The tagger's tick where it is a whole number of ps, else 1. */
  readonly tickPs: bigint;
  readonly random: RandomSource;
}

interface Kept {
  readonly announcement: Announcement;
  readonly events: DetectionEvents;
}

/** Announcements that wait for their reports, and detections in them; beyond, blocks are lost, not announced. */
const keptAnnouncementsMax = 512;
const keptEventsMax = 2 ** 21;
const lossesMax = 64;

/** Bytes of kernel space an announcer takes. */
export const announcerSpaceBytes = 2 ** 22;

/** The announcing end of one link. */
export class AnnouncerCore {
  readonly #settings: AnnouncerSettings;
  readonly #codec: AnnouncementCodec;
  readonly #resolver: ClickResolver;
  #kept: Kept[] = [];
  #keptEvents = 0;
  #nextBlock = 0n;
  #nextSequence = 0n;
  #segment: number | null = null;
  #coveredToPs: bigint | null = null;
  #losses: LinkLoss[] = [];

  constructor(space: KernelSpace, settings: AnnouncerSettings) {
    this.#settings = settings;
    this.#codec = new AnnouncementCodec(space);
    this.#resolver = new ClickResolver(space, settings.wiring, settings);
  }

  get doubleClicks(): number {
    return this.#resolver.doubleClicks;
  }

  /** Starts a new incarnation: numbers count from 0, and what was announced before is forgotten. */
  open(): void {
    this.#kept = [];
    this.#keptEvents = 0;
    this.#nextBlock = 0n;
    this.#nextSequence = 0n;
    this.#losses = [];
    this.#segment = null;
  }

  /**
   * Takes a block. Gives what to announce; nothing while `mayAnnounce` is false or too much waits for
   * reports: the next announcement then says what was lost.
   */
  addBlock(block: BlockInput, mayAnnounce: boolean): readonly Announcement[] {
    if (this.#segment !== block.segment) {
      this.#resolver.restart();
      this.#coveredToPs = null;
      this.#segment = block.segment;
    }
    for (const loss of block.losses) this.#lose(loss);
    const events = this.#resolver.push(block.times, block.channels, block.toPs);
    const fromPs = this.#coveredToPs ?? block.fromPs;
    if (events.coveredToPs <= fromPs) return [];
    this.#coveredToPs = events.coveredToPs;
    const waits =
      this.#kept.length >= keptAnnouncementsMax ||
      this.#keptEvents + events.times.length > keptEventsMax;
    if (!mayAnnounce || waits) {
      const toPs = events.coveredToPs;
      this.#lose({ fromPs, toPs, count: events.times.length, cause: "channel-backlog" });
      return [];
    }
    return cut(events, fromPs).map((part) => this.#announce(part.events, part.fromPs));
  }

  /**
   * Takes the next report and gives its pairs, null when the matcher was searching.
   * @throws LabError `pairs.disorder` when it is not the next one, `pairs.malformed`: the incarnation is over.
   */
  takeReport(report: Report): PairColumns | null {
    const [kept] = this.#kept;
    if (kept?.announcement.block !== report.block || report.firstSequence !== this.#nextSequence) {
      throw new LabError(
        "pairs.disorder",
        `a report of block ${report.block} from pair ${report.firstSequence} came in place of ${kept?.announcement.block ?? "none"} from ${this.#nextSequence}: the link starts anew`,
      );
    }
    const { announcement, events } = kept;
    if (!report.matched && report.count > 0) {
      throw new LabError(
        "pairs.malformed",
        `the report of block ${report.block} says that nothing was matched and names ${report.count} pairs: both ends must run the same release`,
      );
    }
    const indices = decodeIndices(report.indices, report.count, announcement.count);
    const remoteBasis = this.#codec.unpackBits(report.bases, report.count);
    this.#kept.shift();
    this.#keptEvents -= announcement.count;
    this.#nextSequence += BigInt(report.count);
    if (!report.matched) return null;
    const { fromPs, toPs } = announcement;
    const { count } = report;
    const localBasis = new Uint8Array(count);
    const rawOutcome = new Uint8Array(count);
    const timesPs = new BigInt64Array(count);
    for (let pair = 0; pair < count; pair++) {
      const index = indices[pair] ?? 0;
      localBasis[pair] = events.bases[index] ?? 0;
      rawOutcome[pair] = events.outcomes[index] ?? 0;
      timesPs[pair] = events.times[index] ?? 0n;
    }
    const { firstSequence } = report;
    return { firstSequence, count, remoteBasis, localBasis, rawOutcome, timesPs, fromPs, toPs };
  }

  #announce(events: DetectionEvents, fromPs: bigint): Announcement {
    const { times, bases, coveredToPs: toPs } = events;
    const announcement: Announcement = {
      ...{ block: this.#nextBlock++, segment: this.#segment ?? 0, fromPs, toPs },
      ...{ count: times.length, bases: this.#codec.packBits(bases) },
      ...this.#codec.encodeTimes(times, fromPs, this.#settings.tickPs),
      losses: this.#losses,
    };
    this.#losses = [];
    this.#kept.push({ announcement, events });
    this.#keptEvents += times.length;
    return announcement;
  }

  /** Notes a loss; adjoining ones of a cause, or more than fit a message, are joined. */
  #lose(loss: LinkLoss): void {
    const last = this.#losses.at(-1);
    const isJoined =
      last !== undefined &&
      ((last.cause === loss.cause && last.toPs === loss.fromPs) ||
        this.#losses.length >= lossesMax);
    if (!isJoined) this.#losses.push(loss);
    else {
      const count = last.count === null || loss.count === null ? null : last.count + loss.count;
      this.#losses[this.#losses.length - 1] = { ...last, toPs: loss.toPs, count };
    }
  }
}

/** Cuts events into what one announcement holds. */
function cut(events: DetectionEvents, fromPs: bigint) {
  if (events.times.length <= announcedEventsMax) return [{ events, fromPs }];
  const parts: { readonly events: DetectionEvents; readonly fromPs: bigint }[] = [];
  let startPs = fromPs;
  let at = 0;
  do {
    const end = Math.min(at + announcedEventsMax, events.times.length);
    const coveredToPs = events.times[end] ?? events.coveredToPs;
    const part = {
      times: events.times.slice(at, end),
      bases: events.bases.slice(at, end),
      outcomes: events.outcomes.slice(at, end),
      coveredToPs,
    };
    parts.push({ events: part, fromPs: startPs });
    startPs = coveredToPs;
    at = end;
  } while (at < events.times.length);
  return parts;
}
