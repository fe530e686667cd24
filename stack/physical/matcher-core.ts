/**
 * The matching end: searches the clock, follows it, pairs announced detections with its own, and reports.
 * Pure: what it gives depends on what it is given, and on chance for double clicks. The search itself is
 * asked for as an effect, so that it can run in another thread while announcements are answered here.
 */
import { LabError } from "../../hal/errors.ts";
import type { RandomSource } from "../../hal/random.ts";
import {
  type Announcement,
  AnnouncementCodec,
  announcedEventsMax,
  encodeIndices,
  type LinkLoss,
  type PairColumns,
  type Report,
} from "./announcement.ts";
import type { BlockInput } from "./block-input.ts";
import { ClickResolver } from "./click-resolver.ts";
import { type ClockModel, kernelModel, localFromRemote } from "./clock-model.ts";
import type { ClockSearchRequest, ClockSearchResult } from "./clock-search.ts";
import { type ClockNoise, ClockTracker } from "./clock-tracker.ts";
import type { DetectorWiring } from "./detector-wiring.ts";
import { EventBuffer } from "./event-buffer.ts";
import type { KernelSpace } from "./kernel-space.ts";
import {
  type LinkMetrics,
  MetricsCollector,
  planWindows,
  type WindowPlan,
} from "./link-metrics.ts";
import { SearchCollector } from "./search-collector.ts";

/** What a matching end needs to know. */
export interface MatcherSettings {
  readonly wiring: DetectorWiring;
  readonly windowPs: bigint;
  readonly tickPs: bigint;
  readonly random: RandomSource;
  readonly offsetPsMax: bigint;
  readonly driftPpbMax: number;
  readonly falseAlarmProbability: number;
  /** How much the clocks may wander; quartz in a laboratory by default. */
  readonly clockNoise?: ClockNoise;
}

/** What the other end's hello said of its stream, and what UTC labels predict of the offset. */
export interface RemoteStream {
  /** Local minus remote stream time by both ends' UTC labels. */
  readonly labelOffsetPs: bigint;
  readonly tickPs: bigint;
}

/** What the matcher wants done or known. */
export type MatcherEffect =
  | { readonly kind: "report"; readonly report: Report; readonly pairs: PairColumns | null }
  | { readonly kind: "search"; readonly request: ClockSearchRequest }
  | { readonly kind: "locked"; readonly model: ClockModel; readonly significanceNats: number }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "metrics"; readonly metrics: LinkMetrics; readonly model: ClockModel }
  | {
      readonly kind: "loss";
      readonly loss: LinkLoss;
      /** Whose stream it is in. */
      readonly end: "announcer" | "matcher";
    };

interface Waiting {
  readonly announcement: Announcement;
  readonly times: BigInt64Array;
  readonly bases: Uint8Array;
}

const localEventsMax = 2 ** 21;
/** Announcements that wait for local blocks; beyond, the lock is given up. Fewer than an announcer keeps. */
const waitingMax = 256;
const differencesMax = 2 ** 18;
const metricsS = 1;

/** Bytes of kernel space a matcher takes. */
export const matcherSpaceBytes = 2 ** 26;

