/** What can be measured on a tag stream, and what comes out. Channels are 0-based inputs; windows are full widths. */
import type { Ps } from "../units.ts";
import type { LossInterval } from "./loss-interval.ts";

/** Delays by channel, added to that channel's times. */
export type ChannelDelays = Readonly<Record<number, bigint>>;

/** Counts and rates of all channels. */
export interface RatesSpec {
  readonly kind: "rates";
}

/** All differences stop - start in [-rangePs, rangePs), in bins of `binPs`; start-multistop. */
export interface HistogramSpec {
  readonly kind: "histogram";
  readonly start: number;
  readonly stop: number;
  readonly binPs: bigint;
  readonly rangePs: bigint;
  readonly delaysPs?: ChannelDelays;
}

/**
 * Pairs of two channels with -floor(w/2) <= t2 - t1 < ceil(w/2), w = `windowPs`, delays added; all pairs.
 * Accidentals come from as many windows displaced by multiples of `spacingPs` to both sides.
 */
export interface CoincidencesSpec {
  readonly kind: "coincidences";
  readonly channels: readonly [number, number];
  readonly windowPs: bigint;
  readonly delaysPs?: ChannelDelays;
  /** Even, at least 20; 20 by default. */
  readonly displacements?: number;
  /** 10 windows by default; for pulsed light give a multiple of the period. */
  readonly spacingPs?: bigint;
}

/** Finds at which delay two channels are correlated, within +-rangePs. */
export interface DelaySpec {
  readonly kind: "delay";
  readonly start: number;
  readonly stop: number;
  readonly rangePs: bigint;
}

/** A measurement to make. */
export type MeasurementSpec = RatesSpec | HistogramSpec | CoincidencesSpec | DelaySpec;

/** A figure with its standard uncertainty (k = 1). */
export interface Figure {
  readonly value: number;
  readonly uncertainty: number;
}

/** Rates since the start of the measurement. */
export interface RatesResult {
  readonly kind: "rates";
  readonly channels: readonly {
    readonly channel: number;
    readonly count: number;
    /** Count over live time, with the Poisson uncertainty; null without live time. */
    readonly rateHz: Figure | null;
  }[];
}

/** All time differences of two channels, binned. */
export interface HistogramResult {
  readonly kind: "histogram";
  readonly start: number;
  readonly stop: number;
  readonly binPs: bigint;
  /** Lower edge of the first bin. */
  readonly fromPs: bigint;
  readonly counts: Float64Array;
  readonly pairs: number;
  /** Pairs in a full bin if the channels were uncorrelated, S1 * S2 * bin / T: dividing by it gives g2. */
  readonly uncorrelatedPerBin: number;
}

/** Coincidences of two channels, and how many of them are expected by accident. */
export interface CoincidencesResult {
  readonly kind: "coincidences";
  readonly channels: readonly [number, number];
  readonly windowPs: bigint;
  readonly coincidences: number;
  /** Mean of the displaced windows and the standard error of that mean. */
  readonly accidentals: Figure;
  /** Counts of the displaced windows, from the most negative displacement on. */
  readonly displacedCounts: readonly number[];
  readonly spacingPs: bigint;
  /** S1 * S2 * w / T, the cross-check of `accidentals` for light without structure. */
  readonly uncorrelated: number;
  /** Coincidences over accidentals; null without accidentals. */
  readonly car: Figure | null;
  readonly coincidenceRateHz: Figure | null;
  readonly accidentalRateHz: Figure | null;
}

/** Where two channels are correlated most significantly. */
export interface DelayResult {
  readonly kind: "delay";
  readonly start: number;
  readonly stop: number;
  readonly pairs: number;
  /** null when there are no pairs. */
  readonly found: {
    /** To be added to the stop channel's times, so that the correlated pairs coincide. */
    readonly delayPs: Figure;
    /** Width of the window in which the peak stands out most. */
    readonly windowPs: bigint;
    /** Pairs in that window, and those expected there without correlation. */
    readonly pairs: number;
    readonly background: number;
    /** Standard deviations of a Gaussian that are as unlikely, for this one window. */
    readonly significance: number;
    /** Bound on the chance that uncorrelated light shows such a peak in any window looked at. */
    readonly falseAlarmProbability: number;
  } | null;
}

/** What a measurement gave; of the kind of its spec. */
export type MeasurementResult = RatesResult | HistogramResult | CoincidencesResult | DelayResult;

/** What has been measured so far: one result for each spec, in their order. */
export interface AnalysisReport {
  /** True for the last report, when the stream has completed. */
  readonly isFinal: boolean;
  readonly tags: number;
  /** The measurement covers [fromPs, toPs), offsets from the stream's epoch. */
  readonly fromPs: Ps;
  readonly toPs: Ps;
  /** Covered time less losses, ps; rates are counts over this. */
  readonly liveTimePs: bigint;
  /** True when tags are missing within: figures span a loss. */
  readonly spansLoss: boolean;
  /** The latest losses, of the stream and of this measurement's quota. */
  readonly losses: readonly LossInterval[];
  /** Sum of all losses; null when one cannot be counted. */
  readonly lostTags: number | null;
  /** The same since the report before, for live display. */
  readonly interval: {
    readonly fromPs: Ps;
    readonly toPs: Ps;
    readonly liveTimePs: bigint;
    readonly spansLoss: boolean;
    /** Tags by channel. */
    readonly counts: Readonly<Record<number, number>>;
  };
  readonly results: readonly MeasurementResult[];
}
