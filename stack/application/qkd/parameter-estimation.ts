import type { RandomSource } from "../../../hal/random.ts";
import { clopperPearson } from "./binomial.ts";
import { countOnes, packBits } from "./bit-string.ts";
import { bufferedRandom } from "./public-permutation.ts";

/** An error rate from a count of `errors` in `trials`, 0..1. */
export interface ErrorRate {
  readonly errors: number;
  readonly trials: number;
  readonly value: number;
  /** Standard uncertainty (k = 1), from (errors + 1/2) so that it is not 0 where no error was seen. */
  readonly uncertainty: number;
  /** Clopper-Pearson bounds of at least 95 % coverage. */
  readonly low: number;
  readonly high: number;
}

/** The quantum bit error rate of a test sample, over all and by basis. */
export interface QberEstimate {
  readonly overall: ErrorRate;
  readonly z: ErrorRate;
  readonly x: ErrorRate;
}

/** Estimates an error rate; with no trials it is 0 within [0, 1]. */
export function estimateErrorRate(errors: number, trials: number): ErrorRate {
  const smoothed = (errors + 0.5) / (trials + 1);
  return {
    errors,
    trials,
    value: trials === 0 ? 0 : errors / trials,
    uncertainty: trials === 0 ? 0.5 : Math.sqrt((smoothed * (1 - smoothed)) / trials),
    ...clopperPearson(errors, trials, 0.95),
  };
}

/** Gives the number of test bits of a block. */
export const testBitCount = (blockBits: number, testFraction: number): number =>
  Math.round(blockBits * testFraction);

/**
 * Draws `testBits` of `blockBits` positions, uniformly among all subsets (Fisher-Yates), as a mask of one
 * byte a position. It must be drawn from real randomness, after both ends hold the block: the bound on the
 * key relies on a sample that nobody could foresee while the photons travelled.
 */
export function drawTestMask(
  random: RandomSource,
  blockBits: number,
  testBits: number,
): Uint8Array {
  const source = bufferedRandom(random);
  const order = new Uint32Array(blockBits);
  for (let i = 0; i < blockBits; i++) order[i] = i;
  const mask = new Uint8Array(blockBits);
  for (let i = 0; i < testBits; i++) {
    const j = i + source.below(blockBits - i);
    const drawn = order[j] ?? 0;
    order[j] = order[i] ?? 0;
    order[i] = drawn;
    mask[drawn] = 1;
  }
  return mask;
}

/** Splits one end's bits into the packed test bits, which are disclosed, and the rest, which become the key. */
export function splitByMask(
  bits: Uint8Array,
  mask: Uint8Array,
): { readonly testBits: Uint8Array; readonly keyBits: Uint8Array } {
  const tested = countOnes(mask);
  const test = new Uint8Array(tested);
  const keyBits = new Uint8Array(bits.length - tested);
  let [inTest, inKey] = [0, 0];
  for (let i = 0; i < bits.length; i++) {
    if (mask[i] === 1) test[inTest++] = bits[i] ?? 0;
    else keyBits[inKey++] = bits[i] ?? 0;
  }
  return { testBits: packBits(test), keyBits };
}

/** Compares both ends' packed test bits; `bases` and `mask` run over the whole block. */
export function estimateQber(
  sample: { readonly mask: Uint8Array; readonly bases: Uint8Array },
  mine: Uint8Array,
  theirs: Uint8Array,
): QberEstimate {
  const errors: [number, number] = [0, 0];
  const trials: [number, number] = [0, 0];
  let item = 0;
  for (let i = 0; i < sample.mask.length; i++) {
    if (sample.mask[i] !== 1) continue;
    const basis = sample.bases[i] === 1 ? 1 : 0;
    trials[basis]++;
    const differs = ((mine[item >>> 3] ?? 0) ^ (theirs[item >>> 3] ?? 0)) >>> (item & 7);
    errors[basis] += differs & 1;
    item++;
  }
  return {
    overall: estimateErrorRate(errors[0] + errors[1], trials[0] + trials[1]),
    z: estimateErrorRate(errors[0], trials[0]),
    x: estimateErrorRate(errors[1], trials[1]),
  };
}
