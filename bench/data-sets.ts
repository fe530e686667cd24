/**
 * What the benchmarks measure on: seeded Poisson mixes of tags with correlated pairs in them, larger than
 * any cache, as columns and as the records of instruments; and a real recording where there is one.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "../hal/errors.ts";
import { seededWords } from "../mocks/seeded-random.ts";
import { basePs, blockTags } from "./race.ts";

/** Tags in two columns. */
export interface TagColumns {
  readonly name: string;
  /** Times from `basePs` on, ps, ascending: what plain JavaScript works on, exact below 2^53. */
  readonly relativePs: Float64Array;
  /** The same as 64-bit integers with `basePs` added: what kernels and C++ work on. */
  readonly timesPs: BigInt64Array;
  readonly channels: Uint8Array;
}

/** Records of an instrument, 32 bits each. */
export interface Records {
  readonly name: string;
  readonly records: Uint32Array;
  /** Tags that they hold. */
  readonly tags: number;
  /** Picoseconds of one unit of time. */
  readonly resolutionPs: number;
}

/** A mix of Poisson streams: `channels` inputs of equal rate, input k and k + channels / 2 sharing pairs. */
export interface TagMix {
  readonly name: string;
  readonly tags: number;
  readonly channels: number;
  /** Rate of each channel, pairs included. */
  readonly rateHz: number;
  /** Pairs per second of each pair of channels. */
  readonly pairRateHz: number;
  readonly seed: number;
}

/** How much later the second photon of a pair is detected: 4 m of fibre. */
export const pairDelayPs = 20_000;
/** Standard deviation of the difference of a pair's two times. */
const pairJitterPsRms = 100;

/** Two channels of 5 Mcps, one pair in five tags. */
export const twoHotChannels: TagMix = {
  ...{ name: "2 x 5 Mcps Poisson, 1 Mcps of pairs 20 ns apart", tags: 2 ** 22, channels: 2 },
  ...{ rateHz: 5e6, pairRateHz: 1e6, seed: 11 },
};
/** Eight channels of 1.25 Mcps, four pairs of channels that share a fifth of their tags. */
export const eightChannels: TagMix = {
  ...{ name: "8 x 1.25 Mcps Poisson, 4 x 0.25 Mcps of pairs 20 ns apart", tags: 2 ** 22 },
  ...{ channels: 8, rateHz: 1.25e6, pairRateHz: 0.25e6, seed: 12 },
};
/** Four channels of 1 Mcps, as a TDC1 at the edge of its connection. */
export const fourChannels: TagMix = {
  ...{ name: "4 x 1 Mcps Poisson, 2 x 0.2 Mcps of pairs 20 ns apart", tags: 2 ** 23 },
  ...{ channels: 4, rateHz: 1e6, pairRateHz: 0.2e6, seed: 13 },
};

/** Draws the tags of a mix; the same seed gives the same tags. */
export function drawTags(mix: TagMix): TagColumns {
  const { name, tags, channels, rateHz, pairRateHz, seed } = mix;
  const draw = seededWords(seed);
  const uniform = (): number => (draw() + 0.5) / 2 ** 32;
  const relativePs = new Float64Array(tags + 1);
  const column = new Uint8Array(tags + 1);
  const half = channels / 2;
  const singlesHz = channels * (rateHz - pairRateHz);
  const eventsHz = singlesHz + half * pairRateHz;
  let count = 0;
  // A pair's second photon comes a few tags out of turn.
  const insert = (timePs: number, channel: number): void => {
    let place = count++;
    for (; place > 0 && (relativePs[place - 1] as number) > timePs; place--) {
      relativePs[place] = relativePs[place - 1] as number;
      column[place] = column[place - 1] as number;
    }
    relativePs[place] = timePs;
    column[place] = channel;
  };
  for (let nowPs = pairDelayPs; count < tags; ) {
    nowPs += (-Math.log(uniform()) * 1e12) / eventsHz;
    const timePs = Math.floor(nowPs);
    if (uniform() * eventsHz < singlesHz) {
      insert(timePs, draw() % channels);
    } else {
      const channel = draw() % half;
      const normal = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      insert(timePs, channel);
      insert(timePs + pairDelayPs + Math.round(pairJitterPsRms * normal), channel + half);
    }
  }
  return asColumns(name, relativePs.subarray(0, tags), column.subarray(0, tags));
}

function asColumns(name: string, relativePs: Float64Array, channels: Uint8Array): TagColumns {
  const timesPs = new BigInt64Array(relativePs.length);
  for (let at = 0; at < timesPs.length; at++) {
    timesPs[at] = basePs + BigInt(relativePs[at] as number);
  }
  return { name, relativePs, timesPs, channels };
}

const wrapTicks = 2 ** 25;

/**
 * Writes tags as HydraHarp T2 records of version 2 at 1 ps (PicoQuant "Unified TTTR file format", V1.1.05): photons
 * and, where time wraps, overflow records with their number. Ends with a whole number of blocks.
 */
