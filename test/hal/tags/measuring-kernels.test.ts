import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactReciprocal } from "../../../hal/tags/tag-kernels.ts";
import { basePs, createKernelHarness, irregularSplits, testRandom } from "./kernel-harness.ts";

const count = 12_011;
const harness = createKernelHarness(count);
const { kernels, view } = harness;
const buffer = harness.memory.memory.buffer;

function fillTags(channelCount: number, gapPsMax: number, seed: number) {
  const random = testRandom(seed);
  const times: bigint[] = [];
  const channels: number[] = [];
  let time = basePs;
  for (let index = 0; index < count; index++) {
    time += BigInt(random.below(random.uniform() < 0.3 ? 800 : gapPsMax));
    times.push(time);
    channels.push(random.below(channelCount));
  }
  new BigInt64Array(buffer, harness.times, count).set(times);
  new Uint8Array(buffer, harness.channels, count).set(channels);
  return {
    times,
    channels,
    of: (channel: number) => times.filter((_, at) => channels[at] === channel),
  };
}

function fillColumn(times: readonly bigint[]): number {
  const address = harness.room(8 * times.length);
  new BigInt64Array(buffer, address, times.length).set(times);
  return address;
}

const differences = (
  starts: readonly bigint[],
  stops: readonly bigint[],
  low: bigint,
  high: bigint,
) => {
  const found: bigint[] = [];
  let first = 0;
  for (const start of starts) {
    while (first < stops.length && (stops[first] ?? 0n) - start < low) first++;
    for (let at = first; at < stops.length && (stops[at] ?? 0n) - start < high; at++) {
      found.push((stops[at] ?? 0n) - start);
    }
  }
  return found;
};

describe("counting by channel", () => {
  it.each([2, 5, 16, 200])(
    "equals the reference for %i channels, in irregular blocks",
    (channelCount) => {
      const tags = fillTags(channelCount, 3000, channelCount);
      const counts = harness.room(1024);
      for (const [from, length] of irregularSplits(count, 3000, 1)) {
        kernels.countChannels(harness.channels + from, length, channelCount, counts);
      }
      const expected = Array.from({ length: 256 }, (_, channel) => tags.of(channel).length);
      expect(Array.from(new Uint32Array(buffer, counts, 256))).toEqual(expected);
    },
  );

  it("equals the reference in bins of time, also when the bins run out", () => {
    const tags = fillTags(8, 20_000, 9);
    const binPs = 3_333_333n;
    const [counts, state] = [harness.room(1024 * 20), harness.room(16)];
    view.setBigInt64(state, basePs + binPs, true);
    let index = 0;
    const bins: number[][] = [];
    const drain = (complete: number): void => {
      for (let bin = 0; bin < complete; bin++) {
        bins.push(Array.from(new Uint32Array(buffer, counts + 1024 * bin, 8)));
        new Uint8Array(buffer, counts + 1024 * bin, 1024).fill(0);
      }
    };
    while (index < count) {
      const length = Math.min(count - index, 777);
      index += kernels.countChannelsInBins(
        state,
        harness.times + 8 * index,
        harness.channels + index,
        length,
        binPs,
        8,
        counts,
        20,
      );
      if (view.getUint32(state + 8, true) === 20) {
        drain(20);
        view.setUint32(state + 8, 0, true);
      }
    }
    drain(view.getUint32(state + 8, true) + 1);
    const expected = bins.map(() => new Array<number>(8).fill(0));
    tags.times.forEach((time, at) => {
      const bin = expected[Number((time - basePs) / binPs)];
      const channel = tags.channels[at] ?? 0;
      if (bin !== undefined) bin[channel] = (bin[channel] ?? 0) + 1;
    });
    expect(bins).toEqual(expected);
  });
});

it("splits a block into dense columns and discards channels that nobody measures", () => {
  const tags = fillTags(5, 1000, 11);
  const table = harness.room(2048);
  const columns = [harness.room(8 * count), harness.room(8 * count)];
  const words = new Uint32Array(buffer, table, 512);
  const discard = harness.room(8);
  for (let channel = 0; channel < 256; channel++) words[2 * channel] = discard;
  words.set([columns[0] ?? 0, 8], 2 * 1);
  words.set([columns[1] ?? 0, 8], 2 * 3);
  for (const [from, length] of irregularSplits(count, 900, 2)) {
    kernels.splitChannels(table, harness.times + 8 * from, harness.channels + from, length);
  }
  expect(harness.timesOf(((words[2] ?? 0) - (columns[0] ?? 0)) / 8, columns[0])).toEqual(
    tags.of(1),
  );
  expect(harness.timesOf(((words[6] ?? 0) - (columns[1] ?? 0)) / 8, columns[1])).toEqual(
    tags.of(3),
  );
});

