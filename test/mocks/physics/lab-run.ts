/** What the statistical tests of the mock lab share: labs, runs, estimates and the bound within which an estimate must lie. */
import { expect } from "vitest";
import { ps } from "../../../hal/units.ts";
import { type LabSettings, parseLabSettings } from "../../../mocks/physics/lab-settings.ts";
import { createPhotonLab } from "../../../mocks/physics/photon-lab.ts";

/**
 * Standard errors within which an estimate has to lie: two-sided, 5.7e-7 for a normal estimate, and 4e-7 at 5.5 for one whose error was
 * itself estimated from 100 parts (Student's t). Seeds are fixed, so the bound says how likely a right program fails for a new seed.
 */
export const sigmasMax = 5;
export const sigmasMaxOfParts = 5.5;

/** Expects an estimate with a known standard error at its true value. */
export function expectNear(observed: number, expected: number, standardError: number): void {
  expect(Math.abs(observed - expected) / standardError, `${observed} for ${expected}`).toBeLessThan(
    sigmasMax,
  );
}

/** Expects a count of independent events at its mean. */
export const expectCount = (observed: number, mean: number): void =>
  expectNear(observed, mean, Math.sqrt(mean));

/** Expects a share of `total` independent trials at its probability. */
export const expectShare = (observed: number, total: number, probability: number): void =>
  expectNear(observed / total, probability, Math.sqrt((probability * (1 - probability)) / total));

/** Expects the mean of about 100 independent parts at its true value. */
export function expectMean(parts: readonly number[], expected: number): void {
  const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
  const variance = parts.reduce((sum, part) => sum + (part - mean) ** 2, 0) / (parts.length - 1);
  const standardError = Math.sqrt(variance / parts.length);
  expect(Math.abs(mean - expected) / standardError, `${mean} for ${expected}`).toBeLessThan(
    sigmasMaxOfParts,
  );
}

type Detector = Record<string, unknown>;

/** Detectors that are perfect but for what is given. */
export const perfectDetectors = (bases: string, common: Detector = {}): Detector[] =>
  [...bases].flatMap((basis, place) =>
    [0, 1].map((outcome) => ({
      input: 2 * place + outcome + 1,
      basis,
      outcome,
      efficiency: 1,
      darkCountRateHz: 0,
      jitterPsFwhm: 0,
      deadTimePs: 0,
      ...common,
    })),
  );

/** A receiver without loss that measures z alone, but for what is given. */
export const perfectReceiver = (instrument: string, overrides: object = {}): object => ({
  instrument,
  basisProbabilityZ: 1,
  detectors: perfectDetectors("z"),
  ...overrides,
});

/** A lab of two perfect receivers, but for what is given. */
export function labOf(
  source: object,
  a: object = {},
  b: object = {},
  instruments: readonly [string, string] = ["a", "b"],
): LabSettings {
  return parseLabSettings({
    source: { emission: "continuous", ...source },
    receivers: {
      alice: perfectReceiver(instruments[0], a),
      bob: perfectReceiver(instruments[1], b),
    },
    instruments: { a: { model: "s-fifteen/tdc1" }, b: { model: "s-fifteen/tdc1" } },
  });
}

/** Clicks of a run: by receiver, then by 0-based input; times in ps from lab time 0. */
export interface Run {
  readonly durationPs: number;
  readonly clicks: readonly [Float64Array[], Float64Array[]];
  /** Clicks of a receiver, all inputs. */
  readonly all: readonly [Float64Array, Float64Array];
}

/** Lets a lab run. `slicesPs` gives the length of each slice, again and again. */
export function runLab(
  lab: LabSettings,
  options: {
    seed: number;
    durationS: number;
    slicesPs?: readonly number[];
    pumpCurrentMa?: number;
  },
): Run {
  const photons = createPhotonLab(lab, options.seed);
  photons.setPumpCurrent(options.pumpCurrentMa ?? lab.source.nominalCurrentMa);
  const slicesPs = options.slicesPs ?? [5e9];
  const durationPs = options.durationS * 1e12;
  const portions: { times: Float64Array; inputs: Uint8Array }[][] = [[], []];
  let nowPs = 0;
  for (let slice = 0; nowPs < durationPs; slice++) {
    nowPs = Math.min(durationPs, nowPs + (slicesPs[slice % slicesPs.length] ?? 5e9));
    photons.advance(ps(BigInt(nowPs)), (clicks) => {
      const times = doublesOf(clicks.timesPs);
      portions[clicks.receiver]?.push({ times, inputs: clicks.inputs.slice() });
    });
  }
  const all = portions.map((parts) => joined(parts.map(({ times }) => times)));
  const clicks = portions.map((parts) => byInput(parts));
  return {
    durationPs,
    clicks: [clicks[0] ?? [], clicks[1] ?? []],
    all: [all[0] ?? new Float64Array(), all[1] ?? new Float64Array()],
  };
}

/** Converts non-negative times below 2^53 exactly. */
export function doublesOf(times: BigInt64Array): Float64Array {
  const words = new Uint32Array(times.buffer, times.byteOffset, 2 * times.length);
  const doubles = new Float64Array(times.length);
  for (let i = 0; i < doubles.length; i++) {
    doubles[i] = (words[2 * i + 1] ?? 0) * 2 ** 32 + (words[2 * i] ?? 0);
  }
  return doubles;
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function byInput(parts: readonly { times: Float64Array; inputs: Uint8Array }[]): Float64Array[] {
  const counts = new Array<number>(8).fill(0);
  for (const { inputs } of parts)
    for (const input of inputs) counts[input] = (counts[input] ?? 0) + 1;
  const columns = counts.map((count) => new Float64Array(count));
  counts.fill(0);
  for (const { times, inputs } of parts) {
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i] ?? 0;
      const column = columns[input];
      const at = counts[input] ?? 0;
      if (column !== undefined) column[at] = times[i] ?? 0;
      counts[input] = at + 1;
    }
  }
  return columns;
}

/** Counts pairs with from <= t2 - t1 < to. */
export function countPairs(t1: Float64Array, t2: Float64Array, from: number, to: number): number {
  let count = 0;
  let low = 0;
  let high = 0;
  for (const time of t1) {
    while (low < t2.length && (t2[low] ?? 0) < time + from) low++;
    while (high < t2.length && (t2[high] ?? 0) < time + to) high++;
    count += high - low;
  }
  return count;
}

/** Differences of successive times. */
export const intervals = (times: Float64Array): Float64Array =>
  Float64Array.from(
    { length: Math.max(0, times.length - 1) },
    (_, i) => (times[i + 1] ?? 0) - (times[i] ?? 0),
  );

/** Counts in the cells of a duration. */
export function countsInCells(times: Float64Array, durationPs: number, cellPs: number): number[] {
  const counts = new Array<number>(Math.round(durationPs / cellPs)).fill(0);
  for (const time of times) {
    const cell = Math.floor(time / cellPs);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}

/** Cuts times into 100 parts of the duration. */
export function partsOf(times: Float64Array, durationPs: number): Float64Array[] {
  let from = 0;
  return countsInCells(times, durationPs, durationPs / 100).map((count) => {
    from += count;
    return times.subarray(from - count, from);
  });
}
