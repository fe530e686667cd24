/** Makes measurements on blocks, one after the other, in whatever thread; analysis-worker.ts runs it in its own. */
import { ps } from "../units.ts";
import { ChannelColumns, columnsBytes } from "./channel-columns.ts";
import type { LossInterval } from "./loss-interval.ts";
import type {
  AnalysisReport,
  MeasurementResult,
  MeasurementSpec,
  RatesResult,
} from "./measurements.ts";
import { PairMeasurement, type PairSpec, pairNeeds } from "./pair-measurements.ts";
import type { TagKernels } from "./tag-kernels.ts";
import type { TagMemory } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

/** Losses that a report lists, the latest; the sum counts all. */
const lossesMax = 100;
const countersBytes = 1_024;

/** Where an analysis works: scratch of `analysisBytes`, zeroed. */
export interface AnalysisPlace {
  readonly address: number;
  /** Tags of one channel that are kept for measurements that look back or ahead. */
  readonly historyTagsMax: number;
}

const isPairSpec = (spec: MeasurementSpec): spec is PairSpec => spec.kind !== "rates";

const pairChannels = (specs: readonly MeasurementSpec[]): number[] => [
  ...new Set(specs.filter(isPairSpec).flatMap((spec) => pairNeeds(spec).channels)),
];

const alignUp = (bytes: number): number => Math.ceil(bytes / 128) * 128;

/** Scratch that the specs take. @throws RangeError for a spec that makes no sense. */
export function analysisBytes(
  specs: readonly MeasurementSpec[],
  tagsPerBlock: number,
  historyTagsMax: number,
): number {
  const counters = specs.filter(isPairSpec).map((spec) => alignUp(pairNeeds(spec).bytes));
  const columns = columnsBytes(pairChannels(specs).length, tagsPerBlock + historyTagsMax);
  return countersBytes + alignUp(columns) + counters.reduce((sum, bytes) => sum + bytes, 0);
}

/** Covered time and what is missing in it. */
class Coverage {
  fromPs: bigint | null = null;
  toPs = 0n;
  coveredPs = 0n;
  lostPs = 0n;
  spansLoss = false;
  #lossEndPs = -(2n ** 62n);

  cover(fromPs: bigint, toPs: bigint): void {
    this.fromPs ??= fromPs;
    // A gap between blocks is time that nobody observed: it is not live, and figures span it.
    if (this.coveredPs > 0n && fromPs !== this.toPs) this.spansLoss = true;
    this.coveredPs += toPs - fromPs;
    this.toPs = toPs;
  }

  lose({ fromPs, toPs }: LossInterval): void {
    this.spansLoss = true;
    const startPs = fromPs > this.#lossEndPs ? fromPs : this.#lossEndPs;
    if (toPs <= startPs) return;
    this.lostPs += toPs - startPs;
    this.#lossEndPs = toPs;
  }

  get liveTimePs(): bigint {
    return this.coveredPs > this.lostPs ? this.coveredPs - this.lostPs : 0n;
  }

  /** Coverage that starts where this one ends. */
  next(): Coverage {
    const next = new Coverage();
    next.fromPs = this.fromPs === null ? null : this.toPs;
    next.toPs = this.toPs;
    next.#lossEndPs = this.#lossEndPs;
    return next;
  }
}

/** Measurements in progress. */
export class BlockAnalysis {
  readonly #memory: TagMemory;
  readonly #kernels: TagKernels;
  readonly #specs: readonly MeasurementSpec[];
  readonly #counters: Uint32Array;
  readonly #columns: ChannelColumns;
  readonly #pairs = new Map<MeasurementSpec, PairMeasurement>();
  readonly #channelLimit: number;
  readonly #counts = new Map<number, number>();
  #intervalCounts = new Map<number, number>();
  readonly #coverage = new Coverage();
  #interval = new Coverage();
  #losses: LossInterval[] = [];
  #lostTags: number | null = 0;
  #tags = 0;
  #segment: number | null = null;

