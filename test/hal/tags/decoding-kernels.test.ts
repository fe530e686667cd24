import { describe, expect, it } from "vitest";
import type { RandomSource } from "../../../hal/random.ts";
import type { RecordDecoder } from "../../../hal/tags/tag-kernels.ts";
import { createKernelHarness, irregularSplits, testRandom } from "./kernel-harness.ts";

/** A pattern of inputs: mostly one, sometimes several. */
function drawPattern(random: RandomSource): number {
  const one = 1 << random.below(4);
  return random.uniform() < 0.2 ? one | random.below(16) : one;
}

const swapWords = (event: bigint): bigint => ((event >> 32n) | (event << 32n)) & (2n ** 64n - 1n);
const bitsOf = (mask: number): number[] => [0, 1, 2, 3].filter((bit) => (mask >> bit) & 1);

interface Tags {
  readonly times: bigint[];
  readonly channels: number[];
}

function expectPattern(expected: Tags, timePs: bigint, pattern: number): void {
  for (const bit of bitsOf(pattern)) {
    expected.times.push(timePs);
    expected.channels.push(bit);
  }
}

const count = 20_011;
const harness = createKernelHarness(4 * count);
const { kernels, view } = harness;
const records = harness.room(8 * count);
const state = harness.room(64);

/** Decodes all records in irregular stretches and capacities, as a stream does. */
function decodeInStretches(
  decode: RecordDecoder,
  recordBytes: number,
  consumedOffset: number,
  seed: number,
): Tags {
  let tags = 0;
  for (const [from, length] of irregularSplits(count, 1500, seed)) {
    let done = 0;
    while (done < length) {
      const capacity = 8 + ((from + done) % 700);
      const at = records + recordBytes * (from + done);
      const room = [harness.times + 8 * tags, harness.channels + tags, capacity] as const;
      const decoded = decode(state, at, length - done, ...room);
      expect(decoded).toBeLessThanOrEqual(capacity);
      tags += decoded;
      const consumed = view.getUint32(state + consumedOffset, true);
      expect(consumed).toBeGreaterThan(0);
      done += consumed;
    }
  }
  return { times: harness.timesOf(tags), channels: harness.channelsOf(tags) };
}

function setT2State(ticks: bigint, resolutionPs: bigint, wrapTicks: bigint, version: 1 | 2): void {
  view.setBigInt64(state, ticks, true);
  view.setBigInt64(state + 8, resolutionPs, true);
  view.setBigInt64(state + 16, wrapTicks, true);
  view.setUint32(state + 24, version - 1, true);
  for (let at = 28; at < 40; at += 4) view.setUint32(state + at, 0, true);
}

/** The channels that a HydraHarp record, no overflow, stands for. */
function channelsOfRecord(word: number): number[] {
  const channel = (word >>> 25) & 63;
  if (word >>> 31 === 0) return [channel];
  if (channel === 0) return [64];
  return channel < 16 ? bitsOf(channel).map((bit) => 65 + bit) : [];
}

function hydraHarpReference(words: number[], ticks: bigint, resolutionPs: bigint, version: 1 | 2) {
  const wrapTicks = version === 1 ? 33_552_000n : 33_554_432n;
  const tags: Tags = { times: [], channels: [] };
  let wrapped = ticks;
  const push = (time: bigint, channel: number): void => {
    tags.times.push((wrapped + time) * resolutionPs);
    tags.channels.push(channel);
  };
  for (const word of words) {
    const time = BigInt(word & 0x1ffffff);
    const channel = (word >>> 25) & 63;
    if (word >>> 31 === 1 && channel === 63) {
      wrapped += wrapTicks * (version === 2 && time > 0n ? time : 1n);
    } else for (const out of channelsOfRecord(word)) push(time, out);
  }
  return tags;
}

