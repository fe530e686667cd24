/** Measurements on columns of tags: counter, one pair of channels, correlation histogram. */
import { exactReciprocal } from "../../hal/tags/tag-kernels.ts";
import {
  drawTags,
  eightChannels,
  pairDelayPs,
  readEtaRecording,
  type TagColumns,
  twoHotChannels,
} from "../data-sets.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import {
  binPairs,
  type CounterState,
  countChannelsInBins,
  countPairs,
  DenseColumns as JavascriptColumns,
} from "../peers/javascript/measuring.ts";
import { basePs, blockTags, type Contestant, digestCounts, type Race } from "../race.ts";
import { DenseColumns, type LoadedBlock, TagBench, timed } from "../tag-bench.ts";

const counterBinPs = 1e9;
const counterBinsMax = 512;
/** Pairs count within 1 ns, the second channel's delay taken off. */
const windowPs = 1000;

function tagBenchFor(columns: TagColumns): { bench: TagBench; blocks: LoadedBlock[] } {
  const slots = Math.ceil(columns.channels.length / blockTags);
  const bench = new TagBench({ slots, scratchBytes: 2 ** 25 });
  return { bench, blocks: bench.load(columns) };
}

/** Adds the C++ peer, where there is one, with its data. */
async function withCpp(
  { cpp }: Laboratory,
  contestants: readonly Contestant[],
  columns: TagColumns,
  [figure, ...figureArguments]: readonly [string, ...(number | bigint)[]],
): Promise<Contestant[]> {
  if (cpp === null) return [...contestants];
  const set = columns.name.replaceAll(" ", "-");
  await cpp.load(`${set}/times`, columns.timesPs);
  await cpp.load(`${set}/channels`, columns.channels);
  return [...contestants, { peer: "c++", lap: () => cpp.lap(figure, set, ...figureArguments) }];
}

async function ratesRace(laboratory: Laboratory, columns: TagColumns): Promise<Race> {
  const { clock } = laboratory;
  const { bench, blocks } = tagBenchFor(columns);
  const channelLimit = 8;
  const [state, counts] = [bench.room(16), bench.room(1024 * counterBinsMax)];
  const view = new DataView(bench.buffer, state, 16);
  const wasmCounts = new Uint32Array(bench.buffer, counts, 256 * counterBinsMax);
  const countWasm = (): void => {
    wasmCounts.fill(0);
    view.setBigInt64(0, basePs + BigInt(counterBinPs), true);
    view.setUint32(8, 0, true);
    for (const { times, channels, count } of blocks) {
      bench.kernels.countChannelsInBins(
        ...([state, times, channels, count, BigInt(counterBinPs), channelLimit] as const),
        ...([counts, counterBinsMax] as const),
      );
    }
  };
  const javascriptCounts = new Uint32Array(256 * counterBinsMax);
  const javascriptState: CounterState = { edgePs: 0, bin: 0 };
  const countJavascript = (): void => {
    javascriptCounts.fill(0);
    javascriptState.edgePs = counterBinPs;
    javascriptState.bin = 0;
    const { relativePs: times, channels } = columns;
    for (let from = 0; from < times.length; from += blockTags) {
      const range = { from, to: Math.min(from + blockTags, times.length) };
      const tags = { times, channels };
      countChannelsInBins(javascriptState, tags, range, counterBinPs, javascriptCounts);
    }
  };
  const used = 256 * (Math.floor((columns.relativePs.at(-1) ?? 0) / counterBinPs) + 1);
  const digest = (all: Uint32Array) => `${digestCounts(all.subarray(0, used))}`;
  const contestants: Contestant[] = [
    { peer: null, lap: () => timed(clock.monotonicMs, countWasm, () => digest(wasmCounts)) },
    {
      peer: "javascript",
      lap: () => timed(clock.monotonicMs, countJavascript, () => digest(javascriptCounts)),
    },
  ];
  const cppArguments = [
    "rates",
    counterBinPs,
    basePs + BigInt(counterBinPs),
    channelLimit,
  ] as const;
  return {
    ...{ name: "rates", unit: "Mtags/s", target: 2000 },
    ...{ dataSet: `${columns.name}, bins of 1 ms`, work: columns.channels.length },
    contestants: await withCpp(laboratory, contestants, columns, cppArguments),
  };
}

/** Runs blocks through dense columns and a measurement, in WebAssembly. */
function runWasm(blocks: readonly LoadedBlock[], dense: DenseColumns, measure: () => void): void {
  dense.clear();
  for (const block of blocks) {
    dense.take(block);
    measure();
    dense.carry();
  }
  dense.finish();
  measure();
}

/** The same in plain JavaScript. */
function runJavascript(columns: TagColumns, dense: JavascriptColumns, measure: () => void): void {
  const { relativePs, channels } = columns;
  dense.clear();
  for (let from = 0; from < relativePs.length; from += blockTags) {
    dense.take(relativePs, channels, from, Math.min(from + blockTags, relativePs.length));
    measure();
    dense.carry();
  }
  dense.settle(Number.POSITIVE_INFINITY);
  measure();
}

