/** The blind search for the other end's clock: its correlation at all lags, and the whole of it. */

import { seededWords } from "../../mocks/seeded-random.ts";
import { type ClockSearchRequest, searchClock } from "../../stack/physical/clock-search.ts";
import { KernelSpace } from "../../stack/physical/kernel-space.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { searchLag, searchRoom } from "../peers/javascript/search.ts";
import type { Contestant, Race } from "../race.ts";
import { timed } from "../tag-bench.ts";

const points = 2 ** 22;
/** Both ends of the default station, roughly: singles, the part of them that are pairs, ticks of the tagger. */
const rateHz = 127_000;
const pairPart = 0.5;
const tickPs = 2000;
const offsetPs = 351_000_000_000;
const driftPpb = -750;

/** Two ends' times in [0, spanPs) of each one's own clock; the local one is ahead by the offset. */
function twoEnds(spanPs: number): { local: Float64Array; remote: Float64Array } {
  const draw = seededWords(31);
  const uniform = (): number => (draw() + 0.5) / 2 ** 32;
  const [local, remote]: [number[], number[]] = [[], []];
  const eventsHz = rateHz * (2 - pairPart);
  const toTick = (timePs: number): number => Math.floor(timePs / tickPs) * tickPs;
  for (let nowPs = -offsetPs; nowPs < spanPs; ) {
    nowPs += (-Math.log(uniform()) * 1e12) / eventsHz;
    const kind = uniform() * (2 - pairPart);
    const localPs = toTick(nowPs + offsetPs + driftPpb * 1e-9 * nowPs);
    if (kind < 1 && localPs < spanPs) local.push(localPs);
    if ((kind < pairPart || kind >= 1) && nowPs >= 0 && nowPs < spanPs) remote.push(toTick(nowPs));
  }
  return { local: Float64Array.from(local), remote: Float64Array.from(remote) };
}

const integers = (times: Float64Array): BigInt64Array => BigInt64Array.from(times, BigInt);

async function correlationRace({ clock, cpp }: Laboratory): Promise<Race> {
  const spanPs = 2e12;
  const span = points / 2 - 2;
  const binPs = (spanPs * (1 + 1e-6)) / span;
  const { local, remote } = twoEnds(spanPs);
  const [localTimes, remoteTimes] = [integers(local), integers(remote)];
  const room = searchRoom(points);
  const correlate = wasmCorrelation(localTimes, remoteTimes, { binPs, span });
  let lag = 0;
  const contestant = (peer: string | null, search: () => number): Contestant => {
    const run = (): void => {
      lag = search();
    };
    return { peer, lap: () => timed(clock.monotonicMs, run, () => `${lag}`) };
  };
  const contestants = [
    contestant(null, correlate),
    contestant("javascript", () => searchLag(local, remote, { binPs, span }, room)),
  ];
  if (cpp !== null) {
    await cpp.load("search/local", localTimes);
    await cpp.load("search/remote", remoteTimes);
    contestants.push({ peer: "c++", lap: () => cpp.lap("search", points, binPs, span) });
  }
  return {
    ...{ name: "search/clock-offset", unit: "s", target: 0.2, work: 1, contestants },
    dataSet: `2 s of 2 x ${rateHz / 1000} kcps, half of them pairs, ticks of 2 ns; 2^22 bins, one trial drift`,
  };
}

