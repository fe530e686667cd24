/**
 * Finds the clock of one end in terms of the other's, blind, from a few seconds of both ends' times.
 *
 * Coarse: both lists are binned; the remote one is first stretched by one of a few trial drifts, so that a
 * coincidence peak smears over half a bin at most; the cross-correlation of all lags is taken by one
 * forward and one inverse FFT (both real signals in one complex transform). With rates Ra, Rb, Rc, time T
 * and bin b, the peak of Rc T stands over a noise of sqrt(Ra Rb T b): Ho, Lamas-Linares, Kurtsiefer, New J.
 * Phys. 11, 045011 (2009). Rates change while light is switched on or tags are lost, so means are taken off and noise is
 * reckoned in chunks of a few milliseconds. A peak counts when chance makes one so high anywhere, in all lags and drifts
 * tried, with no more than the stated probability (significance.ts). Fine: see line-search.ts.
 */
import type { ClockModel } from "./clock-model.ts";
import { KernelSpace } from "./kernel-space.ts";
import { refineLine } from "./line-search.ts";
import { excessNats, thresholdNats } from "./significance.ts";

/** Both ends' times over about the same stretch of real time; plain data that crosses threads. */
export interface ClockSearchRequest {
  readonly localTimes: BigInt64Array;
  readonly remoteTimes: BigInt64Array;
  /** The stretches observed, each in its own stream's time. */
  readonly localFromPs: bigint;
  readonly localToPs: bigint;
  readonly remoteFromPs: bigint;
  readonly remoteToPs: bigint;
  /** Local minus remote stream time that the ends' UTC labels predict; the search looks around it. */
  readonly labelOffsetPs: bigint;
  readonly offsetPsMax: bigint;
  readonly driftPpbMax: number;
  /** Of a wrong lock in one search of uncorrelated streams. */
  readonly falseAlarmProbability: number;
  /** The coarser of the two taggers' ticks: the peak is not narrower. */
  readonly tickPs: number;
}

/** What a search found. `residualPsRms` is the peak's width, ticks included. */
export type ClockSearchResult =
  | {
      readonly found: true;
      readonly model: ClockModel;
      readonly residualPsRms: number;
      /** Coincidences in the peak, chance taken off, over the remote stretch. */
      readonly coincidenceRateHz: number;
      readonly significanceNats: number;
      readonly thresholdNats: number;
    }
  | { readonly found: false; readonly significanceNats: number; readonly thresholdNats: number };

interface Grid {
  readonly points: number;
  readonly binPs: number;
  readonly driftRatios: readonly number[];
  readonly driftStepRatio: number;
  readonly spanLocal: number;
  readonly spanRemote: number;
  readonly lagFrom: number;
  readonly lagTo: number;
}

interface Peak {
  readonly nats: number;
  readonly lagBins: number;
  readonly widthBins: number;
  readonly driftRatio: number;
  /** Pairs above chance. */
  readonly excess: number;
  /** Where in the remote stretch both ends saw light: centre, and length of an even stretch of the same spread. */
  readonly lit: { readonly centrePs: number; readonly spanPs: number };
}

const pointsMax = 2 ** 23;
const pairsMax = 2 ** 21;
/** Pieces of both stretches in each of which rates are taken to be constant. */
const chunksMax = 2 ** 11;
/** Chance is never taken to give less than this part of the mean over all lags. */
const expectedPartMin = 0.1;
/** Lags whose windows overlap by less than this part of the shorter one are not looked at. */
const overlapPartMin = 0.2;

