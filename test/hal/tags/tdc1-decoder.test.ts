import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import { BlockWriter } from "../../../hal/tags/block-writer.ts";
import type { LossInterval } from "../../../hal/tags/loss-interval.ts";
import { compileTagKernels, instantiateTagKernels } from "../../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import { Tdc1Decoder, tdc1ScratchBytes } from "../../../hal/tags/tdc1-decoder.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";

const kernels = compileTagKernels();
const memory = TagMemory.create({ slots: 16, tagsPerBlock: 64, scratchBytes: 2 ** 20 });
const scratch = memory.allocate(tdc1ScratchBytes);
const rolloverTicks = 2 ** 27;

interface Tag {
  readonly timePs: bigint;
  readonly channel: number;
  readonly segment: number;
}
interface Decoded {
  readonly tags: readonly Tag[];
  readonly losses: readonly LossInterval[];
  readonly coverage: readonly (readonly [bigint, bigint])[];
  readonly observedPs: bigint | null;
  readonly desynchronisations: number;
}

/** Decodes pieces and checks on the way that blocks hold what they cover, sorted. */
function decode(pieces: readonly Uint8Array[], hostPsPerPiece = 10n ** 16n): Decoded {
  new Uint8Array(memory.memory.buffer, scratch.address, scratch.bytes).fill(0);
  const writer = new BlockWriter(memory, {
    ...{ streamId: "s", clockId: "c", whenFull: "drop", clock: systemClock },
    range: { firstSlot: 0, slots: 16 },
  });
  const tags: Tag[] = [];
  const losses: LossInterval[] = [];
  const coverage: (readonly [bigint, bigint])[] = [];
  let hostPs = 0n;
  const decoder = new Tdc1Decoder({
    kernels: instantiateTagKernels(kernels, memory.memory),
    ...{ memory: memory.memory, scratchAddress: scratch.address, writer },
    hostElapsedPs: () => hostPs,
    emit: (block) => {
      const times = memory.times(block);
      const channels = memory.channels(block);
      for (let index = 0; index < block.count; index++) {
        const timePs = times[index] ?? 0n;
        expect(timePs).toBeGreaterThanOrEqual(tags.at(-1)?.timePs ?? block.fromPs);
        expect(timePs).toBeLessThan(block.toPs);
        tags.push({ timePs, channel: channels[index] ?? -1, segment: block.segment });
      }
      losses.push(...block.losses);
      coverage.push([block.fromPs, block.toPs]);
      memory.release(block);
    },
  });
  for (const piece of pieces) {
    hostPs += hostPsPerPiece;
    decoder.push(piece);
  }
  decoder.finish();
  const { observedPs, desynchronisations } = decoder;
  return { tags, losses, coverage, observedPs, desynchronisations };
}

/** Builds a stream from (ticks since the start, pattern, dummy?), as the sheet draws words. */
function encode(words: readonly { readonly tick: number; readonly low: number }[]): Uint8Array {
  const bytes = Buffer.alloc(4 * words.length);
  for (const [index, { tick, low }] of words.entries()) {
    bytes.writeUInt32LE((tick % rolloverTicks) * 32 + low, 4 * index);
  }
  return bytes;
}

function randomWords(count: number, stepMax: number, seed: number) {
  const random = seededRandom(seed);
  let tick = 0;
  return Array.from({ length: count }, () => {
    tick += 1 + random.below(stepMax);
    return { tick, low: 1 + random.below(15) };
  });
}

test("reads the worked words of the sheet", () => {
  const bytes = Buffer.from("22000000843E0000C529 8C1711EF0180E8FFFFFF".replaceAll(" ", ""), "hex");
  const { tags, observedPs } = decode([bytes]);
  expect(tags.map(({ timePs, channel }) => [timePs, channel])).toEqual([
    [2_000n, 1],
    [1_000_000n, 2],
    [24_691_356_000n, 0],
    [24_691_356_000n, 2],
    [268_435_454_000n, 3],
  ]);
  expect(observedPs).toBe(268_435_456_000n);
});

test("counts a rollover between two captured dummies, half a rollover apart, and covers up to them", () => {
  const { tags, observedPs, coverage } = decode([Buffer.from("11EF018011EF0100", "hex")]);
  expect(tags).toEqual([]);
  expect(observedPs).toBe((67_112_824n + 67_108_864n) * 2_000n + 2_000n);
  expect(coverage).toEqual([[67_112_824n * 2_000n, observedPs]]);
});

