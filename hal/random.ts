import { randomBytes } from "node:crypto";

/** A source of chance. Keys draw from the operating system's generator alone; simulations from a seed. */
export interface RandomSource {
  /** Gives that many independent uniform bytes. */
  bytes(byteCount: number): Uint8Array;
  /** Gives a uniform integer in [0, bound), 1 <= bound <= 2^32, without modulo bias. */
  below(bound: number): number;
  /** Gives a uniform double in [0, 1) with 53 random bits. */
  uniform(): number;
}

/** Builds the derived draws on a source of bytes. */
export function randomFromBytes(bytes: (byteCount: number) => Uint8Array): RandomSource {
  const uint32 = (): number => {
    const draw = bytes(4);
    return new DataView(draw.buffer, draw.byteOffset, 4).getUint32(0, true);
  };
  return {
    bytes,
    below: (bound) => {
      if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
        throw new RangeError(`bound must be an integer from 1 to 2^32, not ${bound}`);
      }
      const limit = 2 ** 32 - (2 ** 32 % bound);
      let draw = uint32();
      while (draw >= limit) draw = uint32();
      return draw % bound;
    },
    uniform: () => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53,
  };
}

/** The operating system's cryptographic generator. */
export const systemRandom: RandomSource = randomFromBytes((byteCount) => randomBytes(byteCount));