/** Runs one search; allocates up to about 250 MB for its duration. */
export function searchClock(request: ClockSearchRequest): ClockSearchResult {
  const grid = layGrid(request);
  const trials = 2 * Math.max(1, grid.lagTo - grid.lagFrom) * grid.driftRatios.length;
  // Half of the allowed probability for each of the two stages.
  const threshold = thresholdNats(trials, request.falseAlarmProbability / 2);
  if (request.localTimes.length < 2 || request.remoteTimes.length < 2) {
    return { found: false, significanceNats: 0, thresholdNats: threshold };
  }
  const peak = coarsePeak(request, grid);
  if (peak.nats < threshold) {
    return { found: false, significanceNats: peak.nats, thresholdNats: threshold };
  }
  const { lit, driftRatio } = peak;
  const referencePs = request.remoteFromPs + BigInt(Math.round(lit.centrePs));
  const sinceMiddlePs = lit.centrePs - Number(request.remoteToPs - request.remoteFromPs) / 2;
  const lagPs = (peak.lagBins + (peak.widthBins - 1) / 2) * grid.binPs + driftRatio * sinceMiddlePs;
  const offsetPs = request.localFromPs - request.remoteFromPs + BigInt(Math.round(lagPs));
  return refineLine(request, {
    ...{ offsetPs, referencePs, driftRatio },
    offsetErrorPs: 1.5 * grid.binPs,
    // Drifts that move the ends of the light by less than a bin cannot be told apart.
    driftErrorRatio: 1.5 * Math.max(grid.driftStepRatio, grid.binPs / lit.spanPs),
    ...{ spanPs: lit.spanPs, pairsMax, coarseNats: peak.nats, coarsePairs: peak.excess },
  });
}

function layGrid(request: ClockSearchRequest): Grid {
  const spanLocalPs = Number(request.localToPs - request.localFromPs);
  const spanRemotePs = Number(request.remoteToPs - request.remoteFromPs);
  const shorterPs = Math.max(1, Math.min(spanLocalPs, spanRemotePs));
  const longestPs = spanLocalPs + spanRemotePs;
  // Strong signals are found in the first second with few points; later, finer bins make them stand out.
  const aimPs = shorterPs < 1.5e12 ? 2e6 : 1e6;
  const wanted = 2 ** Math.ceil(Math.log2(longestPs / aimPs));
  const points = Math.min(pointsMax, Math.max(2 ** 12, wanted));
  const binPs = (longestPs * (1 + 1e-6)) / (points - 4);
  // Half a step of drift moves the ends of the shorter stretch by a quarter of a bin each.
  const driftStepRatio = binPs / shorterPs;
  const steps = Math.ceil((request.driftPpbMax * 1e-9) / driftStepRatio);
  const driftRatios = [0];
  for (let step = 1; step <= steps; step++)
    driftRatios.push(step * driftStepRatio, -step * driftStepRatio);
  const windowStartsPs = Number(
    request.labelOffsetPs - (request.localFromPs - request.remoteFromPs),
  );
  const offsetMaxPs = Number(request.offsetPsMax);
  const spanLocal = Math.ceil(spanLocalPs / binPs);
  const spanRemote = Math.ceil((spanRemotePs * (1 + 1e-5)) / binPs);
  return {
    ...{ points, binPs, driftRatios, driftStepRatio, spanLocal, spanRemote },
    lagFrom: Math.max(-spanRemote, Math.floor((windowStartsPs - offsetMaxPs) / binPs)),
    lagTo: Math.min(spanLocal, Math.ceil((windowStartsPs + offsetMaxPs) / binPs)),
  };
}