test("gives the same tags wherever the bytes are cut", () => {
  const bytes = encode(randomWords(40, 20_000_000, 7));
  const { tags: whole } = decode([bytes]);
  expect(whole.length).toBeGreaterThan(40);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(decode([bytes.subarray(0, cut), bytes.subarray(cut)]).tags).toEqual(whole);
  }
  expect(decode(Array.from(bytes, (byte) => Uint8Array.of(byte))).tags).toEqual(whole);
});

test("agrees with a BigInt reference over many rollovers and full blocks", () => {
  const words = randomWords(3_000, 60_000_000, 8);
  const reference = words.flatMap(({ tick, low }) =>
    [0, 1, 2, 3]
      .filter((channel) => (low >> channel) & 1)
      .map((channel) => ({ timePs: BigInt(tick) * 2_000n, channel, segment: 0 })),
  );
  const { tags, losses, coverage } = decode([encode(words)]);
  expect(tags).toEqual(reference);
  expect(losses).toEqual([]);
  for (const [index, [fromPs]] of coverage.entries()) {
    if (index > 0) expect(fromPs).toBe(coverage[index - 1]?.[1]);
  }
});

test.each([1, 2, 3])(
  "finds its place again after %i lost bytes, in a new segment, and says so",
  (lost) => {
    const words = randomWords(6_000, 2_000, 9);
    const bytes = encode(words);
    const cut = 4 * 1_000 + 2;
    const damaged = Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + lost)]);
    const { tags, losses, desynchronisations } = decode([damaged]);
    expect(desynchronisations).toBeGreaterThanOrEqual(1);
    expect(losses.map(({ cause, count }) => [cause, count])).toContainEqual([
      "desynchronised",
      null,
    ]);
    const truth = new Set(words.map(({ tick }) => tick % rolloverTicks));
    const last = tags.at(-1);
    expect(last?.segment).toBeGreaterThanOrEqual(1);
    const after = tags.filter(({ segment }) => segment === last?.segment);
    expect(after.length).toBeGreaterThan(500);
    for (const { timePs } of after) {
      expect(truth.has(Number((timePs / 2_000n) % BigInt(rolloverTicks)))).toBe(true);
    }
  },
);

test.each([
  [300, 40_000_000],
  [1_000, 1_000_000],
  [10_000, 100_000],
  [1_000_000, 1_000],
])("invents no tag outside the losses it tells, at %i words a second", (_rate, stepMax) => {
  for (let attempt = 0; attempt < 12; attempt++) {
    const words = randomWords(3_000, stepMax, 100 + attempt);
    const bytes = encode(words);
    const cut = 4 * (1_000 + attempt) + (attempt % 4);
    const damaged = Buffer.concat([
      bytes.subarray(0, cut),
      bytes.subarray(cut + 1 + (attempt % 3)),
    ]);
    const pieces = Array.from({ length: Math.ceil(damaged.length / 512) }, (_, index) =>
      damaged.subarray(512 * index, 512 * index + 512),
    );
    const { tags, losses } = decode(pieces, BigInt(stepMax) * 128n * 1_000n);
    const truth = new Set(words.map(({ tick }) => tick % rolloverTicks));
    const invented = tags.filter(
      ({ timePs }) =>
        !truth.has(Number((timePs / 2_000n) % BigInt(rolloverTicks))) &&
        !losses.some(({ fromPs, toPs }) => fromPs <= timePs && timePs < toPs),
    );
    expect(losses.length).toBeGreaterThan(0);
    expect(invented).toEqual([]);
    expect(tags.at(-1)?.segment).toBeGreaterThan(0);
  }
});

test.each([1, 2])("tells the same loss of %i bytes wherever the bytes are cut", (lost) => {
  for (let attempt = 0; attempt < 8; attempt++) {
    const bytes = encode(randomWords(200, 1_000_000, 200 + attempt));
    const cut = 400 + attempt;
    const damaged = Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + lost)]);
    const whole = decode([damaged]);
    expect(whole.losses.length).toBeGreaterThan(0);
    for (const size of [1, 3, 4, 64, 137]) {
      const pieces = Array.from({ length: Math.ceil(damaged.length / size) }, (_, index) =>
        damaged.subarray(size * index, size * index + size),
      );
      const { tags, losses } = decode(pieces);
      expect(losses).toEqual(whole.losses);
      expect(tags).toEqual(whole.tags);
    }
  }
});

test("turns any bytes into sorted tags within their coverage, never into an error", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 6 }), (pieces) => {
      decode(pieces);
    }),
    { numRuns: 200 },
  );
});
