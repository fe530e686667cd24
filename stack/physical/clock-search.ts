/**
 * Finds the clock of one end in terms of the other's, blind, from a few seconds of both ends' times.
 *
 * Coarse: both lists are binned; the remote one is first stretched by one of a few trial drifts, so that a
 * coincidence peak smears over half a bin at most; the cross-correlation of all lags is taken by one
 * forward and one inverse FFT (both real signals in one complex transform). With rates Ra, Rb, Rc, time T
 * and bin b, the peak of Rc T stands over a noise of sqrt(Ra Rb T b): Ho, Lamas-Linares, Kurtsiefer, New J.
 * Phys. 11, 045011 (2009). A peak counts when chance makes one so high anywhere, in all lags and drifts
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
}

const pointsMax = 2 ** 23;
const pairsMax = 2 ** 21;
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
  const lagPs = Math.round((peak.lagBins + (peak.widthBins - 1) / 2) * grid.binPs);
  const referencePs = (request.remoteFromPs + request.remoteToPs) / 2n;
  const offsetPs = request.localFromPs - request.remoteFromPs + BigInt(lagPs);
  return refineLine(request, {
    ...{ offsetPs, referencePs, driftRatio: peak.driftRatio },
    offsetErrorPs: 1.5 * grid.binPs,
    driftErrorRatio: 1.5 * grid.driftStepRatio,
    ...{ pairsMax, coarseNats: peak.nats, coarsePairs: peak.excess },
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
  const bytes = 8 * (localTimes.length + remoteTimes.length) + 18 * points + 2 ** 16;
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
  const { kernels } = space;
  kernels.fillTwiddles(points, cosines, sines, space.allocate(2 ** 14));
  const referencePs = (request.remoteFromPs + request.remoteToPs) / 2n;
  let best: Peak = { nats: 0, lagBins: 0, widthBins: 1, driftRatio: 0, excess: 0 };
  for (const driftRatio of grid.driftRatios) {
    const { binPs, spanLocal, spanRemote, lagFrom, lagTo } = grid;
    const counted = [
      kernels.binTimes(
        ...([local, localTimes.length, request.localFromPs, request.localFromPs, 0] as const),
        ...([binPs, spanLocal, re, points] as const),
      ),
      kernels.binTimes(
        ...([remote, remoteTimes.length, request.remoteFromPs, referencePs, driftRatio] as const),
        ...([binPs, spanRemote, im, points] as const),
      ),
    ] as const;
    const flipped = kernels.transform(points, re, im, workRe, workIm, cosines, sines);
    const [a, b, c, d] = flipped === 0 ? [re, im, workRe, workIm] : [workRe, workIm, re, im];
    kernels.crossSpectrum(points, a, b);
    // The inverse is the forward transform with real and imaginary parts exchanged.
    const flippedBack = kernels.transform(points, b, a, d, c, cosines, sines);
    const correlation = flippedBack === 0 ? a : c;
    const pairsPerOverlapBin = (counted[0] / spanLocal) * (counted[1] / spanRemote);
    kernels.findPeak(
      ...([correlation, points, lagFrom, lagTo, spanLocal, spanRemote] as const),
      ...([
        Math.ceil(overlapPartMin * Math.min(spanLocal, spanRemote)),
        pairsPerOverlapBin,
      ] as const),
      result,
    );
    const peak = readPeak(space.float64(result, 6), driftRatio);
    if (peak.nats > best.nats) best = peak;
  }
  return best;
}

/**
 * Reads a peak. Light that flickers makes counts vary more than shot noise: the mean square over all lags,
 * which is 1 for shot noise, then divides the evidence.
 */
function readPeak(result: Float64Array, driftRatio: number): Peak {
  const [, lagBins = 0, widthBins = 1, excess = 0, expected = 1, meanSquare = 1] = result;
  const nats = excessNats(expected + excess, expected) / Math.max(1, meanSquare);
  return { nats, lagBins, widthBins, driftRatio, excess };
}