/** The best of all trial drifts: a strong signal shows at wrong ones too, smeared, so none ends the search. */
function coarsePeak(request: ClockSearchRequest, grid: Grid): Peak {
  const { points } = grid;
  const { localTimes, remoteTimes } = request;
  const bytes = 8 * (localTimes.length + remoteTimes.length) + 18 * points + 2 ** 17;
  const space = new KernelSpace(bytes);
  const column = (times: BigInt64Array): number => {
    const address = space.allocate(8 * times.length);
    space.int64(address, times.length).set(times);
    return address;
  };
  const [local, remote] = [column(localTimes), column(remoteTimes)];
  const array = (): number => space.allocate(4 * points);
  const [re, im, workRe, workIm] = [array(), array(), array(), array()];
  const [cosines, sines] = [space.allocate(points), space.allocate(points)];
  const result = space.allocate(6 * 8);
  const { binPs, spanLocal, spanRemote, lagFrom, lagTo } = grid;
  const chunkBins = Math.max(1, points / chunksMax);
  const localChunks = Math.ceil(spanLocal / chunkBins);
  const remoteChunks = Math.ceil(spanRemote / chunkBins);
  const localCounts = space.allocate(8 * localChunks);
  const remoteCounts = space.allocate(8 * remoteChunks);
  // One more than chancePairs writes: the last lag reads a neighbour with weight 0.
  const expected = space.allocate(8 * (localChunks + remoteChunks + 2));
  const { kernels } = space;
  kernels.fillTwiddles(points, cosines, sines, space.allocate(2 ** 14));
  const referencePs = (request.remoteFromPs + request.remoteToPs) / 2n;
  let best: Omit<Peak, "lit"> = { nats: 0, lagBins: 0, widthBins: 1, driftRatio: 0, excess: 0 };
  for (const driftRatio of grid.driftRatios) {
    const counted = [
      kernels.binTimes(
        ...([local, localTimes.length, request.localFromPs, request.localFromPs, 0] as const),
        ...([binPs, spanLocal, re, points, chunkBins, localCounts] as const),
      ),
      kernels.binTimes(
        ...([remote, remoteTimes.length, request.remoteFromPs, referencePs, driftRatio] as const),
        ...([binPs, spanRemote, im, points, chunkBins, remoteCounts] as const),
      ),
    ] as const;
    kernels.chancePairs(
      ...([localCounts, localChunks, remoteCounts, remoteChunks, chunkBins, expected] as const),
    );
    const meanExpected = (counted[0] * counted[1]) / (spanLocal + spanRemote);
    const flipped = kernels.transform(points, re, im, workRe, workIm, cosines, sines);
    const [a, b, c, d] = flipped === 0 ? [re, im, workRe, workIm] : [workRe, workIm, re, im];
    kernels.crossSpectrum(points, a, b);
    // The inverse is the forward transform with real and imaginary parts exchanged.
    const flippedBack = kernels.transform(points, b, a, d, c, cosines, sines);
    const correlation = flippedBack === 0 ? a : c;
    kernels.findPeak(
      ...([correlation, points, lagFrom, lagTo, spanLocal, spanRemote] as const),
      ...([Math.ceil(overlapPartMin * Math.min(spanLocal, spanRemote))] as const),
      ...([expected, chunkBins, remoteChunks, expectedPartMin * meanExpected] as const),
      result,
    );
    const peak = readPeak(space.float64(result, 6), driftRatio);
    if (peak.nats > best.nats) best = peak;
  }
  const lit = litPart(
    space.float64(localCounts, localChunks),
    space.float64(remoteCounts, remoteChunks),
    Math.round(best.lagBins / chunkBins),
  );
  const chunkPs = chunkBins * binPs;
  return {
    ...best,
    lit: { centrePs: lit.centre * chunkPs, spanPs: Math.max(1, lit.span) * chunkPs },
  };
}

/** Centre and spread of the chunks, in chunks of the remote stretch, weighted by the pairs that chance makes in each. */
function litPart(
  local: Float64Array,
  remote: Float64Array,
  lagChunks: number,
): { readonly centre: number; readonly span: number } {
  let [sum, first, second] = [0, 0, 0];
  for (let at = 0; at < remote.length; at++) {
    const weight = (remote[at] ?? 0) * (local[at + lagChunks] ?? 0);
    sum += weight;
    first += weight * (at + 0.5);
    second += weight * (at + 0.5) ** 2;
  }
  if (sum === 0) return { centre: remote.length / 2, span: remote.length };
  const centre = first / sum;
  return { centre, span: Math.sqrt(12 * Math.max(0, second / sum - centre ** 2)) };
}

/**
 * Reads a peak. Light that flickers faster than a chunk makes counts vary more than shot noise: the mean square over all
 * lags, which is 1 for shot noise, then divides the evidence.
 */
function readPeak(result: Float64Array, driftRatio: number): Omit<Peak, "lit"> {
  const [, lagBins = 0, widthBins = 1, excess = 0, expected = 1, meanSquare = 1] = result;
  const nats = excessNats(expected + excess, expected) / Math.max(1, meanSquare);
  return { nats, lagBins, widthBins, driftRatio, excess };
}
