/**
 * An instrument's oscillator, in exact integer arithmetic: what its time stamp shows for a true time.
 */

/** Divisor of the drift's unit, 1e-12. */
const driftUnit: i64 = 1_000_000_000_000;
const million: i64 = 1_000_000;

@inline
function divideDown(numerator: i64, denominator: i64): i64 {
  const quotient = numerator / denominator;
  return quotient - i64(quotient * denominator > numerator);
}

/**
 * Writes floor((t (1 + driftPpt 1e-12) + offsetPs) / tickPs) for each of `count` times t (i64, ps) at `times` to `ticks` (i64); both may
 * be one place. Exact for every |t| + |offsetPs| < 2^62 and |driftPpt| <= 1e9: with t = q 1e12 + r, r = r1 1e6 + r0,
 * floor(t d / 1e12) = q d + floor((r1 d + floor(r0 d / 1e6)) / 1e6), and no product leaves 63 bits.
 */
export function ticksFromTimes(times: usize, ticks: usize, count: u32, driftPpt: i64, offsetPs: i64, tickPs: i64): void {
  for (const end = times + (<usize>count << 3); times < end; times += 8, ticks += 8) {
    const time = load<i64>(times);
    const seconds = divideDown(time, driftUnit);
    const rest = time - seconds * driftUnit;
    const high = rest / million;
    const low = rest - high * million;
    const gained = seconds * driftPpt + divideDown(high * driftPpt + divideDown(low * driftPpt, million), million);
    store<i64>(ticks, divideDown(time + gained + offsetPs, tickPs));
  }
}