/** The matching end of one link. */
export class MatcherCore {
  readonly #space: KernelSpace;
  readonly #settings: MatcherSettings;
  readonly #codec: AnnouncementCodec;
  readonly #resolver: ClickResolver;
  readonly #events: EventBuffer;
  readonly #search = new SearchCollector();
  readonly #columns: {
    readonly [Name in
      | "remote"
      | "indices"
      | "positions"
      | "near"
      | "differences"
      | "elapsed"]: number;
  };
  #plan: WindowPlan;
  #metrics: MetricsCollector;
  #tracker: ClockTracker | null = null;
  #remote: RemoteStream = { labelOffsetPs: 0n, tickPs: 1n };
  #waiting: Waiting[] = [];
  #nextBlock = 0n;
  #nextSequence = 0n;
  #remoteSegment: number | null = null;
  #localSegment: number | null = null;
  #coveredToPs: bigint | null = null;
  /** Events before this position are in pairs already. */
  #firstUnused = 0;
  #closedToPs: bigint | null = null;
  #localLossPs = 0n;

  constructor(space: KernelSpace, settings: MatcherSettings) {
    this.#space = space;
    this.#settings = settings;
    this.#codec = new AnnouncementCodec(space);
    this.#resolver = new ClickResolver(space, settings.wiring, settings);
    this.#events = new EventBuffer(space, localEventsMax);
    this.#columns = {
      remote: space.allocate(8 * announcedEventsMax),
      indices: space.allocate(4 * announcedEventsMax),
      positions: space.allocate(4 * announcedEventsMax),
      near: space.allocate(4 * announcedEventsMax),
      differences: space.allocate(8 * differencesMax),
      elapsed: space.allocate(8 * differencesMax),
    };
    this.#plan = planWindows(Number(settings.windowPs), Number(settings.tickPs));
    this.#metrics = new MetricsCollector(this.#plan);
  }

  /** Starts a new incarnation: numbers count from 0, the clock is searched. */
  open(remote: RemoteStream): void {
    this.#remote = remote;
    const { windowPs, tickPs } = this.#settings;
    this.#plan = planWindows(Number(windowPs), Math.max(Number(tickPs), Number(remote.tickPs)));
    this.#waiting = [];
    this.#nextBlock = 0n;
    this.#nextSequence = 0n;
    this.#remoteSegment = null;
    this.#localSegment = null;
    this.#unlock();
  }

  /** Takes a block of this end's tags. */
  addBlock(block: BlockInput): readonly MatcherEffect[] {
    const effects: MatcherEffect[] = [];
    if (this.#localSegment !== block.segment) {
      this.#resolver.restart();
      this.#events.clear();
      this.#firstUnused = 0;
      this.#coveredToPs = null;
      if (this.#localSegment !== null)
        effects.push(...this.#lose("the local tagger's stream started anew"));
      this.#localSegment = block.segment;
    }
    for (const loss of block.losses) {
      this.#localLossPs += loss.toPs - loss.fromPs;
      effects.push({ kind: "loss", loss, end: "matcher" });
    }
    const events = this.#resolver.push(block.times, block.channels, block.toPs);
    const fromPs = this.#coveredToPs ?? block.fromPs;
    this.#coveredToPs = events.coveredToPs;
    const dropped = this.#events.append(events);
    this.#firstUnused = Math.max(0, this.#firstUnused - dropped);
    if (this.#tracker === null) {
      this.#search.addLocal(events.times, fromPs, events.coveredToPs);
    } else if (dropped > 0) {
      const loss = { fromPs, toPs: events.coveredToPs, count: dropped, cause: "channel-backlog" };
      effects.push({ kind: "loss", loss, end: "matcher" });
    }
    effects.push(...this.#answer());
    return effects;
  }

  /**
   * Takes the next announcement.
   * @throws LabError `pairs.disorder`, `pairs.malformed`: the incarnation is over.
   */
  addAnnouncement(announcement: Announcement): readonly MatcherEffect[] {
    if (announcement.block !== this.#nextBlock || announcement.toPs < announcement.fromPs) {
      throw new LabError(
        "pairs.disorder",
        `announcement ${announcement.block} came in place of ${this.#nextBlock}: the link starts anew`,
      );
    }
    this.#nextBlock++;
    const times = this.#codec.decodeTimes(announcement);
    const bases = this.#codec.unpackBits(announcement.bases, announcement.count);
    const effects: MatcherEffect[] = announcement.losses.map((loss) => ({
      ...{ kind: "loss", loss, end: "announcer" },
    }));
    if (this.#remoteSegment !== announcement.segment) {
      if (this.#remoteSegment !== null)
        effects.push(...this.#lose("the remote tagger's stream started anew"));
      this.#remoteSegment = announcement.segment;
    }
    this.#waiting.push({ announcement, times, bases });
    effects.push(...this.#answer());
    return effects;
  }

  /** False when a search that still runs has become pointless: its streams began anew. */
  get isSearching(): boolean {
    return this.#tracker === null && this.#search.isSearching;
  }

  /** Takes what the search that was asked for last has found. */
  searchEnded(result: ClockSearchResult): readonly MatcherEffect[] {
    if (this.#tracker !== null) return [];
    if (!result.found) {
      this.#search.failed();
      return [];
    }
    this.#search.restart();
    this.#tracker = new ClockTracker(result.model, result.residualPsRms, this.#settings.clockNoise);
    this.#metrics = new MetricsCollector(this.#plan);
    this.#localLossPs = 0n;
    const { model, significanceNats } = result;
    return [{ kind: "locked", model, significanceNats }, ...this.#answer()];
  }

  #unlock(): void {
    this.#tracker = null;
    this.#closedToPs = null;
    this.#search.restart();
  }

  #lose(reason: string): readonly MatcherEffect[] {
    const wasLocked = this.#tracker !== null;
    this.#unlock();
    return wasLocked ? [{ kind: "lost", reason }] : [];
  }

  /** Answers what can be answered, in order. */
  #answer(): readonly MatcherEffect[] {
    const effects: MatcherEffect[] = [];
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#tracker === null) {
        const { fromPs, toPs } = first.announcement;
        this.#search.addRemote(first.times, fromPs, toPs);
        effects.push(this.#emptyReport(first));
      } else if (this.#isCovered(first, this.#tracker)) {
        effects.push(...this.#match(first, this.#tracker));
      } else if (this.#waiting.length > waitingMax) {
        effects.push(...this.#giveUp(first));
      } else break;
      this.#waiting.shift();
    }
    if (this.#tracker === null) effects.push(...this.#askForSearch());
    return effects;
  }

  #isCovered({ announcement }: Waiting, tracker: ClockTracker): boolean {
    if (this.#coveredToPs === null) return false;
    const neededPs = localFromRemote(tracker.model, announcement.toPs);
    return this.#coveredToPs >= neededPs + BigInt(this.#plan.rangePs);
  }

  #askForSearch(): readonly MatcherEffect[] {
    const window = this.#search.take();
    if (window === null) return [];
    const { offsetPsMax, driftPpbMax, falseAlarmProbability, tickPs } = this.#settings;
    const request: ClockSearchRequest = {
      ...window,
      ...{ offsetPsMax, driftPpbMax, falseAlarmProbability },
      labelOffsetPs: this.#remote.labelOffsetPs,
      tickPs: Math.max(Number(tickPs), Number(this.#remote.tickPs)),
    };
    return [{ kind: "search", request }];
  }

  #emptyReport({ announcement }: Waiting): MatcherEffect {
    const report: Report = {
      ...{ block: announcement.block, matched: false, firstSequence: this.#nextSequence, count: 0 },
      ...{ indices: new Uint8Array(0), bases: new Uint8Array(0) },
    };
    return { kind: "report", report, pairs: null };
  }

  #giveUp(waiting: Waiting): readonly MatcherEffect[] {
    const { fromPs, toPs, count } = waiting.announcement;
    const loss: LinkLoss = { fromPs, toPs, count, cause: "channel-backlog" };
    return [
      { kind: "loss", loss, end: "announcer" },
      this.#emptyReport(waiting),
      ...this.#lose(`the local tagger gave no tags while ${waitingMax} announcements waited`),
    ];
  }

  #match(waiting: Waiting, tracker: ClockTracker): readonly MatcherEffect[] {
    const { announcement, times } = waiting;
    const { model } = tracker;
    const halfBelow = -(this.#settings.windowPs / 2n);
    this.#space.int64(this.#columns.remote, times.length).set(times);
    const count = this.#space.kernels.matchEvents(
      ...([this.#columns.remote, times.length] as const),
      ...([this.#events.timesAddress, this.#firstUnused, this.#events.count] as const),
      ...kernelModel(model),
      ...([halfBelow, (this.#settings.windowPs + 1n) / 2n] as const),
      ...([this.#columns.indices, this.#columns.positions, this.#columns.near] as const),
    );
    const pairs = this.#pairs(waiting, model, count);
    const report: Report = {
      ...{ block: announcement.block, matched: true, firstSequence: pairs.firstSequence, count },
      indices: encodeIndices(this.#space.uint32(this.#columns.indices, count)),
      bases: this.#codec.packBits(pairs.localBasis),
    };
    this.#nextSequence += BigInt(count);
    const effects: MatcherEffect[] = [{ kind: "report", report, pairs }];
    effects.push(...this.#follow(waiting, tracker, count));
    this.#prune(model, announcement.toPs);
    return effects;
  }

  #pairs(waiting: Waiting, model: ClockModel, count: number): PairColumns {
    const { announcement, bases } = waiting;
    const indices = this.#space.uint32(this.#columns.indices, count);
    const positions = this.#space.uint32(this.#columns.positions, count);
    const last = positions.at(-1);
    if (last !== undefined) this.#firstUnused = last + 1;
    const toPs = localFromRemote(model, announcement.toPs);
    const fromPs = this.#closedToPs ?? localFromRemote(model, announcement.fromPs);
    this.#closedToPs = toPs;
    const own = this.#events.pick(positions);
    const remoteBasis = new Uint8Array(count);
    for (let pair = 0; pair < count; pair++) remoteBasis[pair] = bases[indices[pair] ?? 0] ?? 0;
    return {
      ...{ firstSequence: this.#nextSequence, count, fromPs, toPs },
      ...{ localBasis: own.bases, remoteBasis, rawOutcome: own.outcomes, timesPs: own.times },
      residualPs: this.#space.int32(this.#columns.near, count).slice(),
    };
  }

  /** Feeds metrics and tracker with all pairs around the peak, after the block's own pairs were made. */
  #follow(waiting: Waiting, tracker: ClockTracker, matched: number): readonly MatcherEffect[] {
    const { announcement, times } = waiting;
    const { model } = tracker;
    const startPs = localFromRemote(model, announcement.fromPs);
    const endPs = localFromRemote(model, announcement.toPs);
    const near = this.#space.kernels.collectDifferences(
      ...([this.#columns.remote, times.length] as const),
      ...([this.#events.timesAddress, this.#events.count] as const),
      ...kernelModel(model),
      ...([BigInt(this.#plan.rangePs), this.#columns.differences] as const),
      ...([this.#columns.elapsed, differencesMax] as const),
    );
    const lossPs = this.#localLossPs + overlapPs(announcement);
    this.#localLossPs = 0n;
    const liveS = Math.max(0, Number(announcement.toPs - announcement.fromPs - lossPs) / 1e12);
    const summary = this.#metrics.add({
      residuals: this.#space.float64(this.#columns.differences, near),
      ...{ matched, liveS, remote: times.length },
      local: this.#events.positionOf(endPs) - this.#events.positionOf(startPs),
    });
    tracker.update((announcement.fromPs + announcement.toPs) / 2n, summary);
    const effects: MatcherEffect[] = [];
    if (this.#metrics.liveS >= metricsS) {
      const metrics = this.#metrics.take();
      if (metrics !== null) effects.push({ kind: "metrics", metrics, model: tracker.model });
    }
    if (!tracker.isLocked(liveS, summary.windowCount, summary.chance)) {
      effects.push(...this.#lose("no more coincidences than chance gives for 1.5 s"));
    }
    return effects;
  }

  #prune(model: ClockModel, closedPs: bigint): void {
    const keepFromPs = localFromRemote(model, closedPs) - 2n * BigInt(this.#plan.rangePs);
    const passed = this.#events.positionOf(keepFromPs);
    this.#events.drop(passed);
    this.#firstUnused = Math.max(0, this.#firstUnused - passed);
  }
}

/** How much of an announcement's own stretch its losses take. */
function overlapPs({ fromPs, toPs, losses }: Announcement): bigint {
  let lostPs = 0n;
  for (const loss of losses) {
    const start = loss.fromPs > fromPs ? loss.fromPs : fromPs;
    const end = loss.toPs < toPs ? loss.toPs : toPs;
    if (end > start) lostPs += end - start;
  }
  return lostPs;
}
