import type { Clock } from "../../hal/clock.ts";
import type { StationLink } from "../../hal/station/station-schema.ts";
import type { KeyEvent } from "../../stack/application/qkd/key-events.ts";
import type { ErrorRate } from "../../stack/application/qkd/parameter-estimation.ts";
import type { LinkEvent } from "../../stack/link/link-event.ts";
import type { NodeEvent } from "../../stack/node.ts";
import { qberOf, visibilityOf } from "../../stack/physical/visibility.ts";
import type { Estimate, LinkState } from "../live-state.ts";
import type { StationChannels } from "./link-channels.ts";

const keysShownMax = 50;
/** Rates of sifted and secret bits are means over this long. */
const rateSpanMs = 10_000;

/** A key as one end reported it; both ends' reports of one key share its id. */
interface KeyReport {
  readonly keyId: string;
  readonly fingerprint: string;
  readonly bits: number;
  readonly at: string;
  readonly ends: Set<string>;
  isIdentical: boolean;
}

/** Gives the loss of the way to each end. */
export const lossOf = (
  metrics: Extract<LinkEvent, { kind: "metrics" }>["metrics"] | null,
): LinkState["lossDb"] => ({
  // In metrics, local is the matcher: the link's second end.
  first: metrics?.remoteLossDb ?? null,
  second: metrics?.localLossDb ?? null,
});

/** Counts of something over the last seconds. */
class RecentCount {
  readonly #steps: { readonly atMs: number; readonly count: number }[] = [];
  #startMs: number | null = null;

  add(atMs: number, count: number): void {
    this.#startMs ??= atMs;
    this.#steps.push({ atMs, count });
  }

