// Times on the wire: differences of successive times, in units of the tick, as little-endian base-128
// varints (7 bits a byte, high bit set where more follow); single bits packed 8 to a byte, lowest first.

/**
 * Encodes `count` sorted times from `base` on. Gives the bytes written, or -1 when a difference is
 * negative or no multiple of `unit`. Room for 10 bytes a time is the caller's matter.
 */
export function encodeTimes(times: usize, count: u32, base: i64, unit: i64, bytes: usize): i32 {
  let last = base, at = bytes;
  for (let i: usize = 0; i < <usize>count; i++) {
    const time = load<i64>(times + (i << 3));
    const difference = time - last;
    if (difference < 0) return -1;
    let steps = <u64>difference;
    if (unit != 1) {
      steps = <u64>(difference / unit);
      if (<i64>steps * unit != difference) return -1;
    }
    last = time;
    while (steps >= 0x80) {
      store<u8>(at++, <u8>(steps | 0x80));
      steps >>= 7;
    }
    store<u8>(at++, <u8>steps);
  }
  return <i32>(at - bytes);
}

/**
 * Decodes exactly `count` times from `length` bytes of a peer that is not trusted. Gives 0, or -1 when
 * the bytes are too few or too many, or a time leaves [base, end).
 */
export function decodeTimes(
  bytes: usize, length: u32, count: u32, base: i64, end: i64, unit: i64, times: usize,
): i32 {
  const stop = bytes + <usize>length;
  if (end < base || unit < 1) return -1;
  const stepsMax = <u64>((end - base) / unit);
  let at = bytes, time = base;
  for (let i: usize = 0; i < <usize>count; i++) {
    let steps: u64 = 0, shift: u64 = 0;
    while (true) {
      if (at >= stop || shift > 56) return -1;
      const byte = <u64>load<u8>(at++);
      steps |= (byte & 0x7f) << shift;
      shift += 7;
      if (byte < 0x80) break;
    }
    if (steps > stepsMax) return -1;
    time += <i64>steps * unit;
    if (time >= end) return -1;
    store<i64>(times + (i << 3), time);
  }
  return at == stop ? 0 : -1;
}

/** Packs `count` bytes that are 0 or 1 into ceil(count / 8) bytes. */
export function packBits(values: usize, count: u32, bytes: usize): void {
  for (let i: usize = 0; i < (<usize>count + 7) >> 3; i++) store<u8>(bytes + i, 0);
  for (let i: usize = 0; i < <usize>count; i++) {
    const at = bytes + (i >> 3);
    store<u8>(at, load<u8>(at) | (load<u8>(values + i) << <u8>(i & 7)));
  }
}

/** Unpacks `count` bits into bytes that are 0 or 1. */
export function unpackBits(bytes: usize, count: u32, values: usize): void {
  for (let i: usize = 0; i < <usize>count; i++) {
    store<u8>(values + i, (load<u8>(bytes + (i >> 3)) >> <u8>(i & 7)) & 1);
  }
}
