/** Decoding of records to tags: PicoQuant T2 and TDC1 words. */
import {
  encodeHydraHarpT2,
  encodeTdc1,
  fourChannels,
  type Records,
  readEtaRecording,
  twoHotChannels,
} from "../data-sets.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { decodeHydraHarpT2, decodeTdc1Words } from "../peers/javascript/decoding.ts";
import { blockTags, type Contestant, digestStart, digestTags, type Race } from "../race.ts";
import { TagBench, timed } from "../tag-bench.ts";

const tagsPerRecordMax = 4;

type BlockDecoder = (from: number, to: number) => number;

/** One decoder of one language: what it decodes a block to, and where it puts it. */
interface Decoder {
  /** Forgets everything and gives a decoder of blocks of records. */
  start(): BlockDecoder;
  readonly times: Float64Array | BigInt64Array;
  readonly channels: Uint8Array;
}

function contestantOf(
  { clock }: Laboratory,
  records: number,
  peer: string | null,
  decoder: Decoder,
): Contestant {
  const eachBlock = (receive: (tags: number) => void): void => {
    const decode = decoder.start();
    for (let from = 0; from < records; from += blockTags) {
      receive(decode(from, Math.min(from + blockTags, records)));
    }
  };
  return {
    peer,
    lap: () => {
      let tags = 0;
      const add = (count: number): void => {
        tags += count;
      };
      return timed(
        clock.monotonicMs,
        () => eachBlock(add),
        () => `${tags}`,
      );
    },
    check: () => {
      let tags = 0;
      let digest = digestStart;
      eachBlock((count) => {
        tags += count;
        digest = digestTags(digest, decoder.times, decoder.channels, count);
      });
      return `${tags} ${digest >>> 0}`;
    },
  };
}

function wasmDecoder(
  { records, resolutionPs }: Records,
  kernel: "decodeHydraHarpT2" | "decodeTdc1Words",
): Decoder {
  const capacity = tagsPerRecordMax * blockTags;
  const bench = new TagBench({
    slots: 1,
    scratchBytes: records.byteLength + 16 * capacity + 2 ** 16,
  });
  const at = bench.loadRecords(records);
  const [state, times, channels] = [bench.room(64), bench.room(8 * capacity), bench.room(capacity)];
  const view = new DataView(bench.buffer, state, 64);
  return {
    start: () => {
      for (let byte = 0; byte < 64; byte += 8) view.setBigInt64(byte, 0n);
      if (kernel === "decodeHydraHarpT2") {
        view.setBigInt64(8, BigInt(resolutionPs), true);
        view.setBigInt64(16, 2n ** 25n, true);
        view.setUint32(24, 1, true);
      }
      const decode = bench.kernels[kernel];
      return (from, to) => decode(state, at + 4 * from, to - from, times, channels, capacity);
    },
    times: new BigInt64Array(bench.buffer, times, capacity),
    channels: new Uint8Array(bench.buffer, channels, capacity),
  };
}

function javascriptDecoder(
  { records }: Records,
  decode: typeof decodeHydraHarpT2 | typeof decodeTdc1Words,
): Decoder {
  const times = new Float64Array(tagsPerRecordMax * blockTags);
  const channels = new Uint8Array(tagsPerRecordMax * blockTags);
  const start = (): BlockDecoder => {
    const state = { ticks: 0, previous: -1 };
    return (from, to) => decode(state, records, { from, to }, { times, channels });
  };
  return { start, times, channels };
}

async function decodingRace(
  laboratory: Laboratory,
  name: string,
  records: Records,
  format: "t2" | "tdc1",
): Promise<Race> {
  const kernel = format === "t2" ? "decodeHydraHarpT2" : "decodeTdc1Words";
  const loop = format === "t2" ? decodeHydraHarpT2 : decodeTdc1Words;
  const count = records.records.length;
  const { cpp } = laboratory;
  const contestants = [
    contestantOf(laboratory, count, null, wasmDecoder(records, kernel)),
    contestantOf(laboratory, count, "javascript", javascriptDecoder(records, loop)),
  ];
  if (cpp !== null) {
    await cpp.load(name, records.records);
    const lap = (...options: string[]) =>
      cpp.lap(`decode-${format}`, name, records.resolutionPs, ...options);
    contestants.push({
      peer: "c++",
      lap: () => lap(),
      check: async () => (await lap("check")).result,
    });
  }
  const { tags } = records;
  return { name, unit: "Mtags/s", target: 600, dataSet: records.name, work: tags, contestants };
}

/** The decoders' figures. */
export const decodingFigures: readonly Figure[] = [
  {
    name: "decode/t2",
    about: "PicoQuant HydraHarp T2 records to tags",
    prepare: (laboratory) => {
      const records = encodeHydraHarpT2({ ...twoHotChannels, tags: 2 ** 23 });
      return decodingRace(laboratory, "decode/t2", records, "t2");
    },
  },
  {
    name: "decode/t2-recording",
    about: "the same on a real recording, one overflow record in sixteen",
    prepare: (laboratory) => {
      const recording = readEtaRecording(laboratory.dataFolder);
      if (recording === null) return null;
      return decodingRace(laboratory, "decode/t2-recording", recording.records, "t2");
    },
  },
  {
    name: "decode/tdc1",
    about: "S-Fifteen TDC1 words to tags",
    prepare: (laboratory) =>
      decodingRace(laboratory, "decode/tdc1", encodeTdc1(fourChannels), "tdc1"),
  },
];
