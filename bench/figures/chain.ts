/** The whole way of a tagger's records on one core: decode, count by channel, split once, four pairs, one histogram. */
import { exactReciprocal } from "../../hal/tags/tag-kernels.ts";
import { eightChannels, encodeHydraHarpT2, pairDelayPs, type Records } from "../data-sets.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { decodeHydraHarpT2 } from "../peers/javascript/decoding.ts";
import {
  binPairs,
  countChannelsInBins,
  countPairs,
  DenseColumns as JavascriptColumns,
} from "../peers/javascript/measuring.ts";
import { blockTags, type Contestant, digestCounts, type Race } from "../race.ts";
import { channelsMax, DenseColumns, TagBench, timed } from "../tag-bench.ts";

const counterBinPs = 1e9;
const counterBinsMax = 512;
const [pairLowPs, pairHighPs] = [pairDelayPs - 500, pairDelayPs + 500];
const window = { lowPs: -100_000, spanPs: 200_000, binPs: 100 };
const reachPs = 100_000;
const starts = [0, 1, 2, 3];

/** What a lap came to, in the order in which the C++ peer writes it. */
function resultOf(
  tags: number,
  counts: Uint32Array,
  bins: number,
  pairs: readonly number[],
  histogram: ArrayLike<number | bigint>,
): string {
  const counted = digestCounts(counts.subarray(0, 256 * bins));
  return [tags, counted, ...pairs, digestCounts(histogram)].join(" ");
}

function wasmChain({ clock }: Laboratory, { records }: Records): Contestant {
  const bench = new TagBench({ slots: 1, scratchBytes: records.byteLength + 2 ** 25 });
  const { kernels, buffer } = bench;
  const recordsAt = bench.loadRecords(records);
  const capacity = 4 * blockTags;
  const [state, times, channels] = [bench.room(64), bench.room(8 * capacity), bench.room(capacity)];
  const [counterState, counts] = [bench.room(16), bench.room(1024 * counterBinsMax)];
  const binCount = window.spanPs / window.binPs;
  const binsAt = bench.room(8 * binCount);
  const dense = new DenseColumns(bench, channelsMax, BigInt(reachPs));
  const view = new DataView(buffer);
  const countsView = new Uint32Array(buffer, counts, 256 * counterBinsMax);
  const binsView = new BigUint64Array(buffer, binsAt, binCount);
  const { magic, shift } = exactReciprocal(BigInt(window.binPs), BigInt(window.spanPs));
  const [low, span, binPs] = [window.lowPs, window.spanPs, window.binPs].map(BigInt) as bigint[];
  const shape = [low as bigint, span as bigint, binPs as bigint, magic, shift, binsAt] as const;
  const bounds = [BigInt(pairLowPs), BigInt(pairHighPs)] as const;
  const [counterBin, limits] = [
    BigInt(counterBinPs),
    [channelsMax, counts, counterBinsMax] as const,
  ];
  const pairs = [0, 0, 0, 0];
  let tags = 0;

  const reset = (): void => {
    tags = 0;
    pairs.fill(0);
    dense.clear();
    countsView.fill(0);
    binsView.fill(0n);
    new Uint8Array(buffer, state, 64).fill(0);
    view.setBigInt64(state + 8, 1n, true);
    view.setBigInt64(state + 16, 2n ** 25n, true);
    view.setUint32(state + 24, 1, true);
    view.setBigInt64(counterState, counterBin, true);
    view.setUint32(counterState + 8, 0, true);
  };
  const measure = (): void => {
    for (const start of starts) {
      const [a, b] = [dense.starts(start), dense.stops(start + 4)];
      const counted = kernels.countPairs(a.address, a.count, b.address, b.count, ...bounds);
      pairs[start] = (pairs[start] as number) + Number(counted);
    }
    const [a, b] = [dense.starts(0), dense.stops(4)];
    kernels.binPairs(a.address, a.count, b.address, b.count, ...shape);
  };
  const run = (): void => {
    reset();
    for (let from = 0; from < records.length; from += blockTags) {
      const records32 = Math.min(blockTags, records.length - from);
      const at = recordsAt + 4 * from;
      const count = kernels.decodeHydraHarpT2(state, at, records32, times, channels, capacity);
      tags += count;
      kernels.countChannelsInBins(counterState, times, channels, count, counterBin, ...limits);
      const lastPs = view.getBigInt64(times + 8 * (count - 1), true);
      dense.take({ times, channels, count, lastPs });
      measure();
      dense.carry();
    }
    dense.finish();
    measure();
  };
  const result = (): string =>
    resultOf(tags, countsView, view.getUint32(counterState + 8, true) + 1, pairs, binsView);
  return { peer: null, lap: () => timed(clock.monotonicMs, run, result) };
}

