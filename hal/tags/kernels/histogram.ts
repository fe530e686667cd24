// Time differences of two dense columns in bins, and in windows displaced by a fixed spacing.
//
// Division of a difference d, 0 <= d < span, by a constant is (d * magic) >> shift, exact for all d when
// magic = ceil(2^shift / divisor) and 2^shift >= span * divisor (Granlund and Montgomery, "Division by
// invariant integers using multiplication", 1994, theorem 4.2 with the error term below 1/divisor);
// d * magic must stay below 2^64. Where no such shift exists, magic is 0 and the processor divides.

// @ts-ignore
@inline function quotient(difference: u64, divisor: u64, magic: u64, shift: u64): u64 {
  return magic ? (difference * magic) >> shift : difference / divisor;
}

/**
 * Adds 1 to bin floor((stop - start - lowPs) / binPs) (u64 counters) for every pair with
 * lowPs <= stop - start < lowPs + spanPs. A sentinel is written behind the last stop.
 */
export function binPairs(starts: usize, startCount: u32, stops: usize, stopCount: u32, lowPs: i64, spanPs: i64, binPs: u64, magic: u64, shift: u32, bins: usize): void {
  store<i64>(stops + (<usize>stopCount << 3), i64.MAX_VALUE);
  let low = stops, shifts = <u64>shift;
  for (let end = starts + (<usize>startCount << 3); starts < end; starts += 8) {
    let from = load<i64>(starts) + lowPs, to = from + spanPs;
    while (load<i64>(low) < from) low += 8;
    for (let stop = low; ; stop += 8) {
      let time = load<i64>(stop);
      if (time >= to) break;
      let bin = bins + (<usize>quotient(<u64>(time - from), binPs, magic, shifts) << 3);
      store<u64>(bin, load<u64>(bin) + 1);
    }
  }
}

/**
 * Adds 1 to window k (u64 counters) for every pair with
 * lowPs + k * spacingPs <= stop - start < lowPs + k * spacingPs + widthPs, for all k with
 * k * spacingPs < spanPs. A sentinel is written behind the last stop.
 */
export function countDisplacedWindows(starts: usize, startCount: u32, stops: usize, stopCount: u32, lowPs: i64, spanPs: i64, spacingPs: u64, widthPs: u64, magic: u64, shift: u32, windows: usize): void {
  store<i64>(stops + (<usize>stopCount << 3), i64.MAX_VALUE);
  let low = stops, shifts = <u64>shift;
  for (let end = starts + (<usize>startCount << 3); starts < end; starts += 8) {
    let from = load<i64>(starts) + lowPs, to = from + spanPs;
    while (load<i64>(low) < from) low += 8;
    for (let stop = low; ; stop += 8) {
      let time = load<i64>(stop);
      if (time >= to) break;
      let difference = <u64>(time - from), index = quotient(difference, spacingPs, magic, shifts);
      let window = windows + (<usize>index << 3);
      store<u64>(window, load<u64>(window) + <u64>(difference - index * spacingPs < widthPs));
    }
  }
}
