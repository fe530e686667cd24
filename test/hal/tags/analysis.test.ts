import { lastValueFrom, Observable, Subject } from "rxjs";
import { toArray } from "rxjs/operators";
import { describe, expect, it } from "vitest";
import { analyse } from "../../../hal/tags/analysis.ts";
import { analysisBytes, BlockAnalysis } from "../../../hal/tags/block-analysis.ts";
import { BlockHub } from "../../../hal/tags/block-hub.ts";
import { BlockWriter } from "../../../hal/tags/block-writer.ts";
import type { LossInterval } from "../../../hal/tags/loss-interval.ts";
import type { MeasurementSpec } from "../../../hal/tags/measurements.ts";
import { compileTagKernels, instantiateTagKernels } from "../../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import type { TagBlockDescriptor, TagStream } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { createVirtualClock } from "../../../mocks/virtual-clock.ts";
import { irregularSplits, testRandom } from "./kernel-harness.ts";

const kernelModule = compileTagKernels();

/** Uncorrelated light on channels 0 to 3, and a copy of part of channel 0 on channel 2, `delayPs` later. */
function drawLight(count: number, meanGapPs: number, delayPs: bigint, seed: number) {
  const random = testRandom(seed);
  const tags: { time: bigint; channel: number }[] = [];
  let time = 400_000_000_000_000_000n;
  for (let index = 0; index < count; index++) {
    time += BigInt(Math.round(-Math.log(1 - random.uniform()) * meanGapPs));
    const channel = random.below(4);
    tags.push({ time, channel });
    if (channel === 0 && random.uniform() < 0.3) tags.push({ time: time + delayPs, channel: 2 });
  }
  return tags.sort((a, b) => Number(a.time - b.time));
}

function createBench(specs: readonly MeasurementSpec[]) {
  const memory = TagMemory.create({ slots: 8, tagsPerBlock: 4_096, scratchBytes: 2 ** 25 });
  const kernels = instantiateTagKernels(kernelModule, memory.memory);
  const { address } = memory.allocate(analysisBytes(specs, 4_096, 8_192));
  const place = { address, historyTagsMax: 8_192, channelLimit: 4 };
  const analysis = new BlockAnalysis(memory, kernels, specs, place);
  const names = { streamId: "light", clockId: "light" };
  const range = memory.allocateSlots(8);
  const clock = createVirtualClock();
  const writer = new BlockWriter(memory, { ...names, range, whenFull: "wait", clock });
  const write = (
    tags: readonly { time: bigint; channel: number }[],
    toPs: bigint,
    losses: readonly LossInterval[] = [],
  ): TagBlockDescriptor => {
    const room = writer.begin();
    if (room === null) throw new Error("no room");
    const times = tags.map((tag) => tag.time);
    new BigInt64Array(memory.memory.buffer, room.timesAddress, tags.length).set(times);
    const channels = new Uint8Array(memory.memory.buffer, room.channelsAddress, tags.length);
    channels.set(tags.map((tag) => tag.channel));
    writer.append(tags.length);
    const block = writer.publish({ toPs: ps(toPs), losses });
    if (block === null) throw new Error("no slot");
    return block;
  };
  const take = (block: TagBlockDescriptor): void => {
    analysis.take(block);
    memory.release(block);
  };
  return { memory, analysis, writer, write, take };
}

function analyseInBlocks(
  specs: readonly MeasurementSpec[],
  tags: readonly { time: bigint; channel: number }[],
  lengthMax: number,
  seed: number,
) {
  const bench = createBench(specs);
  bench.writer.start(ps(tags[0]?.time ?? 0n), { newSegment: false });
  for (const [from, length] of irregularSplits(tags.length, lengthMax, seed)) {
    let end = from + length;
    // A block ends between two times, never within one picosecond.
    while (end < tags.length && tags[end]?.time === tags[end - 1]?.time) end++;
    const begin = tags.findIndex((tag) => tag.time >= bench.writer.fromPs);
    if (begin < 0 || begin >= end) continue;
    const next = tags[end]?.time ?? (tags.at(-1)?.time ?? 0n) + 1n;
    bench.take(bench.write(tags.slice(begin, end), next));
  }
  return bench.analysis.report(true);
}

function countPairs(
  tags: readonly { time: bigint; channel: number }[],
  [start, stop]: readonly [number, number],
  [low, high]: readonly [bigint, bigint],
): number {
  const starts = tags.filter((tag) => tag.channel === start);
  const stops = tags.filter((tag) => tag.channel === stop);
  let [first, pairs] = [0, 0];
  for (const { time } of starts) {
    while (first < stops.length && (stops[first]?.time ?? 0n) - time < low) first++;
    for (let at = first; at < stops.length && (stops[at]?.time ?? 0n) - time < high; at++) pairs++;
  }
  return pairs;
}

