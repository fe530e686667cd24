/**
 * Bits in two forms: one bit a byte (values 0 and 1), where single bits are touched, and packed eight a
 * byte, least significant bit first, on the wire and in kernels. Padding bits of the last byte are 0.
 */

/** Packs bits (one a byte) eight a byte, least significant first. */
export function packBits(bits: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8));
  for (let i = 0; i < bits.length; i++) {
    const place = i >>> 3;
    packed[place] = (packed[place] ?? 0) | (((bits[i] ?? 0) & 1) << (i & 7));
  }
  return packed;
}

/** Unpacks the first `count` bits, one a byte; bits beyond the end are 0. */
export function unpackBits(packed: Uint8Array, count: number): Uint8Array {
  const bits = new Uint8Array(count);
  for (let i = 0; i < count; i++) bits[i] = ((packed[i >>> 3] ?? 0) >>> (i & 7)) & 1;
  return bits;
}

/** Tells whether `packed` has the length of `count` bits and no padding bit set: what a peer sent is checked with it. */
export function isPackedBits(packed: Uint8Array, count: number): boolean {
  if (packed.length !== Math.ceil(count / 8)) return false;
  const used = count & 7;
  return used === 0 || (packed[packed.length - 1] ?? 0) >>> used === 0;
}

/** Gives the parity (0 or 1) of bits[order[start]] .. bits[order[end - 1]]. */
export function parityOf(
  bits: Uint8Array,
  order: Uint32Array,
  range: { readonly start: number; readonly end: number },
): number {
  let parity = 0;
  for (let i = range.start; i < range.end; i++) parity ^= bits[order[i] ?? 0] ?? 0;
  return parity & 1;
}

/** Counts the ones among bits (one a byte). */
export function countOnes(bits: Uint8Array): number {
  let ones = 0;
  for (const bit of bits) ones += bit;
  return ones;
}
