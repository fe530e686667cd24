import { createCipheriv, createHash } from "node:crypto";
import { type RandomSource, randomFromBytes } from "../../../hal/random.ts";

/** Bytes of a public seed from which both ends expand the same permutations. */
export const publicSeedBytes = 32;

/** Gives `byteCount` bytes of AES-256 in counter mode under a key derived from the seed and a counter. */
function keystream(seed: Uint8Array, index: number, byteCount: number): Uint8Array {
  const key = createHash("sha256").update("bellwether permutation").update(seed).update(`${index}`);
  const cipher = createCipheriv("aes-256-ctr", key.digest(), new Uint8Array(16));
  return cipher.update(new Uint8Array(byteCount));
}

/**
 * Gives permutation number `index` of a public seed: element `i` is the bit at place `i` of the shuffled
 * block. Both ends compute the same. It decides how well errors spread, not how secret the key is, so a
 * stretched seed and a bias below 2^-15 are enough.
 */
export function publicPermutation(seed: Uint8Array, index: number, bitCount: number): Uint32Array {
  const order = new Uint32Array(bitCount);
  for (let i = 0; i < bitCount; i++) order[i] = i;
  const draws = new Uint32Array(Uint8Array.from(keystream(seed, index, 4 * bitCount)).buffer);
  for (let i = bitCount - 1; i > 0; i--) {
    const j = Math.floor(((draws[i] ?? 0) / 2 ** 32) * (i + 1));
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return order;
}

/** Gives the inverse: element `b` is the place of bit `b`. */
export function inversePermutation(order: Uint32Array): Uint32Array {
  const place = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) place[order[i] ?? 0] = i;
  return place;
}

/** Draws from `random` in pieces of 4 KiB: thousands of small draws cost one call each otherwise. */
export function bufferedRandom(random: RandomSource): RandomSource {
  let buffer: Uint8Array = new Uint8Array(0);
  return randomFromBytes((length) => {
    if (length > 4096) return random.bytes(length);
    if (buffer.length < length) buffer = random.bytes(4096);
    const drawn = buffer.slice(0, length);
    buffer = buffer.subarray(length);
    return drawn;
  });
}
