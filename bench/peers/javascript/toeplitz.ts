/** Privacy amplification by a random Toeplitz matrix in plain JavaScript: 32-bit words, one row of the seed an input bit. */

/** Hashes packed bits; `seed` has at least ceil((inputBits + outputBits - 1) / 8) bytes. */
export function toeplitzHash(
  input: Uint8Array,
  inputBits: number,
  seed: Uint8Array,
  outputBits: number,
): Uint8Array {
  const outputWords = Math.ceil(outputBits / 32);
  // 32 copies of the seed, each a bit further, so that every row begins at a word of one.
  const stride = Math.ceil(seed.length / 4) + outputWords + 2;
  const copies = new Uint32Array(32 * stride);
  new Uint8Array(copies.buffer).set(seed);
  for (let shift = 1; shift < 32; shift++) {
    for (let at = 0; at + 1 < stride; at++) {
      copies[shift * stride + at] =
        ((copies[at] as number) >>> shift) | ((copies[at + 1] as number) << (32 - shift));
    }
  }
  const output = new Uint32Array(outputWords);
  const rows: number[] = [];
  for (let bit = 0; bit < inputBits; bit++) {
    const first = inputBits - 1 - bit;
    if ((((input[bit >>> 3] as number) >>> (bit & 7)) & 1) === 1) {
      rows.push((first & 31) * stride + (first >>> 5));
    }
  }
  let at = 0;
  for (; at + 4 <= rows.length; at += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = rows.slice(at, at + 4);
    for (let word = 0; word < outputWords; word++) {
      const low = (copies[a + word] as number) ^ (copies[b + word] as number);
      const high = (copies[c + word] as number) ^ (copies[d + word] as number);
      output[word] = (output[word] as number) ^ low ^ high;
    }
  }
  for (; at < rows.length; at++) {
    const row = rows[at] as number;
    for (let word = 0; word < outputWords; word++) {
      output[word] = (output[word] as number) ^ (copies[row + word] as number);
    }
  }
  return new Uint8Array(output.buffer, 0, Math.ceil(outputBits / 8));
}
