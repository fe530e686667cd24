import { map, type Observable, Subject, throttleTime } from "rxjs";
import type { Clock } from "../../hal/clock.ts";
import type { NodeEvent } from "../../stack/node.ts";
import type { Estimate, LinkState, LiveState } from "../live-state.ts";
import type { DarkCountRate } from "./dark-counts.ts";
import { LiveLink, lossOf } from "./live-link.ts";
import { LiveNode } from "./live-node.ts";
import type { RunSession } from "./station-session.ts";

/** The last event of a run, for scripts. */
export interface RunSummary {
  readonly event: "summary";
  readonly station: string;
  readonly seconds: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly tags: number;
    readonly lostTags: number | null;
    readonly losses: LiveState["nodes"][number]["losses"];
  }[];
  readonly links: readonly {
    readonly name: string;
    readonly pairs: number;
    /** Over all disclosed test bits; null without any. */
    readonly qber: number | null;
    readonly qberUncertainty: number | null;
    /** Mean of both bases. */
    readonly visibility: number | null;
    readonly visibilityZ: Estimate | null;
    readonly visibilityX: Estimate | null;
    readonly clockOffsetPs: string | null;
    readonly clockDriftPpb: number | null;
    readonly coincidenceRateHz: number | null;
    readonly car: number | null;
    readonly lossDb: LinkState["lossDb"];
    readonly secretBits: number;
    readonly keys: number;
    readonly keysIdentical: boolean;
    readonly lagMs: LinkState["lagMs"];
  }[];
  readonly lostTags: number | null;
}

/** Folds the events of a session into one live state. */
export class LiveStation {
  readonly #session: RunSession;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #startedAt: string;
  readonly #nodes: ReadonlyMap<string, LiveNode>;
  readonly #links: ReadonlyMap<string, LiveLink>;
  readonly #changed = new Subject<void>();

  constructor(session: RunSession, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#startedAt = this.#now();
    const { channels } = session;
    const here = session.nodes.map(({ settings }) => settings.name);
    this.#nodes = new Map(
      session.nodes.map((each) => [each.settings.name, new LiveNode(each, clock)]),
    );
    this.#links = new Map(
      [...session.station.links.values()]
        .map((link) => ({ link, ends: link.ends.filter((end) => here.includes(end)) }))
        .filter(({ ends }) => ends.length > 0)
        .map(({ link, ends }) => [link.name, new LiveLink(link, { clock, channels, ends })]),
    );
  }

  /** The live state, at most `timesPerS` times a second, while events come. */
  state$(timesPerS: number): Observable<LiveState> {
    return this.#changed.pipe(
      throttleTime(1000 / timesPerS, undefined, { leading: true, trailing: true }),
      map(() => this.state()),
    );
  }

  link(name: string): LiveLink | undefined {
    return this.#links.get(name);
  }

  take(event: NodeEvent & { readonly node: string }): void {
    this.#nodes.get(event.node)?.take(event);
    if ("link" in event) this.#links.get(event.link)?.take(event.node, event);
    this.#changed.next();
  }

  setDarkCounts(rates: readonly DarkCountRate[]): void {
    for (const [name, node] of this.#nodes) {
      node.setDarkCounts(rates.filter((rate) => rate.node === name));
    }
    this.#changed.next();
  }

  state(): LiveState {
    return {
      station: this.#session.station.name,
      startedAt: this.#startedAt,
      at: this.#now(),
      nodes: [...this.#nodes.values()].map((node) => node.state()),
      links: [...this.#links.values()].map((link) => link.state()),
    };
  }

  summary(): RunSummary {
    const nodes = [...this.#nodes].map(([name, node]) => {
      const { lostTags, losses } = node.state();
      return { name, tags: node.tags, lostTags, losses };
    });
    const lost = nodes.map(({ lostTags }) => lostTags);
    return {
      event: "summary",
      station: this.#session.station.name,
      seconds: (this.#clock.monotonicMs() - this.#startedMs) / 1e3,
      nodes,
      links: [...this.#links.values()].map(linkSummary),
      lostTags: lost.reduce<number | null>(
        (sum, next) => (sum === null || next === null ? null : sum + next),
        0,
      ),
    };
  }

  #now(): string {
    return new Date(Number(this.#clock.utcPs() / 1_000_000_000n)).toISOString();
  }
}

function linkSummary(link: LiveLink): RunSummary["links"][number] {
  const state = link.state();
  const visibilityZ = link.visibilitySinceStart("z");
  const visibilityX = link.visibilitySinceStart("x");
  const qber = link.qberSinceStart();
  const visibilities = [visibilityZ, visibilityX].flatMap((each) => each?.value ?? []);
  return {
    name: link.name,
    pairs: state.pairs,
    qber: qber?.value ?? null,
    qberUncertainty: qber?.uncertainty ?? null,
    visibility:
      visibilities.length === 0
        ? null
        : visibilities.reduce((sum, next) => sum + next, 0) / visibilities.length,
    ...{ visibilityZ, visibilityX },
    clockOffsetPs: link.lastClock?.offsetPs.toString() ?? null,
    clockDriftPpb: link.lastClock?.driftPpb ?? null,
    coincidenceRateHz: link.lastMetrics?.coincidenceRateHz.value ?? null,
    car: link.lastMetrics?.car?.value ?? null,
    lossDb: lossOf(link.lastMetrics),
    secretBits: state.secretBits,
    keys: link.keys.length,
    keysIdentical: link.keysIdentical,
    lagMs: link.lastLagMs,
  };
}
