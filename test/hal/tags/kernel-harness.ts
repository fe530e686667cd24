import { randomFromBytes } from "../../../hal/random.ts";
import { compileTagKernels, instantiateTagKernels } from "../../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";

/** Five hundred thousand seconds of picoseconds: no double holds these times exactly. */
export const basePs = 500_000_000_000_000_000n;

/** A memory with kernels on it, and room for columns. */
export function createKernelHarness(tags: number) {
  const memory = TagMemory.create({ slots: 4, tagsPerBlock: 1024, scratchBytes: 64 * 2 ** 20 });
  const kernels = instantiateTagKernels(compileTagKernels(), memory.memory);
  const room = (bytes: number): number => memory.allocate(bytes + 256).address;
  const times = room(8 * tags);
  const channels = room(tags);
  return {
    ...{ memory, kernels, room, times, channels },
    view: new DataView(memory.memory.buffer),
    bytes: new Uint8Array(memory.memory.buffer),
    timesOf: (count: number, address = times): bigint[] =>
      Array.from(new BigInt64Array(memory.memory.buffer, address, count)),
    channelsOf: (count: number, address = channels): number[] =>
      Array.from(new Uint8Array(memory.memory.buffer, address, count)),
    countsOf: (count: number, address: number): number[] =>
      Array.from(new BigUint64Array(memory.memory.buffer, address, count), Number),
  };
}

/** Seeded bytes by xorshift32 (Marsaglia 2003): enough to vary test data, not for statistics. */
export function testRandom(seed: number) {
  let state = seed * 2_654_435_761 + 1;
  return randomFromBytes((length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      bytes[at] = state >>> 11;
    }
    return bytes;
  });
}

/** Cuts [0, total) into irregular stretches: [from, length]. */
export function irregularSplits(
  total: number,
  lengthMax: number,
  seed: number,
): [number, number][] {
  const random = testRandom(seed);
  const splits: [number, number][] = [];
  for (let from = 0; from < total; ) {
    const length = Math.min(total - from, 1 + random.below(lengthMax));
    splits.push([from, length]);
    from += length;
  }
  return splits;
}