describe("decoding PicoQuant T2", () => {
  const cases = [
    { version: 1, specials: 0.02, resolutionPs: 1n },
    { version: 2, specials: 0.02, resolutionPs: 1n },
    { version: 2, specials: 0.4, resolutionPs: 250n },
    { version: 2, specials: 0.001, resolutionPs: 4n },
  ] as const;
  it.each(cases)(
    "equals the reference: version $version, $specials special, $resolutionPs ps",
    (given) => {
      const random = testRandom(Math.round(1e4 * given.specials) + given.version);
      const words = Array.from({ length: count }, () => {
        const time = random.below(2 ** 25);
        const draw = random.uniform();
        if (draw < given.specials / 2) return ((63 << 25) | 0x80000000 | random.below(4)) >>> 0;
        const channel = random.below(draw < given.specials ? 20 : 63);
        return (((draw < given.specials ? 1 : 0) << 31) | (channel << 25) | time) >>> 0;
      });
      words.forEach((word, index) => {
        view.setUint32(records + 4 * index, word, true);
      });
      const wrapTicks = given.version === 1 ? 33_552_000n : 33_554_432n;
      const ticks = 500_000_000_000_000_000n / given.resolutionPs;
      const expected = hydraHarpReference(words, ticks, given.resolutionPs, given.version);
      for (const seed of [1, 2]) {
        setT2State(ticks, given.resolutionPs, wrapTicks, given.version);
        expect(decodeInStretches(kernels.decodeHydraHarpT2, 4, 28, seed)).toEqual(expected);
      }
    },
  );

  it("decodes PicoHarp records, their overflows and markers", () => {
    const random = testRandom(5);
    const words = Array.from({ length: count }, () => {
      const isSpecial = random.uniform() < 0.1;
      const low = random.uniform() < 0.5 ? 0 : random.below(16);
      const time = isSpecial ? ((random.below(2 ** 24) << 4) | low) >>> 0 : random.below(2 ** 28);
      return (((isSpecial ? 15 : random.below(5)) << 28) | time) >>> 0;
    });
    words.forEach((word, index) => {
      view.setUint32(records + 4 * index, word, true);
    });
    const expected: Tags = { times: [], channels: [] };
    let ticks = 0n;
    for (const word of words) {
      const time = BigInt(word & 0xfffffff);
      if (word >>> 28 !== 15) {
        expected.times.push((ticks + time) * 4n);
        expected.channels.push(word >>> 28);
      } else if (time % 16n === 0n) ticks += 210_698_240n;
      else {
        for (const bit of bitsOf(word & 15)) {
          expected.times.push((ticks + time - (time % 16n)) * 4n);
          expected.channels.push(65 + bit);
        }
      }
    }
    setT2State(0n, 4n, 210_698_240n, 1);
    expect(decodeInStretches(kernels.decodePicoHarpT2, 4, 28, 3)).toEqual(expected);
  });
});

function writeTdc1Words(random: RandomSource): Tags {
  const expected: Tags = { times: [], channels: [] };
  let tick = 0n;
  for (let index = 0; index < count; index++) {
    const isDummy = random.uniform() < 0.1;
    const pattern = drawPattern(random);
    tick += BigInt(random.below(random.uniform() < 0.05 ? 2 ** 26 : 50));
    const word = Number(tick % 2n ** 27n) * 32 + (isDummy ? 16 : 0) + pattern;
    view.setUint32(records + 4 * index, word, true);
    if (!isDummy) expectPattern(expected, tick * 2000n, pattern);
  }
  return expected;
}

describe("decoding TDC1 words", () => {
  it("equals the reference over rollovers, dummies and patterns", () => {
    const expected = writeTdc1Words(testRandom(6));
    for (const seed of [4, 5]) {
      for (let at = 0; at < 24; at += 4) view.setUint32(state + at, 0, true);
      expect(decodeInStretches(kernels.decodeTdc1Words, 4, 16, seed)).toEqual(expected);
    }
  });

  it("finds the place where two bytes are missing", () => {
    const random = testRandom(7);
    let tick = 2 ** 27 - 5000;
    for (let index = 0; index < 1000; index++) {
      tick += 1 + random.below(100);
      view.setUint32(
        records + 4 * index,
        (((tick % 2 ** 27) * 32) | (1 << random.below(4))) >>> 0,
        true,
      );
    }
    expect(kernels.findTdc1Slip(records, 1000, 0xffffffff, 2 ** 26 + 2 ** 18, 1)).toBe(1000);
    harness.bytes.copyWithin(records + 4 * 600, records + 4 * 600 + 2, records + 4000);
    const slip = kernels.findTdc1Slip(records, 998, 0xffffffff, 2 ** 26 + 2 ** 18, 1);
    expect(slip).toBeGreaterThanOrEqual(600);
    expect(slip).toBeLessThan(620);
  });
});

describe("decoding S-Fifteen events", () => {
  it.each([0, 1])("equals the reference over a rollover, legacy %i", (isLegacy) => {
    const random = testRandom(8 + isLegacy);
    const expected: Tags = { times: [], channels: [] };
    let unit = 2n ** 54n - 1_000_000n;
    for (let index = 0; index < count; index++) {
      unit += BigInt(random.below(1000));
      const isDummy = random.uniform() < 0.05;
      const pattern = random.below(16);
      const event = ((unit % 2n ** 54n) << 10n) | 0x300n | (isDummy ? 16n : 0n) | BigInt(pattern);
      view.setBigUint64(records + 8 * index, isLegacy ? swapWords(event) : event, true);
      const rolledPs = (unit >> 54n) * 125n * 2n ** 49n;
      const timePs = ((unit % 2n ** 54n) * 125n + 16n) / 32n + rolledPs;
      if (!isDummy) expectPattern(expected, timePs, pattern);
    }
    for (let at = 0; at < 32; at += 4) view.setUint32(state + at, 0, true);
    view.setUint32(state + 16, isLegacy, true);
    expect(decodeInStretches(kernels.decodeA1Events, 8, 20, 6)).toEqual(expected);
  });
});