async function pairsRace(laboratory: Laboratory, columns: TagColumns): Promise<Race> {
  const { clock } = laboratory;
  const { bench, blocks } = tagBenchFor(columns);
  const [lowPs, highPs] = [pairDelayPs - windowPs / 2, pairDelayPs + windowPs / 2];
  const reachPs = highPs;
  const dense = new DenseColumns(bench, 2, BigInt(reachPs));
  const javascriptDense = new JavascriptColumns(2, blockTags, reachPs);
  let pairs = 0;
  const bounds = [BigInt(lowPs), BigInt(highPs)] as const;
  const measureWasm = (): void => {
    const [starts, stops] = [dense.starts(0), dense.stops(1)];
    const { address, count } = starts;
    const counted = bench.kernels.countPairs(address, count, stops.address, stops.count, ...bounds);
    pairs += Number(counted);
  };
  const measureJavascript = (): void => {
    const [starts, stops] = [javascriptDense.starts(0), javascriptDense.stops(1)];
    pairs += countPairs(javascriptDense.dense, starts, stops, lowPs, highPs);
  };
  const contestant = (peer: string | null, run: () => void): Contestant => ({
    peer,
    lap: () => {
      pairs = 0;
      return timed(clock.monotonicMs, run, () => `${pairs}`);
    },
  });
  const contestants = [
    contestant(null, () => runWasm(blocks, dense, measureWasm)),
    contestant("javascript", () => runJavascript(columns, javascriptDense, measureJavascript)),
  ];
  return {
    ...{ name: "coincidences", unit: "Mtags/s", target: 150 },
    ...{ dataSet: `${columns.name}, window 1 ns`, work: columns.channels.length },
    contestants: await withCpp(laboratory, contestants, columns, ["pairs", reachPs, lowPs, highPs]),
  };
}

interface HistogramWindow {
  readonly lowPs: number;
  readonly spanPs: number;
  readonly binPs: number;
}

async function histogramRace(
  laboratory: Laboratory,
  name: string,
  columns: TagColumns,
  window: HistogramWindow,
): Promise<Race> {
  const { clock } = laboratory;
  const { bench, blocks } = tagBenchFor(columns);
  const { lowPs, spanPs, binPs } = window;
  const reachPs = Math.max(-lowPs, lowPs + spanPs);
  const dense = new DenseColumns(bench, 2, BigInt(reachPs));
  const javascriptDense = new JavascriptColumns(2, blockTags, reachPs);
  const { magic, shift } = exactReciprocal(BigInt(binPs), BigInt(spanPs));
  const binCount = Math.ceil(spanPs / binPs);
  const binsAt = bench.room(8 * binCount);
  const wasmBins = new BigUint64Array(bench.buffer, binsAt, binCount);
  const javascriptBins = new Uint32Array(binCount);
  const shape = [BigInt(lowPs), BigInt(spanPs), BigInt(binPs), magic, shift, binsAt] as const;
  const measureWasm = (): void => {
    const [starts, stops] = [dense.starts(0), dense.stops(1)];
    const { address, count } = starts;
    bench.kernels.binPairs(address, count, stops.address, stops.count, ...shape);
  };
  const measureJavascript = (): void => {
    const [starts, stops] = [javascriptDense.starts(0), javascriptDense.stops(1)];
    binPairs(javascriptDense.dense, starts, stops, window, javascriptBins);
  };
  const runAll = (): void => {
    wasmBins.fill(0n);
    runWasm(blocks, dense, measureWasm);
  };
  const runAllJavascript = (): void => {
    javascriptBins.fill(0);
    runJavascript(columns, javascriptDense, measureJavascript);
  };
  const contestants: Contestant[] = [
    { peer: null, lap: () => timed(clock.monotonicMs, runAll, () => `${digestCounts(wasmBins)}`) },
    {
      peer: "javascript",
      lap: () =>
        timed(clock.monotonicMs, runAllJavascript, () => `${digestCounts(javascriptBins)}`),
    },
  ];
  const cppArguments = ["histogram", reachPs, lowPs, spanPs, binPs, magic, shift] as const;
  return {
    ...{ name, unit: "Mtags/s", target: 100, work: columns.channels.length },
    dataSet: `${columns.name}, ${binCount} bins of ${binPs} ps`,
    contestants: await withCpp(laboratory, contestants, columns, cppArguments),
  };
}

/** The measurements' figures. */
export const measuringFigures: readonly Figure[] = [
  {
    name: "rates",
    about: "tags by channel in bins of time",
    prepare: (laboratory) => ratesRace(laboratory, drawTags(eightChannels)),
  },
  {
    name: "coincidences",
    about: "coincidences of two hot channels, one of them delayed",
    prepare: (laboratory) => pairsRace(laboratory, drawTags(twoHotChannels)),
  },
  {
    name: "histogram",
    about: "all differences of two channels within 100 ns, in bins",
    prepare: (laboratory) =>
      histogramRace(laboratory, "histogram", drawTags(twoHotChannels), {
        ...{ lowPs: -100_000, spanPs: 200_000, binPs: 100 },
      }),
  },
  {
    name: "histogram/recording",
    about: "the same on a real recording, within 160 ns",
    prepare: (laboratory) => {
      const recording = readEtaRecording(laboratory.dataFolder);
      if (recording === null) return null;
      return histogramRace(laboratory, "histogram/recording", recording.columns, {
        ...{ lowPs: -160_000, spanPs: 320_000, binPs: 16 },
      });
    },
  },
];