/** The steps of stack/physical/clock-search.ts for one trial drift; gives the lag of the peak. */
function wasmCorrelation(
  local: BigInt64Array,
  remote: BigInt64Array,
  { binPs, span }: { readonly binPs: number; readonly span: number },
): () => number {
  const space = new KernelSpace(8 * (local.length + remote.length) + 18 * points + 2 ** 17);
  const { kernels } = space;
  const [localAt, remoteAt] = [local, remote].map((times) => {
    const address = space.allocate(8 * times.length);
    space.int64(address, times.length).set(times);
    return address;
  }) as [number, number];
  const array = (): number => space.allocate(4 * points);
  const [re, im, workRe, workIm] = [array(), array(), array(), array()];
  const [cosines, sines] = [space.allocate(points), space.allocate(points)];
  const [fine, result] = [space.allocate(2 ** 14), space.allocate(48)];
  const chunkBins = points / 2 ** 11;
  const chunks = Math.ceil(span / chunkBins);
  const [localCounts, remoteCounts] = [space.allocate(8 * chunks), space.allocate(8 * chunks)];
  const expected = space.allocate(8 * (2 * chunks + 2));
  const bins = [binPs, span] as const;
  return () => {
    kernels.fillTwiddles(points, cosines, sines, fine);
    const [toRe, toIm] = [
      [re, points, chunkBins, localCounts],
      [im, points, chunkBins, remoteCounts],
    ] as const;
    kernels.binTimes(localAt, local.length, 0n, 0n, 0, ...bins, ...toRe);
    kernels.binTimes(remoteAt, remote.length, 0n, 0n, 0, ...bins, ...toIm);
    kernels.chancePairs(localCounts, chunks, remoteCounts, chunks, chunkBins, expected);
    const flipped = kernels.transform(points, re, im, workRe, workIm, cosines, sines);
    const [r, i, toR, toI] = flipped === 0 ? [re, im, workRe, workIm] : [workRe, workIm, re, im];
    kernels.crossSpectrum(points, r, i);
    const flippedBack = kernels.transform(points, i, r, toI, toR, cosines, sines);
    const correlation = flippedBack === 0 ? r : toR;
    const overlapMin = Math.ceil(0.2 * span);
    const range = [-span, span, span, span, overlapMin] as const;
    const chance = [expected, chunkBins, chunks, 0] as const;
    kernels.findPeak(correlation, points, ...range, ...chance, result);
    return space.float64(result, 2)[1] ?? Number.NaN;
  };
}

function acquisitionRace({ clock }: Laboratory): Race {
  const spanPs = 1e12;
  const { local, remote } = twoEnds(spanPs);
  const request: ClockSearchRequest = {
    ...{ localTimes: integers(local), remoteTimes: integers(remote), tickPs },
    ...{ localFromPs: 0n, localToPs: BigInt(spanPs), remoteFromPs: 0n, remoteToPs: BigInt(spanPs) },
    ...{ labelOffsetPs: 0n, offsetPsMax: 1_000_000_000_000n, driftPpbMax: 2000 },
    falseAlarmProbability: 1e-9,
  };
  let found = "";
  const run = (): void => {
    const search = searchClock(request);
    found = search.found ? offsetErrorOf(search.model) : "nothing found";
  };
  const lap = () => timed(clock.monotonicMs, run, () => found);
  return {
    ...{ name: "search/acquisition", unit: "s", target: null, work: 1 },
    dataSet: `1 s of 2 x ${rateHz / 1000} kcps, half of them pairs, ticks of 2 ns; +-1 s, +-2 ppm`,
    contestants: [{ peer: null, lap }],
    expected: "right",
  };
}

/** Says whether a model is within 1 ns and 20 ppb of the clocks that the data set has. */
function offsetErrorOf(model: {
  readonly referencePs: bigint;
  readonly offsetPs: bigint;
  readonly driftPpb: number;
}): string {
  const trueOffsetPs = offsetPs + driftPpb * 1e-9 * Number(model.referencePs);
  const errorPs = Number(model.offsetPs) - trueOffsetPs;
  const isRight = Math.abs(errorPs) < 1000 && Math.abs(model.driftPpb - driftPpb) < 20;
  return isRight ? "right" : `${errorPs} ps and ${model.driftPpb} ppb`;
}

/** The search's figures. */
export const searchFigures: readonly Figure[] = [
  {
    name: "search/clock-offset",
    about: "correlation of two ends at all lags of 2^22 bins",
    prepare: correlationRace,
  },
  {
    name: "search/acquisition",
    about: "the whole blind search of the default station's first second",
    prepare: acquisitionRace,
  },
];