export function encodeHydraHarpT2(mix: TagMix): Records {
  const { relativePs, channels } = drawTags(mix);
  const records = new Uint32Array(Math.ceil(relativePs.length * 1.2));
  let wraps = 0;
  let at = 0;
  let tags = 0;
  const recordsMax = Math.floor(mix.tags / blockTags) * blockTags;
  for (; tags < relativePs.length && at + 2 <= recordsMax; tags++) {
    const ticks = relativePs[tags] as number;
    const wrap = Math.floor(ticks / wrapTicks);
    if (wrap > wraps) records[at++] = ((1 << 31) | (63 << 25) | (wrap - wraps)) >>> 0;
    wraps = wrap;
    records[at++] = (((channels[tags] as number) << 25) | (ticks % wrapTicks)) >>> 0;
  }
  return { name: `${mix.name}, as T2`, records: records.slice(0, at), tags, resolutionPs: 1 };
}

/**
 * Writes tags as TDC1 words (S-Fifteen "Timestamp_TDC1", qcrypto readevents4a.c): 27 bits of 2 ns, a bit for dummies, four for
 * inputs; tags of one tick share a word, and a dummy comes with every 2^26 ticks.
 */
export function encodeTdc1(mix: TagMix): Records {
  const { relativePs, channels } = drawTags(mix);
  const records = new Uint32Array(relativePs.length + 1024);
  let at = 0;
  let beat = 0;
  let previousTick = -1;
  for (let tag = 0; tag < relativePs.length; tag++) {
    const tick = Math.floor((relativePs[tag] as number) / 2000);
    const input = 1 << (channels[tag] as number);
    if (Math.floor(tick / 2 ** 26) > beat) {
      beat = Math.floor(tick / 2 ** 26);
      records[at++] = (((beat * 2 ** 26) % 2 ** 27) * 32 + 16) >>> 0;
      previousTick = -1;
    }
    if (tick === previousTick) {
      records[at - 1] = (records[at - 1] as number) | input;
    } else {
      records[at++] = ((tick % 2 ** 27) * 32 + input) >>> 0;
    }
    previousTick = tick;
  }
  const used = Math.floor(at / blockTags) * blockTags;
  return {
    ...{ name: `${mix.name}, as TDC1 words`, records: records.slice(0, used) },
    ...{ tags: countTdc1Tags(records.subarray(0, used)), resolutionPs: 2000 },
  };
}

function countTdc1Tags(words: Uint32Array): number {
  let tags = 0;
  for (const word of words) {
    if ((word & 16) === 0) {
      for (let pattern = word & 15; pattern !== 0; pattern &= pattern - 1) tags++;
    }
  }
  return tags;
}

const etaFile = "ETA/200204_HH400_T2_320MHz_HBT.timeres";
/** How often the recording of one second is played, one after the other, to outgrow the caches. */
const etaTurns = 11;

/** A real recording, or null where the folder of recordings is not known. */
export interface EtaRecording {
  readonly records: Records;
  readonly columns: TagColumns;
  /** Pairs of inputs 0 and 1 within [-160 ns, 160 ns): 24,928 + 24,663 a turn. */
  readonly pairs: number;
}

/**
 * Reads a HydraHarp 400 recording of antibunched light (github.com/timetag/ETA, example data): 384,019 photons in 1 s.
 * @throws LabError `file.format` when the file is not what it was.
 */
export function readEtaRecording(dataFolder: string | undefined): EtaRecording | null {
  const path = join(dataFolder ?? "", etaFile);
  if (dataFolder === undefined || !existsSync(path)) return null;
  const once = ptuRecords(readFileSync(path), path);
  const records = new Uint32Array(once.length * etaTurns);
  for (let turn = 0; turn < etaTurns; turn++) records.set(once, turn * once.length);
  const photons = once.reduce((sum, record) => sum + (record >>> 31 === 0 ? 1 : 0), 0);
  const name = "ETA HydraHarp T2 recording, 0.16 + 0.22 Mcps, 11 turns";
  return {
    records: { name, records, tags: photons * etaTurns, resolutionPs: 1 },
    columns: etaColumns(once, photons, name),
    pairs: (24_928 + 24_663) * etaTurns,
  };
}

function etaColumns(once: Uint32Array, photons: number, name: string): TagColumns {
  const relativePs = new Float64Array(photons * etaTurns);
  const channels = new Uint8Array(photons * etaTurns);
  let at = 0;
  for (let turn = 0; turn < etaTurns; turn++) {
    let wraps = 0;
    for (const record of once) {
      if (record >>> 31 === 1) {
        wraps += Math.max(1, record & (wrapTicks - 1));
      } else {
        relativePs[at] = turn * 1e12 + wraps * wrapTicks + (record & (wrapTicks - 1));
        channels[at++] = record >>> 25;
      }
    }
  }
  return asColumns(name, relativePs, channels);
}

/** Finds the records behind the header of a PTU file: tags of 48 bytes, some with text behind them, the last named Header_End. */
function ptuRecords(file: Buffer, path: string): Uint32Array {
  const textTypes = [0x4001ffff, 0x4002ffff, 0x2001ffff, 0xffffffff];
  for (let at = 16; at + 48 <= file.length; ) {
    const ident = file.toString("latin1", at, at + 32).replace(/\0.*$/, "");
    const isText = textTypes.includes(file.readUInt32LE(at + 36));
    const textBytes = isText ? Number(file.readBigInt64LE(at + 40)) : 0;
    at += 48 + textBytes;
    if (ident === "Header_End") {
      const used = at + Math.floor((file.length - at) / 4) * 4;
      return new Uint32Array(Uint8Array.from(file.subarray(at, used)).buffer);
    }
  }
  throw new LabError("file.format", `${path} has no end of a PTU header: fetch the recording anew`);
}
