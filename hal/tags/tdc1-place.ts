/**
 * Where TDC1 words begin in a stretch of bytes that has no marks: the alignment at which time advances least.
 * Words shifted by one, two or three bytes have steps multiplied by 2^8 to 2^24, modulo a rollover, so
 * that for all but a few words a second the true place stands out.
 */

const wordBytes = 4;
const timeMask = 2 ** 27 - 1;
/** Dummies come every 2^26 ticks, "about every 140 ms" by the maker's words. */
const stepTicksMax = 75_000_000;
/** Words that decide, and bytes in which all four alignments have as many. */
const provingWords = 33;
export const tdc1ProvingBytes = (provingWords + 1) * wordBytes;

/** Ticks that go by over the proving words from `start` on; Infinity when a step is impossible. */
function advanceFrom(bytes: DataView, start: number): number {
  let advance = 0;
  let before = bytes.getUint32(start, true) >>> 5;
  for (let word = 1; word < provingWords; word++) {
    const time = bytes.getUint32(start + wordBytes * word, true) >>> 5;
    const step = (time - before) & timeMask;
    if (step > stepTicksMax) return Number.POSITIVE_INFINITY;
    advance += step;
    before = time;
  }
  return advance;
}

/**
 * Gives the place, from `from` on, of the first byte of a word, or null when `bytes` holds no place at which
 * `tdc1ProvingBytes` make sense.
 */
export function findTdc1Place(bytes: DataView, from: number): number | null {
  for (let start = from; start + tdc1ProvingBytes <= bytes.byteLength; start += wordBytes) {
    let [best, bestAdvance] = [start, Number.POSITIVE_INFINITY];
    for (let at = start; at < start + wordBytes; at++) {
      const advance = advanceFrom(bytes, at);
      if (advance < bestAdvance) [best, bestAdvance] = [at, advance];
    }
    if (Number.isFinite(bestAdvance)) return best;
  }
  return null;
}
