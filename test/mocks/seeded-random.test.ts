import { describe, expect, it } from "vitest";
import { seededRandom } from "../../mocks/seeded-random.ts";

const mask = (1n << 32n) - 1n;

/** sfc32 of PractRand 0.95 (RNG/sfc.cpp, 32-bit variant) in integers of any size, seeded with three words and 15 rounds. */
function referenceWords(seed: readonly [bigint, bigint, bigint]): () => bigint {
  let [a, b, c] = seed;
  let counter = 1n;
  const next = (): bigint => {
    const sum = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask;
    return sum;
  };
  for (let round = 0; round < 15; round++) next();
  return next;
}

describe("seeded chance", () => {
  it("gives the words of sfc32, seeds above 32 bits included", () => {
    for (const seed of [0, 1, 0xffff_ffff, 2 ** 40 + 17]) {
      const next = referenceWords([BigInt(seed) & mask, BigInt(seed) >> 32n, 0x9e3779b9n]);
      const bytes = seededRandom(seed).bytes(4000);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < bytes.length; at += 4)
        expect(BigInt(view.getUint32(at, true))).toBe(next());
    }
  });

  it("differs between seeds and repeats for one", () => {
    const draw = (seed: number) => Buffer.from(seededRandom(seed).bytes(16)).toString("hex");
    expect(draw(1)).toBe(draw(1));
    expect(new Set([0, 1, 2, 2 ** 32, 2 ** 33].map(draw)).size).toBe(5);
  });

  it("gives any number of bytes", () => {
    for (let length = 0; length < 10; length++)
      expect(seededRandom(3).bytes(length).length).toBe(length);
    expect(seededRandom(3).bytes(7)).toEqual(seededRandom(3).bytes(8).subarray(0, 7));
  });
});
