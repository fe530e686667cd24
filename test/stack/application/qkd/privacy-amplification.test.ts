import { describe, expect, it } from "vitest";
import { packBits, unpackBits } from "../../../../stack/application/qkd/bit-string.ts";
import {
  openToeplitzHasher,
  toeplitzSeedBytes,
} from "../../../../stack/application/qkd/privacy-amplification.ts";
import {
  verificationSeedBytes,
  verificationTag,
  verificationTagBits,
} from "../../../../stack/application/qkd/verification.ts";
import { kernels, seededRandom } from "./seeded-lab.ts";

/** The definition, bit by bit: y_q = sum over c of x_c s_(q - c + n - 1). */
function reference(input: Uint8Array, n: number, seed: Uint8Array, l: number): Uint8Array {
  const x = unpackBits(input, n);
  const s = unpackBits(seed, n + l - 1);
  const y = new Uint8Array(l);
  for (let q = 0; q < l; q++) {
    for (let c = 0; c < n; c++) y[q] = (y[q] ?? 0) ^ ((x[c] ?? 0) & (s[q - c + n - 1] ?? 0));
  }
  return packBits(y);
}

describe("openToeplitzHasher", () => {
  const hasher = openToeplitzHasher(kernels, 60_000);
  const random = seededRandom("toeplitz");

  it.each([
    [1, 1],
    [1, 9],
    [7, 3],
    [8, 8],
    [9, 130],
    [127, 64],
    [128, 128],
    [129, 65],
    [1_000, 1],
    [1_001, 777],
    [4_096, 2_048],
    [4_095, 2_047],
    [3_000, 2_999],
  ])("equals the definition for %i to %i bits", (inputBits, outputBits) => {
    for (let i = 0; i < 3; i++) {
      const input = random.bytes(Math.ceil(inputBits / 8));
      const seed = random.bytes(toeplitzSeedBytes(inputBits, outputBits));
      const hashed = hasher.hash({ input, inputBits, seed, outputBits });
      expect(hashed).toEqual(reference(input, inputBits, seed, outputBits));
    }
  });

  it("spans several tiles of the kernel", () => {
    const [inputBits, outputBits] = [300, 59_999];
    const input = random.bytes(38);
    const seed = random.bytes(toeplitzSeedBytes(inputBits, outputBits));
    const hashed = hasher.hash({ input, inputBits, seed, outputBits });
    expect(hashed).toEqual(reference(input, inputBits, seed, outputBits));
  });

  it("is linear, and zero for zero", () => {
    const n = 999;
    const seed = random.bytes(toeplitzSeedBytes(n, 333));
    const [a, b] = [random.bytes(125), random.bytes(125)];
    const hash = (input: Uint8Array) => hasher.hash({ input, inputBits: n, seed, outputBits: 333 });
    const sum = hash(a.map((byte, i) => byte ^ (b[i] ?? 0)));
    const hashedB = hash(b);
    expect(sum).toEqual(hash(a).map((byte, i) => byte ^ (hashedB[i] ?? 0)));
    expect(hash(new Uint8Array(125)).every((byte) => byte === 0)).toBe(true);
  });

  it("hashes 60 kbit to 25 kbit at interactive speed", () => {
    const input = random.bytes(7_500);
    const seed = random.bytes(toeplitzSeedBytes(60_000, 25_000));
    const times = Array.from({ length: 5 }, () => {
      const begin = performance.now();
      hasher.hash({ input, inputBits: 60_000, seed, outputBits: 25_000 });
      return performance.now() - begin;
    });
    expect(Math.min(...times)).toBeLessThan(150);
  });

  it("refuses what does not fit", () => {
    expect(() => openToeplitzHasher(kernels, 0)).toThrow(RangeError);
    const short = {
      input: new Uint8Array(1),
      inputBits: 9,
      seed: new Uint8Array(9),
      outputBits: 1,
    };
    expect(() => hasher.hash(short)).toThrow(RangeError);
    expect(() => hasher.hash({ ...short, inputBits: 60_001 })).toThrow(RangeError);
    expect(() => hasher.hash({ ...short, inputBits: 8, outputBits: 200 })).toThrow(RangeError);
  });
});

describe("verificationTag", () => {
  const hasher = openToeplitzHasher(kernels, 4_000);

  it("has as many bits as the error asks for", () => {
    expect(verificationTagBits(1e-12)).toBe(40);
    expect(verificationTagBits(2 ** -10)).toBe(10);
  });

  it("misses a difference with probability 2^-t, no more and no less", () => {
    // 8-bit tags of blocks that differ, 40,000 seeds: collisions are binomial, mean 156.25, sigma 12.5.
    const random = seededRandom("tags");
    const [one, other] = [random.bytes(20), random.bytes(20)];
    let collisions = 0;
    for (let i = 0; i < 40_000; i++) {
      const seed = random.bytes(verificationSeedBytes(160, 8));
      const tag = (block: Uint8Array) =>
        verificationTag(hasher, { block, blockBits: 160, seed, tagBits: 8 })[0];
      if (tag(one) === tag(other)) collisions++;
    }
    expect(Math.abs(collisions - 156.25)).toBeLessThan(5 * 12.5);
  });
});
