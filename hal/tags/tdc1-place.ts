/**
 * Where TDC1 words begin in a stretch of bytes that has no marks: the alignment at which time advances least.
 * Words shifted by one, two or three bytes have steps multiplied by 2^8 to 2^24, modulo a rollover, so
 * that for all but a few words a second the true place stands out. 32 possible steps in a row have a chance of 1e-8 in noise.
 */

const wordBytes = 4;
const timeMask = 2 ** 27 - 1;
/** Half a rollover is 134 ms, and dummies come at least so often; the maker says "about every 140 ms". */
export const tdc1StepTicksMax = 75_000_000;
/** Steps that decide; the first half of them may begin before the place, the second half tells what is ordinary. */
const provingSteps = 32;
/** Bytes in which all four alignments have as many words. */
export const tdc1ProvingBytes = (provingSteps + 2) * wordBytes;

/** Ticks from each of the proving words, from byte `start` on, to the next. */
function stepsFrom(bytes: DataView, start: number): readonly number[] {
  const timeAt = (word: number): number => bytes.getUint32(start + wordBytes * word, true) >>> 5;
  return Array.from(
    { length: provingSteps },
    (_, word) => (timeAt(word + 1) - timeAt(word)) & timeMask,
  );
}

/** Ticks that go by in all steps; Infinity when one is impossible. */
const advanceOf = (steps: readonly number[]): number =>
  steps.some((step) => step > tdc1StepTicksMax)
    ? Number.POSITIVE_INFINITY
    : steps.reduce((sum, step) => sum + step, 0);

/**
 * Words to leave out. A word before the place follows the rules by chance one time in two, but its step is long; one
 * made of the ends of two words has nearly the right time, so the first is never trusted.
 */
function doubtfulWords(steps: readonly number[]): number {
  const longest = Math.max(...steps.slice(provingSteps / 2));
  return 2 + steps.slice(0, provingSteps / 2).findLastIndex((step) => step > longest);
}

/**
 * Gives the place, from `from` on, of the first byte of a word that can be trusted, or null when `bytes` holds no place
 * at which `tdc1ProvingBytes` make sense; those that come after the last `tdc1ProvingBytes` began were not tried.
 */
export function findTdc1Place(bytes: DataView, from: number): number | null {
  for (let start = from; start + tdc1ProvingBytes <= bytes.byteLength; start += wordBytes) {
    let [best, bestAdvance] = [start, Number.POSITIVE_INFINITY];
    for (let at = start; at < start + wordBytes; at++) {
      const advance = advanceOf(stepsFrom(bytes, at));
      if (advance < bestAdvance) [best, bestAdvance] = [at, advance];
    }
    if (Number.isFinite(bestAdvance))
      return best + wordBytes * doubtfulWords(stepsFrom(bytes, best));
  }
  return null;
}