describe("measurements on blocks", () => {
  const specs: readonly MeasurementSpec[] = [
    { kind: "rates" },
    { kind: "histogram", start: 0, stop: 2, binPs: 333n, rangePs: 100_000n },
    { kind: "histogram", start: 1, stop: 1, binPs: 1_000n, rangePs: 50_000n },
    { kind: "coincidences", channels: [0, 2], windowPs: 2_001n, delaysPs: { 2: -40_000n } },
    { kind: "coincidences", channels: [3, 1], windowPs: 1_000n, delaysPs: { 3: 7n, 1: 900_000n } },
    { kind: "delay", start: 0, stop: 2, rangePs: 500_000n },
  ];
  const tags = drawLight(8_000, 100_000, 40_000n, 1);

  it("do not depend on where blocks end", () => {
    const whole = analyseInBlocks(specs, tags, 4_000, 1);
    for (const [lengthMax, seed] of [
      [1, 2],
      [7, 3],
      [500, 4],
    ] as const) {
      const split = analyseInBlocks(specs, tags, lengthMax, seed);
      expect(split.results).toEqual(whole.results);
      expect(split.liveTimePs).toBe(whole.liveTimePs);
    }
  });

  it("equal the reference, delays and odd windows included", () => {
    const { results, tags: counted } = analyseInBlocks(specs, tags, 600, 5);
    expect(counted).toBe(tags.length);
    const [, histogram, self, near, far] = results;
    if (histogram?.kind !== "histogram" || self?.kind !== "histogram") throw new Error("kinds");
    expect(histogram.pairs).toBe(countPairs(tags, [0, 2], [-100_000n, 100_000n]));
    const bin = 30;
    const from = -100_000n + 333n * BigInt(bin);
    expect(histogram.counts[bin]).toBe(countPairs(tags, [0, 2], [from, from + 333n]));
    const own = tags.filter((tag) => tag.channel === 1).length;
    expect(self.pairs).toBe(countPairs(tags, [1, 1], [-50_000n, 50_000n]) - own);
    // -floor(w/2) <= (t2 - 40 ns) - t1 < ceil(w/2)
    expect(near).toMatchObject({
      coincidences: countPairs(tags, [0, 2], [40_000n - 1_000n, 40_000n + 1_001n]),
    });
    expect(far).toMatchObject({
      coincidences: countPairs(tags, [3, 1], [7n - 900_000n - 500n, 7n - 900_000n + 500n]),
    });
  });

  it("find the delay, and accidentals that agree with the product of the rates", () => {
    const light = drawLight(60_000, 20_000, 40_000n, 6);
    const { results } = analyseInBlocks(specs, light, 4_000, 7);
    const [, , , near, , delay] = results;
    if (near?.kind !== "coincidences" || delay?.kind !== "delay") throw new Error("kinds");
    expect(near.displacedCounts).toHaveLength(20);
    // 6 sigma, false alarm 2e-9.
    const tolerance = 6 * Math.sqrt(near.uncorrelated / 20);
    expect(Math.abs(near.accidentals.value - near.uncorrelated)).toBeLessThan(tolerance);
    expect(near.coincidences).toBeGreaterThan(near.accidentals.value + 1_000);
    expect(delay.found?.significance).toBeGreaterThan(20);
    expect(delay.found?.falseAlarmProbability).toBeLessThan(1e-9);
    expect(Math.abs((delay.found?.delayPs.value ?? 0) + 40_000)).toBeLessThan(2);
  });

  it("take the time of losses off the live time, and say that figures span them", () => {
    const bench = createBench([{ kind: "rates" }]);
    const tag = (time: bigint) => ({ time, channel: 0 });
    const second = 1_000_000_000_000n;
    bench.take(bench.write([tag(1n), tag(2n)], second));
    expect(bench.analysis.report(false)).toMatchObject({ spansLoss: false, liveTimePs: second });
    const loss = {
      fromPs: ps(second),
      toPs: ps(2n * second),
      count: 5,
      cause: "host-overflow",
    } as const;
    bench.take(bench.write([tag(2n * second), tag(3n * second)], 4n * second, [loss]));
    const report = bench.analysis.report(true);
    expect(report).toMatchObject({
      ...{ spansLoss: true, liveTimePs: 3n * second, lostTags: 5, losses: [loss], tags: 4 },
      interval: { fromPs: second, toPs: 4n * second, liveTimePs: 2n * second, counts: { 0: 2 } },
    });
    const [rates] = report.results;
    if (rates?.kind !== "rates") throw new Error("kinds");
    expect(rates.channels[0]?.rateHz?.value).toBeCloseTo(4 / 3, 12);
  });

  it("pair no tags of different segments", () => {
    const spec: MeasurementSpec = {
      kind: "histogram",
      start: 0,
      stop: 1,
      binPs: 10n,
      rangePs: 100n,
    };
    const bench = createBench([spec]);
    bench.take(bench.write([{ time: 50n, channel: 0 }], 60n));
    bench.writer.start(ps(60n), { newSegment: true });
    bench.take(bench.write([{ time: 70n, channel: 1 }], 80n));
    expect(bench.analysis.report(true).results[0]).toMatchObject({ pairs: 0 });
  });

  it("refuse a range that needs more tags than may be kept", () => {
    const spec: MeasurementSpec = {
      ...{ kind: "histogram", start: 0, stop: 1, binPs: 1_000_000n, rangePs: 10n ** 12n },
    };
    const light = drawLight(60_000, 100, 0n, 8);
    expect(() => analyseInBlocks([spec], light, 4_000, 9)).toThrow(
      expect.objectContaining({ code: "tags.memory", message: expect.stringMatching(/narrow/) }),
    );
  });

  it("refuse specs that make no sense", () => {
    const bad: MeasurementSpec[] = [
      { kind: "coincidences", channels: [1, 1], windowPs: 10n },
      { kind: "coincidences", channels: [0, 1], windowPs: 10n, displacements: 4 },
      { kind: "coincidences", channels: [0, 1], windowPs: 10n, spacingPs: 9n },
      { kind: "histogram", start: 0, stop: 1, binPs: 0n, rangePs: 10n },
      { kind: "delay", start: 2, stop: 2, rangePs: 10n },
    ];
    for (const spec of bad) expect(() => analysisBytes([spec], 16, 16)).toThrow(RangeError);
  });
});