function javascriptChain({ clock }: Laboratory, { records }: Records): Contestant {
  const times = new Float64Array(4 * blockTags);
  const channels = new Uint8Array(4 * blockTags);
  const counts = new Uint32Array(256 * counterBinsMax);
  const bins = new Uint32Array(window.spanPs / window.binPs);
  const dense = new JavascriptColumns(channelsMax, blockTags, reachPs);
  const pairs = [0, 0, 0, 0];
  const counter = { edgePs: 0, bin: 0 };
  let tags = 0;
  const measure = (): void => {
    for (const start of starts) {
      const [a, b] = [dense.starts(start), dense.stops(start + 4)];
      pairs[start] =
        (pairs[start] as number) + countPairs(dense.dense, a, b, pairLowPs, pairHighPs);
    }
    binPairs(dense.dense, dense.starts(0), dense.stops(4), window, bins);
  };
  const run = (): void => {
    tags = 0;
    pairs.fill(0);
    dense.clear();
    counts.fill(0);
    bins.fill(0);
    counter.edgePs = counterBinPs;
    counter.bin = 0;
    const state = { ticks: 0 };
    for (let from = 0; from < records.length; from += blockTags) {
      const range = { from, to: Math.min(from + blockTags, records.length) };
      const count = decodeHydraHarpT2(state, records, range, { times, channels });
      tags += count;
      const tagRange = { from: 0, to: count };
      countChannelsInBins(counter, { times, channels }, tagRange, counterBinPs, counts);
      dense.take(times, channels, 0, count);
      measure();
      dense.carry();
    }
    dense.settle(Number.POSITIVE_INFINITY);
    measure();
  };
  const result = (): string => resultOf(tags, counts, counter.bin + 1, pairs, bins);
  return { peer: "javascript", lap: () => timed(clock.monotonicMs, run, result) };
}

async function chainRace(laboratory: Laboratory): Promise<Race> {
  const records = encodeHydraHarpT2(eightChannels);
  const contestants = [wasmChain(laboratory, records), javascriptChain(laboratory, records)];
  const { cpp } = laboratory;
  if (cpp !== null) {
    await cpp.load("chain", records.records);
    const { magic, shift } = exactReciprocal(BigInt(window.binPs), BigInt(window.spanPs));
    const { lowPs, spanPs, binPs } = window;
    const shape = [lowPs, spanPs, binPs, magic, shift];
    const setting = [counterBinPs, reachPs, pairLowPs, pairHighPs, ...shape];
    contestants.push({ peer: "c++", lap: () => cpp.lap("chain", "chain", ...setting) });
  }
  return {
    ...{ name: "chain", unit: "Mtags/s", target: null, ratioTarget: 0.7, work: records.tags },
    ...{ dataSet: `${records.name}: counter of 1 ms, 4 windows of 1 ns, 2000 bins of 100 ps` },
    contestants,
  };
}

/** The chain's figure. */
export const chainFigures: readonly Figure[] = [
  {
    name: "chain",
    about: "decode, count, split once, four pairs, one histogram",
    prepare: chainRace,
  },
];
