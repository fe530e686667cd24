// What the blind clock search does beside the transform: binning, the peak, and the line search.

/**
 * Counts times into f32 bins of width `binPs` from `origin` on, after stretching them about `reference`
 * by `drift`; bins are zeroed first, and the mean over [0, span) is taken off inside that stretch. Times
 * outside the bins are left out. Gives the number counted.
 */
export function binTimes(
  times: usize, count: u32, origin: i64, reference: i64, drift: f64,
  binPs: f64, span: u32, bins: usize, binCount: u32,
): u32 {
  memory.fill(bins, 0, <usize>binCount << 2);
  const perBin = 1.0 / binPs;
  let counted: u32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const time = load<i64>(times + (i << 3));
    const position = <f64>(time - origin) + drift * <f64>(time - reference);
    if (position < 0) continue;
    const bin = <u32>(position * perBin);
    if (bin >= span) continue;
    const at = bins + (<usize>bin << 2);
    store<f32>(at, load<f32>(at) + 1);
    counted++;
  }
  const mean = <f32>(<f64>counted / <f64>span);
  for (let bin: usize = 0; bin < <usize>span; bin++) {
    const at = bins + (bin << 2);
    store<f32>(at, load<f32>(at) - mean);
  }
  return counted;
}

/**
 * Finds the lag whose excess is largest against its own shot noise, over single lags and sums of two
 * neighbours. `correlation` (f32, binCount long, circular) holds excess pairs a lag, times binCount. At
 * lag l the two windows of `spanLocal` and `spanRemote` bins overlap in o bins, and
 * o * `pairsPerOverlapBin` chance pairs are expected. Lags of less than `overlapMin` bins are left out.
 * `result` (6 x f64): best (excess / sqrt(expected))^2 with its sign, its lag, 1 or 2 lags summed, the
 * excess, the expected pairs, the mean square of excess / sqrt(expected) over all single lags.
 */
export function findPeak(
  correlation: usize, binCount: u32, lagFrom: i32, lagTo: i32,
  spanLocal: i32, spanRemote: i32, overlapMin: i32, pairsPerOverlapBin: f64,
  result: usize,
): void {
  const mask = <i32>binCount - 1;
  const scale = 1.0 / <f64>binCount;
  let best: f64 = -1e300, bestLag = 0, bestWidth = 1, bestExcess: f64 = 0, bestExpected: f64 = 1;
  let squares: f64 = 0, lags: f64 = 0;
  for (let lag = lagFrom; lag < lagTo; lag++) {
    const overlap = min(spanLocal, spanRemote + lag) - max(0, lag);
    if (overlap < overlapMin) continue;
    const expected = <f64>overlap * pairsPerOverlapBin;
    const excess = <f64>load<f32>(correlation + (<usize>(lag & mask) << 2)) * scale;
    const square = (excess * excess) / expected;
    squares += square;
    lags += 1;
    if (excess > 0 && square > best) {
      best = square; bestLag = lag; bestWidth = 1; bestExcess = excess; bestExpected = expected;
    }
    const sum = excess + <f64>load<f32>(correlation + (<usize>((lag + 1) & mask) << 2)) * scale;
    const squareOfSum = (sum * sum) / (2 * expected);
    if (sum > 0 && squareOfSum > best) {
      best = squareOfSum; bestLag = lag; bestWidth = 2; bestExcess = sum; bestExpected = 2 * expected;
    }
  }
  store<f64>(result, best);
  store<f64>(result, <f64>bestLag, 8);
  store<f64>(result, <f64>bestWidth, 16);
  store<f64>(result, bestExcess, 24);
  store<f64>(result, bestExpected, 32);
  store<f64>(result, lags > 0 ? squares / lags : 1, 40);
}

/**
 * Histograms residual - drift * elapsed into u32 bins of width `binPs` from `from` on, and finds the two
 * neighbouring bins with the most pairs. `result` (2 x u32): index of the first of the two, their pairs.
 */
export function lineHistogram(
  residuals: usize, elapsed: usize, count: u32, drift: f64,
  from: f64, binPs: f64, bins: usize, binCount: u32, result: usize,
): void {
  memory.fill(bins, 0, <usize>binCount << 2);
  const perBin = 1.0 / binPs;
  for (let i: usize = 0; i < <usize>count; i++) {
    const position = (load<f64>(residuals + (i << 3)) - drift * load<f64>(elapsed + (i << 3)) - from) * perBin;
    if (position < 0) continue;
    const bin = <u32>position;
    if (bin >= binCount) continue;
    const at = bins + (<usize>bin << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let best: u32 = 0, bestBin: u32 = 0;
  for (let bin: u32 = 0; bin + 1 < binCount; bin++) {
    const at = bins + (<usize>bin << 2);
    const sum = load<u32>(at) + load<u32>(at, 4);
    if (sum > best) { best = sum; bestBin = bin; }
  }
  store<u32>(result, bestBin);
  store<u32>(result, best, 4);
}
