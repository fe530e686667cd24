import type { ToeplitzHasher } from "./privacy-amplification.ts";
import { toeplitzSeedBytes } from "./privacy-amplification.ts";

/**
 * Gives the bits of a verification tag: with a two-universal hash, two different blocks agree in a tag of
 * t bits with probability 2^-t at most, so t = ceil(-log2 correctnessError). All t count as leakage.
 */
export const verificationTagBits = (correctnessError: number): number =>
  Math.max(1, Math.ceil(-Math.log2(correctnessError)));

/** Gives the bytes of the public random seed of a tag; it is drawn after the block is fixed at both ends. */
export const verificationSeedBytes = (keyBits: number, tagBits: number): number =>
  toeplitzSeedBytes(keyBits, tagBits);

/** Computes the tag (packed) of a corrected block of packed bits. */
export const verificationTag = (
  hasher: ToeplitzHasher,
  options: {
    readonly block: Uint8Array;
    readonly blockBits: number;
    readonly seed: Uint8Array;
    readonly tagBits: number;
  },
): Uint8Array =>
  hasher.hash({
    input: options.block,
    inputBits: options.blockBits,
    seed: options.seed,
    outputBits: options.tagBits,
  });
