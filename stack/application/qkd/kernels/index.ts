// Kernels of key distillation. Addresses are byte offsets into the imported memory; nothing is allocated,
// no state is kept. Bits are packed eight a byte, least significant first.

/** Bytes of one tile of the output: small enough to stay in the first-level cache. */
const tileBytes: usize = 8192;

/**
 * Copies `seedBytes` bytes of a bit string eight times, copy k shifted down by k bits, `stride` bytes apart:
 * afterwards every bit offset of the seed begins on a byte of one copy. The seed must be followed by one
 * readable byte, `stride` >= `seedBytes`.
 */
export function shiftedCopies(seed: usize, seedBytes: u32, copies: usize, stride: u32): void {
  for (let k: u32 = 0; k < 8; k++) {
    const copy = copies + <usize>(k * stride);
    for (let j: u32 = 0; j < seedBytes; j++) {
      const word = <u32>load<u8>(seed + j) | ((<u32>load<u8>(seed + j + 1)) << 8);
      store<u8>(copy + j, word >> k);
    }
  }
}

/**
 * Lists, as u32 addresses, the row of the seed that each set bit c of the `inputBits` input bits selects:
 * the seed from bit inputBits - 1 - c on. The list is filled up to a multiple of 8 with `zeroRow`.
 * Gives the number of entries.
 */
export function selectRows(
  input: usize,
  inputBits: u32,
  copies: usize,
  stride: u32,
  zeroRow: usize,
  rows: usize,
): u32 {
  let count: u32 = 0;
  for (let c: u32 = 0; c < inputBits; c++) {
    if ((load<u8>(input + (c >> 3)) >> <u8>(c & 7)) & 1) {
      const first = inputBits - 1 - c;
      store<u32>(rows + (<usize>count << 2), <u32>(copies + <usize>((first & 7) * stride + (first >> 3))));
      count++;
    }
  }
  while (count & 7) {
    store<u32>(rows + (<usize>count << 2), <u32>zeroRow);
    count++;
  }
  return count;
}

/** Gives the exclusive or of 16 bytes at `offset` of the eight rows listed at `list`. */
// @ts-ignore: decorator
@inline
function eightRows(list: usize, offset: usize): v128 {
  const a = v128.xor(v128.load(<usize>load<u32>(list) + offset), v128.load(<usize>load<u32>(list, 4) + offset));
  const b = v128.xor(v128.load(<usize>load<u32>(list, 8) + offset), v128.load(<usize>load<u32>(list, 12) + offset));
  const c = v128.xor(v128.load(<usize>load<u32>(list, 16) + offset), v128.load(<usize>load<u32>(list, 20) + offset));
  const d = v128.xor(v128.load(<usize>load<u32>(list, 24) + offset), v128.load(<usize>load<u32>(list, 28) + offset));
  return v128.xor(v128.xor(a, b), v128.xor(c, d));
}

/**
 * Writes the exclusive or of `count` listed rows (a multiple of 8) to `output`, bytes [fromByte, toByte), both
 * multiples of 16. Rows must be readable up to `toByte`. A caller may split the output into ranges.
 */
export function xorRows(rows: usize, count: u32, output: usize, fromByte: u32, toByte: u32): void {
  memory.fill(output + fromByte, 0, toByte - fromByte);
  for (let tile: usize = fromByte; tile < <usize>toByte; tile += tileBytes) {
    const tileEnd = min<usize>(tile + tileBytes, toByte);
    for (let g: u32 = 0; g < count; g += 8) {
      const list = rows + (<usize>g << 2);
      for (let j = tile; j < tileEnd; j += 16) {
        v128.store(output + j, v128.xor(v128.load(output + j), eightRows(list, j)));
      }
    }
  }
}
