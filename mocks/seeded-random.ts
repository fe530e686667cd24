import { type RandomSource, randomFromBytes } from "../hal/random.ts";

/**
 * Gives uniform 32-bit draws, the same for the same seed: sfc32 (Chris Doty-Humphrey's Small Fast Counting
 * generator, PractRand, 32-bit variant), seeded through 15 rounds. Not for keys.
 */
export function seededWords(seed: number): () => number {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const uint32 = (): number => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = ((c << 21) | (c >>> 11)) >>> 0;
    c = (c + sum) >>> 0;
    return sum;
  };
  for (let round = 0; round < 15; round++) uint32();
  return uint32;
}

/** A source of chance on `seededWords`. */
export function seededRandom(seed: number): RandomSource {
  const uint32 = seededWords(seed);
  return randomFromBytes((length) => {
    const bytes = new Uint8Array(length);
    const words = new DataView(bytes.buffer);
    for (let at = 0; at < length; at += 4) {
      const draw = uint32();
      if (at + 4 <= length) words.setUint32(at, draw, true);
      else for (let rest = at; rest < length; rest++) bytes[rest] = draw >>> (8 * (rest - at));
    }
    return bytes;
  });
}