describe("live time", () => {
  const loss = (fromPs: bigint, toPs: bigint): LossInterval => ({
    ...{ fromPs: ps(fromPs), toPs: ps(toPs), count: 1, cause: "host-overflow" },
  });
  const click = (time: bigint) => ({ time, channel: 0 });

  it("counts time lost twice once", () => {
    const { analysis, write, take } = createBench([{ kind: "rates" }]);
    take(write([click(10n)], 1_000n, [loss(100n, 300n), loss(200n, 400n), loss(250n, 350n)]));
    expect(analysis.report(true)).toMatchObject({ liveTimePs: 700n, lostTags: 3, spansLoss: true });
  });

  it("does not cover a gap between blocks, and says that figures span it", () => {
    const { analysis, writer, write, take } = createBench([{ kind: "rates" }]);
    take(write([click(10n)], 1_000n));
    expect(analysis.report(false).spansLoss).toBe(false);
    writer.start(ps(5_000n), { newSegment: false });
    take(write([click(5_010n)], 6_000n));
    const report = analysis.report(true);
    expect(report).toMatchObject({ liveTimePs: 2_000n, spansLoss: true, lostTags: 0 });
  });
});

describe("analysis of a live stream", () => {
  it("reports as lost what its quota refused, and still counts the rest", async () => {
    const memory = TagMemory.create({ slots: 16, scratchBytes: 2 ** 26 });
    const hub = new BlockHub(memory);
    const done = new Subject<void>();
    const range = memory.allocateSlots(16);
    const names = { streamId: "live", clockId: "live" };
    const clock = createVirtualClock();
    const writer = new BlockWriter(memory, { ...names, range, whenFull: "drop", clock });
    const stream: TagStream = {
      ...{ ...names, channels: [{ channel: 0, label: "1" }], epochPs: ps(0n) },
      ...{ tickPs: { numerator: 1n, denominator: 1n } },
      anchor: { utcPs: ps(0n), uncertaintyPs: ps(0n) },
      blocks$: new Observable((subscriber) => {
        const subscription = hub.blocks$.subscribe(subscriber);
        done.subscribe(() => subscriber.complete());
        return subscription;
      }),
    };
    const options = { memory, kernels: kernelModule, blocksHeldMax: 3, reportEveryMs: 0 };
    const reports = lastValueFrom(analyse(stream, [{ kind: "rates" }], options).pipe(toArray()));
    // The worker cannot answer while this thread does not yield: three blocks are held, the rest refused.
    for (let index = 0; index < 10; index++) {
      const room = writer.begin();
      if (room === null) throw new Error("no room");
      new BigInt64Array(memory.memory.buffer, room.timesAddress, 1)[0] = BigInt(index);
      writer.append(1);
      const block = writer.publish({ toPs: ps(BigInt(index + 1)) });
      if (block !== null) hub.deliver(block);
    }
    writer.discard();
    done.next();
    const last = (await reports).at(-1);
    expect(last).toMatchObject({ isFinal: true, tags: 3, lostTags: 7, spansLoss: true });
    expect(last?.liveTimePs).toBe(3n);
    await expect.poll(() => memory.freeSlots({ firstSlot: 0, slots: 16 })).toBe(16);
  });
});
