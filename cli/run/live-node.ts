import type { Clock } from "../../hal/clock.ts";
import type { Device } from "../../hal/device.ts";
import type { LossInterval } from "../../hal/tags/loss-interval.ts";
import type { AnalysisReport } from "../../hal/tags/measurements.ts";
import type { NodeEvent } from "../../stack/node.ts";
import type { Estimate, NodeState } from "../live-state.ts";
import type { DarkCountRate } from "./dark-counts.ts";
import type { SessionNode } from "./station-session.ts";

type DeviceLine = NodeState["devices"][number];

/** Rates are shown over the last second, reports come four times as often. */
const reportsShown = 4;
const lossesShownMax = 20;

/** Keeps what one node shows of itself. */
export class LiveNode {
  readonly #node: SessionNode;
  readonly #devices = new Map<string, DeviceLine>();
  readonly #reports = new Map<string, AnalysisReport[]>();
  readonly #clock: Clock;
  #isBroken = false;
  #darkRatesHz: ReadonlyMap<string, Estimate | null> = new Map();

  constructor(node: SessionNode, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
    for (const device of node.instruments.devices.values()) this.#watch(device);
  }

  setDarkCounts(rates: readonly DarkCountRate[]): void {
    this.#darkRatesHz = new Map(rates.map(({ detector, rateHz }) => [detector, rateHz]));
  }

  take(event: NodeEvent): void {
    if (event.kind === "tagger-ended" && event.error !== null) this.#isBroken = true;
    if (event.kind !== "rates") return;
    const kept = [...(this.#reports.get(event.tagger) ?? []), event.report];
    this.#reports.set(event.tagger, kept.slice(-reportsShown));
  }

  /** Sum of what is known to be lost; null when a part of it cannot be counted. */
  get lostTags(): number | null {
    // Whatever an instrument still held when it went away is gone, and nobody knows how much that was.
    if (this.#isBroken) return null;
    let sum = 0;
    for (const { lostTags } of this.#latest()) {
      if (lostTags === null) return null;
      sum += lostTags;
    }
    return sum;
  }

  get losses(): readonly LossInterval[] {
    return this.#latest().flatMap(({ losses }) => losses);
  }

  /** Tags seen since the start. */
  get tags(): number {
    return this.#latest().reduce((sum, { tags }) => sum + tags, 0);
  }

  state(): NodeState {
    const { settings } = this.#node;
    return {
      name: settings.name,
      devices: [...this.#devices.values()],
      detectors: [...settings.detectors.values()].map((detector) => ({
        name: detector.name,
        channel: detector.channel,
        basis: detector.basis,
        outcome: detector.outcome,
        singlesRateHz: this.#rateHz(detector.tagger, detector.channel),
        darkCountRateHz: this.#darkRatesHz.get(detector.name) ?? null,
      })),
      lostTags: this.lostTags,
      losses: this.losses.slice(-lossesShownMax).map(({ fromPs, toPs, count, cause }) => ({
        ...{ fromPs: fromPs.toString(), toPs: toPs.toString(), count, cause },
      })),
    };
  }

  #latest(): AnalysisReport[] {
    return [...this.#reports.values()].flatMap((reports) => reports.at(-1) ?? []);
  }

  #rateHz(tagger: string, channel: number): Estimate | null {
    let count = 0;
    let livePs = 0n;
    for (const { interval } of this.#reports.get(tagger) ?? []) {
      count += interval.counts[channel] ?? 0;
      livePs += interval.liveTimePs;
    }
    if (livePs <= 0n) return null;
    const liveS = Number(livePs) / 1e12;
    // One count is the least that a Poisson count can be uncertain by.
    return { value: count / liveS, uncertainty: Math.sqrt(Math.max(1, count)) / liveS };
  }

  #watch(device: Device): void {
    const { driver, role, name } = device;
    const port = this.#node.settings.devices.get(name)?.port ?? "";
    device.state$.subscribe((now) => {
      this.#devices.set(name, {
        ...{ name, driver, role, port, state: now.state, since: now.since },
        message: "error" in now ? now.error.message : null,
      });
    });
    if (this.#devices.has(name)) return;
    const since = new Date(Number(this.#clock.utcPs() / 1_000_000_000n)).toISOString();
    this.#devices.set(name, { name, driver, role, port, state: "opening", since, message: null });
  }
}