  constructor(
    memory: TagMemory,
    kernels: TagKernels,
    specs: readonly MeasurementSpec[],
    place: AnalysisPlace & { readonly channelLimit: number },
  ) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#specs = specs;
    this.#channelLimit = place.channelLimit;
    const { buffer } = memory.memory;
    this.#counters = new Uint32Array(buffer, place.address, countersBytes / 4);
    const channels = pairChannels(specs);
    const tagsMax = memory.layout.tagsPerBlock + place.historyTagsMax;
    const columnsAddress = place.address + countersBytes;
    this.#columns = new ChannelColumns(
      kernels,
      memory.memory,
      { address: columnsAddress, tagsMax },
      channels,
    );
    let address = columnsAddress + alignUp(columnsBytes(channels.length, tagsMax));
    for (const spec of specs.filter(isPairSpec)) {
      this.#pairs.set(spec, new PairMeasurement(spec, kernels, this.#columns, { buffer, address }));
      address += alignUp(pairNeeds(spec).bytes);
    }
  }

  /** Measures one block. @throws LabError `tags.stale`, `tags.memory`. */
  take(block: TagBlockDescriptor): void {
    if (this.#segment !== null && block.segment !== this.#segment) this.#endSegment();
    this.#segment = block.segment;
    const times = this.#memory.times(block);
    const channels = this.#memory.channels(block);
    for (const loss of block.losses) this.lose(loss);
    this.#coverage.cover(block.fromPs, block.toPs);
    this.#interval.cover(block.fromPs, block.toPs);
    this.#tags += block.count;
    this.#countChannels(channels);
    this.#columns.split(times.byteOffset, channels.byteOffset, block.count);
    for (const pair of this.#pairs.values()) pair.advance(block.toPs);
    this.#forgetUnneeded();
  }

  /** Takes note of tags that are missing; `take` does so for those that its block tells. */
  lose(loss: LossInterval): void {
    this.#coverage.lose(loss);
    this.#interval.lose(loss);
    this.#losses.push(loss);
    if (this.#losses.length > lossesMax) this.#losses = this.#losses.slice(-lossesMax);
    this.#lostTags =
      this.#lostTags === null || loss.count === null ? null : this.#lostTags + loss.count;
  }

  /** Takes note of a block that this measurement was refused: that time is neither covered nor live. */
  miss(loss: LossInterval): void {
    this.#coverage.cover(loss.fromPs, loss.toPs);
    this.#interval.cover(loss.fromPs, loss.toPs);
    this.lose(loss);
  }

  /** Gives what has been measured, and starts a new interval. A final report evaluates all that waits. */
  report(isFinal: boolean): AnalysisReport {
    if (isFinal) for (const pair of this.#pairs.values()) pair.finish();
    const exposure = { counts: this.#counts, liveTimePs: this.#coverage.liveTimePs };
    const results = this.#specs.map((spec): MeasurementResult => {
      return this.#pairs.get(spec)?.result(exposure) ?? this.#rates();
    });
    const report: AnalysisReport = {
      ...{ isFinal, tags: this.#tags },
      fromPs: ps(this.#coverage.fromPs ?? 0n),
      toPs: ps(this.#coverage.toPs),
      liveTimePs: this.#coverage.liveTimePs,
      spansLoss: this.#coverage.spansLoss,
      ...{ losses: [...this.#losses], lostTags: this.#lostTags },
      interval: {
        fromPs: ps(this.#interval.fromPs ?? 0n),
        toPs: ps(this.#interval.toPs),
        liveTimePs: this.#interval.liveTimePs,
        spansLoss: this.#interval.spansLoss,
        counts: Object.fromEntries(this.#intervalCounts),
      },
      results,
    };
    this.#interval = this.#interval.next();
    this.#intervalCounts = new Map();
    return report;
  }

  #rates(): RatesResult {
    const liveTimeS = Number(this.#coverage.liveTimePs) / 1e12;
    const channels = [...this.#counts]
      .sort(([a], [b]) => a - b)
      .map(([channel, count]) => ({
        ...{ channel, count },
        rateHz:
          liveTimeS > 0
            ? { value: count / liveTimeS, uncertainty: Math.sqrt(count) / liveTimeS }
            : null,
      }));
    return { kind: "rates", channels };
  }

  #countChannels(channels: Uint8Array): void {
    this.#counters.fill(0);
    const counters = this.#counters.byteOffset;
    this.#kernels.countChannels(channels.byteOffset, channels.length, this.#channelLimit, counters);
    for (const [channel, count] of this.#counters.entries()) {
      if (count === 0) continue;
      this.#counts.set(channel, (this.#counts.get(channel) ?? 0) + count);
      this.#intervalCounts.set(channel, (this.#intervalCounts.get(channel) ?? 0) + count);
    }
  }

  /** Times of another segment do not compare with those of the last: no pair crosses. */
  #endSegment(): void {
    for (const pair of this.#pairs.values()) {
      pair.finish();
      pair.restart();
    }
    for (const column of this.#columns.all()) column.count = 0;
  }

  #forgetUnneeded(): void {
    for (const column of this.#columns.all()) {
      let unneeded = column.count;
      for (const pair of this.#pairs.values()) unneeded = Math.min(unneeded, pair.unneeded(column));
      this.#columns.drop(column, unneeded);
      for (const pair of this.#pairs.values()) pair.shift(column, unneeded);
    }
  }
}