  rateHz(nowMs: number): number | null {
    if (this.#startMs === null) return null;
    const fromMs = Math.max(this.#startMs, nowMs - rateSpanMs);
    while ((this.#steps[0]?.atMs ?? nowMs) < fromMs) this.#steps.shift();
    const spanS = (nowMs - fromMs) / 1e3;
    return spanS < 0.5 ? null : this.#steps.reduce((sum, { count }) => sum + count, 0) / spanS;
  }
}

/** Keeps what one link shows of itself, from the events of the ends that run here. */
export class LiveLink {
  /** The clock, the figures and the lag that were last known, for the summary of a link that has come down. */
  lastClock: { readonly offsetPs: bigint; readonly driftPpb: number } | null = null;
  lastMetrics: Extract<LinkEvent, { kind: "metrics" }>["metrics"] | null = null;
  lastLagMs: LinkState["lagMs"] = null;
  readonly #link: StationLink;
  readonly #clock: Clock;
  readonly #ends: readonly string[];
  readonly #sifted = new RecentCount();
  readonly #secret = new RecentCount();
  readonly #keys = new Map<string, KeyReport>();
  #channel: LinkState["channel"];
  #clockState: LinkState["clock"];
  #metrics: Extract<LinkEvent, { kind: "metrics" }> | null = null;
  #pairs = 0;
  #pairsBefore = 0;
  #secretBits = 0;
  /** Test bits and errors by basis, since the start. */
  #disclosed = { z: { errors: 0, trials: 0 }, x: { errors: 0, trials: 0 } };
  #latestQber: { readonly z: ErrorRate; readonly x: ErrorRate; readonly all: ErrorRate } | null =
    null;

  constructor(
    link: StationLink,
    options: {
      readonly clock: Clock;
      readonly channels: StationChannels;
      /** The ends that run here. */
      readonly ends: readonly string[];
    },
  ) {
    this.#link = link;
    this.#clock = options.clock;
    this.#ends = options.ends;
    this.#channel = { state: "connecting", since: this.#now(), reason: null };
    this.#clockState = this.#unlocked("searching");
    options.channels
      .at(link.name, options.ends[0] ?? "")
      .state$.subscribe(({ state, since, reason }) => {
        this.#channel = { state, since, reason: reason ?? null };
      });
  }

  get name(): string {
    return this.#link.name;
  }

  /** True once a key was delivered and every key is the same at all ends that run here; false when one differs. */
  get keysIdentical(): boolean {
    const settled = [...this.#keys.values()].filter(({ ends }) => ends.size === this.#ends.length);
    return settled.length > 0 && [...this.#keys.values()].every(({ isIdentical }) => isIdentical);
  }

  get keys(): readonly KeyReport[] {
    return [...this.#keys.values()];
  }

  take(node: string, event: NodeEvent): void {
    if (event.kind === "link") this.#takeLink(node, event.event);
    else if (event.kind === "key") this.#takeKey(node, event.event);
    else if (event.kind === "pairs" && node === this.#ends[0]) {
      this.#pairs = this.#pairsBefore + Number(event.records.firstSequence) + event.records.count;
    }
  }

  state(): LinkState {
    const nowMs = this.#clock.monotonicMs();
    const metrics = this.#metrics?.metrics;
    return {
      name: this.#link.name,
      ends: this.#link.ends,
      channel: this.#channel,
      clock: this.#clockState,
      pairs: this.#pairs,
      coincidenceRateHz: metrics?.coincidenceRateHz ?? null,
      accidentalRateHz: metrics?.accidentalRateHz ?? null,
      car: metrics?.car ?? null,
      jitterPsFwhm: metrics?.jitterPsFwhm ?? null,
      lossDb: lossOf(metrics ?? null),
      histogram: metrics?.histogram ?? null,
      visibility: { z: this.#visibility("z"), x: this.#visibility("x") },
      qber: this.qber(),
      siftedRateHz: this.#sifted.rateHz(nowMs),
      secretRateHz: this.#secret.rateHz(nowMs),
      secretBits: this.#secretBits,
      keys: this.keys.slice(-keysShownMax).map(({ ends, isIdentical, ...key }) => ({
        ...key,
        identical: isIdentical && ends.size === this.#ends.length,
      })),
      lagMs: this.#metrics?.lagMs ?? null,
    };
  }

  /** Error rate over all test bits since the start. */
  qberSinceStart(): Estimate | null {
    const { z, x } = this.#disclosed;
    const [errors, trials] = [z.errors + x.errors, z.trials + x.trials];
    return qberOf({ expected: trials - errors, erroneous: errors });
  }

  /** Error rate over all test bits of the latest block. */
  qber(): Estimate | null {
    const all = this.#latestQber?.all;
    return all === undefined ? null : { value: all.value, uncertainty: all.uncertainty };
  }

  /** Visibility over all test bits since the start. */
  visibilitySinceStart(basis: "z" | "x"): Estimate | null {
    const { errors, trials } = this.#disclosed[basis];
    return visibilityOf({ expected: trials - errors, erroneous: errors });
  }

  #visibility(basis: "z" | "x"): Estimate | null {
    const rate = this.#latestQber?.[basis];
    return rate === undefined
      ? null
      : visibilityOf({ expected: rate.trials - rate.errors, erroneous: rate.errors });
  }

  #takeLink(node: string, event: LinkEvent): void {
    // Both ends tell the same story; the first that runs here is listened to.
    if (node !== this.#ends[0]) return;
    const since = this.#now();
    if (event.kind === "up") this.#pairsBefore = this.#pairs;
    if (event.kind === "searching") this.#clockState = this.#unlocked("searching");
    if (event.kind === "lost" || event.kind === "down") {
      this.#clockState = this.#unlocked("lost");
      this.#metrics = null;
    }
    if (event.kind !== "locked" && event.kind !== "metrics") return;
    const { offsetPs, driftPpb, uncertaintyPs } = event.clock;
    const isNew = this.#clockState.state !== "locked";
    this.#clockState = {
      ...{ state: "locked", since: isNew ? since : this.#clockState.since },
      ...{ offsetPs: offsetPs.toString(), driftPpb, uncertaintyPs },
    };
    this.lastClock = event.clock;
    if (event.kind !== "metrics") return;
    this.#metrics = event;
    this.lastMetrics = event.metrics;
    this.lastLagMs = event.lagMs ?? this.lastLagMs;
  }

  #takeKey(node: string, event: KeyEvent): void {
    const isFirst = node === this.#ends[0];
    const nowMs = this.#clock.monotonicMs();
    if (event.type === "sifted" && isFirst) this.#sifted.add(nowMs, event.bits);
    if (event.type === "estimate" && isFirst) {
      const { z, x, overall } = event.qber;
      this.#latestQber = { z, x, all: overall };
      for (const [basis, rate] of [["z", z] as const, ["x", x] as const]) {
        this.#disclosed[basis].errors += rate.errors;
        this.#disclosed[basis].trials += rate.trials;
      }
    }
    if (event.type === "revoked") this.#keys.delete(event.keyId);
    if (event.type === "key") this.#takeNewKey(node, event, nowMs);
  }

  #takeNewKey(node: string, key: Extract<KeyEvent, { type: "key" }>, nowMs: number): void {
    const { keyId, fingerprint, bits } = key;
    const known = this.#keys.get(keyId);
    if (known === undefined) {
      const ends = new Set([node]);
      const at = this.#now();
      this.#keys.set(keyId, { keyId, fingerprint, bits, at, ends, isIdentical: true });
    } else {
      known.ends.add(node);
      known.isIdentical &&= known.fingerprint === fingerprint && known.bits === bits;
    }
    if (this.#keys.get(keyId)?.ends.size !== this.#ends.length) return;
    this.#secretBits += bits;
    this.#secret.add(nowMs, bits);
  }

  #unlocked(state: "searching" | "lost"): LinkState["clock"] {
    const since = this.#now();
    return { state, since, offsetPs: null, driftPpb: null, uncertaintyPs: null };
  }

  #now(): string {
    return new Date(Number(this.#clock.utcPs() / 1_000_000_000n)).toISOString();
  }
}