describe("counting pairs", () => {
  it.each([
    [2, 1000, -500n, 500n],
    [2, 50, -1000n, 1001n],
    [3, 3000, 20_000n, 21_000n],
    [2, 3000, -300_000n, -290_000n],
    [2, 500, 0n, 0n],
    [2, 20, 0n, 1n],
  ] as const)(
    "equals the reference: %i channels, gaps to %i ps, [%s, %s)",
    (channelCount, gap, low, high) => {
      const tags = fillTags(channelCount, gap, gap);
      const [starts, stops] = [fillColumn(tags.of(0)), fillColumn(tags.of(1))];
      const counted = kernels.countPairs(
        starts,
        tags.of(0).length,
        stops,
        tags.of(1).length,
        low,
        high,
      );
      expect(Number(counted)).toBe(differences(tags.of(0), tags.of(1), low, high).length);
    },
  );

  it("equals the reference for any short columns", () => {
    const column = fc
      .array(fc.integer({ min: 0, max: 60 }), { maxLength: 12 })
      .map((times) => times.sort((a, b) => a - b).map((time) => basePs + BigInt(time)));
    const [startsAt, stopsAt] = [harness.room(200), harness.room(200)];
    const bound = fc.bigInt({ min: -20n, max: 20n });
    fc.assert(
      fc.property(column, column, bound, bound, (starts, stops, one, other) => {
        const [low, high] = one < other ? [one, other] : [other, one];
        new BigInt64Array(buffer, startsAt, starts.length).set(starts);
        new BigInt64Array(buffer, stopsAt, stops.length).set(stops);
        const counted = kernels.countPairs(
          startsAt,
          starts.length,
          stopsAt,
          stops.length,
          low,
          high,
        );
        return Number(counted) === differences(starts, stops, low, high).length;
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe("binning pairs", () => {
  it.each([
    [100n, 200_000n, 1500],
    [16n, 320_000n, 30_000],
    [7n, 20_003n, 300],
    [333n, 1_000_000n, 30_000],
    [1n, 2000n, 500],
  ] as const)("equals the reference: bins of %s ps over %s ps", (binPs, spanPs, gap) => {
    const tags = fillTags(2, gap, Number(binPs));
    const [starts, stops] = [fillColumn(tags.of(0)), fillColumn(tags.of(1))];
    const low = -spanPs / 2n;
    const bins = Number((spanPs + binPs - 1n) / binPs);
    const expected = new Array<number>(bins).fill(0);
    for (const difference of differences(tags.of(0), tags.of(1), low, low + spanPs)) {
      const bin = Number((difference - low) / binPs);
      expected[bin] = (expected[bin] ?? 0) + 1;
    }
    for (const { magic, shift } of [exactReciprocal(binPs, spanPs), { magic: 0n, shift: 0 }]) {
      const counts = harness.room(8 * bins);
      kernels.binPairs(
        starts,
        tags.of(0).length,
        stops,
        tags.of(1).length,
        low,
        spanPs,
        binPs,
        magic,
        shift,
        counts,
      );
      expect(harness.countsOf(bins, counts)).toEqual(expected);
    }
  });

  it("has reciprocals that are exact at every multiple of the divisor and beside it", () => {
    const divisors = fc.bigInt({ min: 1n, max: 2n ** 40n });
    const spans = fc.bigInt({ min: 1n, max: 2n ** 45n });
    fc.assert(
      fc.property(
        divisors,
        spans,
        fc.bigInt({ min: 0n, max: 2n ** 45n }),
        (divisor, span, draw) => {
          const { magic, shift } = exactReciprocal(divisor, span);
          if (magic === 0n) return true;
          const near = ((draw % span) / divisor) * divisor;
          return [draw % span, near, near - 1n, span - 1n]
            .filter((value) => value >= 0n && value < span)
            .every(
              (value) =>
                value * magic < 2n ** 64n && (value * magic) >> BigInt(shift) === value / divisor,
            );
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
    expect(exactReciprocal(100n, 2n ** 31n).magic).not.toBe(0n);
  });

  it("counts displaced windows as separate counts of pairs would", () => {
    const tags = fillTags(2, 2000, 21);
    const [starts, stops] = [fillColumn(tags.of(0)), fillColumn(tags.of(1))];
    const [spacing, width, windows, low] = [10_000n, 1001n, 21, -100_500n] as const;
    const span = spacing * BigInt(windows);
    const { magic, shift } = exactReciprocal(spacing, span);
    const counts = harness.room(8 * windows);
    kernels.countDisplacedWindows(
      starts,
      tags.of(0).length,
      stops,
      tags.of(1).length,
      low,
      span,
      spacing,
      width,
      magic,
      shift,
      counts,
    );
    const expected = Array.from({ length: windows }, (_, index) => {
      const from = low + BigInt(index) * spacing;
      return differences(tags.of(0), tags.of(1), from, from + width).length;
    });
    expect(harness.countsOf(windows, counts)).toEqual(expected);
  });
});

describe("order", () => {
  it("finds the first tag out of order wherever it is", () => {
    const tags = fillTags(2, 1000, 31);
    expect(kernels.findDisorder(harness.times, count, basePs - 1n)).toBe(count);
    for (const at of [1, 7, 8, 9, 500, count - 1]) {
      view.setBigInt64(harness.times + 8 * at, (tags.times[at - 1] ?? 0n) - 1n, true);
      expect(kernels.findDisorder(harness.times, count, basePs - 1n)).toBe(at);
      view.setBigInt64(harness.times + 8 * at, tags.times[at] ?? 0n, true);
    }
    expect(kernels.findDisorder(harness.times, count, (tags.times[0] ?? 0n) + 1n)).toBe(0);
    expect(kernels.findDisorder(harness.times, 0, 0n)).toBe(0);
  });

  it("sorts nearly sorted tags, keeping the order of equal times", () => {
    const random = testRandom(32);
    const tags = Array.from({ length: count }, (_, at) => ({
      time: basePs + BigInt(10 * at + random.below(60)),
      channel: at % 251,
    }));
    new BigInt64Array(buffer, harness.times, count).set(tags.map((tag) => tag.time));
    new Uint8Array(buffer, harness.channels, count).set(tags.map((tag) => tag.channel));
    expect(kernels.sortNearlySorted(harness.times, harness.channels, count, 0)).toBeGreaterThan(0);
    tags.sort((a, b) => Number(a.time - b.time));
    expect(harness.timesOf(count)).toEqual(tags.map((tag) => tag.time));
    expect(harness.channelsOf(count)).toEqual(tags.map((tag) => tag.channel));
  });
});
