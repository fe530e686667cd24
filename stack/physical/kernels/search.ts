// What the blind clock search does beside the transform: binning, the peak, and the line search.

/**
 * Counts times into f32 bins of width `binPs` from `origin` on, after stretching them about `reference`
 * by `drift`; bins are zeroed first. Then takes off, in each chunk of `chunkBins` bins of [0, span), the chunk's own
 * mean, so that light that is switched or flickers leaves no correlation of its own, and writes the counts of
 * the chunks to `chunks` (f64, ceil(span / chunkBins)). Times outside the bins are left out. Gives the number counted.
 */
export function binTimes(
  times: usize, count: u32, origin: i64, reference: i64, drift: f64,
  binPs: f64, span: u32, bins: usize, binCount: u32, chunkBins: u32, chunks: usize,
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
  let chunk = chunks;
  for (let start: u32 = 0; start < span; start += chunkBins) {
    const end = min(start + chunkBins, span);
    let sum: f64 = 0;
    for (let bin = start; bin < end; bin++) sum += <f64>load<f32>(bins + (<usize>bin << 2));
    const mean = <f32>(sum / <f64>(end - start));
    for (let bin = start; bin < end; bin++) {
      const at = bins + (<usize>bin << 2);
      store<f32>(at, load<f32>(at) - mean);
    }
    store<f64>(chunk, sum);
    chunk += 8;
  }
  return counted;
}

/**
 * Gives the pairs that chance makes at whole chunks of lag: for L from -(remoteChunks) to localChunks, inclusive, the
 * sum over i of local[i + L] x remote[i] / chunkBins, as f64 at `expected`.
 */
export function chancePairs(
  local: usize, localChunks: i32, remote: usize, remoteChunks: i32, chunkBins: u32, expected: usize,
): void {
  for (let lag = -remoteChunks; lag <= localChunks; lag++) {
    let sum: f64 = 0;
    for (let i = max(0, -lag); i < min(remoteChunks, localChunks - lag); i++) {
      sum += load<f64>(local + (<usize>(i + lag) << 3)) * load<f64>(remote + (<usize>i << 3));
    }
    store<f64>(expected + (<usize>(lag + remoteChunks) << 3), sum / <f64>chunkBins);
  }
}

/**
 * Finds the lag whose excess is largest against its own shot noise, over single lags and sums of two
 * neighbours. `correlation` (f32, binCount long, circular) holds excess pairs a lag, times binCount. `expected` is that
 * of chancePairs, between whose lags rates that are constant in a chunk make a straight line; less than
 * `expectedMin` is taken for that, which makes evidence smaller. Lags at which the windows of `spanLocal` and `spanRemote` bins
 * overlap by less than `overlapMin` bins are left out.
 * `result` (6 x f64): best (excess / sqrt(expected))^2 with its sign, its lag, 1 or 2 lags summed, the
 * excess, the expected pairs, the mean square of excess / sqrt(expected) over all single lags.
 */
export function findPeak(
  correlation: usize, binCount: u32, lagFrom: i32, lagTo: i32,
  spanLocal: i32, spanRemote: i32, overlapMin: i32,
  expected: usize, chunkBins: i32, remoteChunks: i32, expectedMin: f64,
  result: usize,
): void {
  const mask = <i32>binCount - 1;
  const scale = 1.0 / <f64>binCount;
  let best: f64 = -1e300, bestLag = 0, bestWidth = 1, bestExcess: f64 = 0, bestExpected: f64 = 1;
  let squares: f64 = 0, lags: f64 = 0;
  for (let lag = lagFrom; lag < lagTo; lag++) {
    const overlap = min(spanLocal, spanRemote + lag) - max(0, lag);
    if (overlap < overlapMin) continue;
    const shifted = lag + remoteChunks * chunkBins;
    const chunk = shifted / chunkBins;
    const part = <f64>(shifted - chunk * chunkBins) / <f64>chunkBins;
    const at = expected + (<usize>chunk << 3);
    const chance = max(expectedMin, (1 - part) * load<f64>(at) + part * load<f64>(at, 8));
    const excess = <f64>load<f32>(correlation + (<usize>(lag & mask) << 2)) * scale;
    const square = (excess * excess) / chance;
    squares += square;
    lags += 1;
    if (excess > 0 && square > best) {
      best = square; bestLag = lag; bestWidth = 1; bestExcess = excess; bestExpected = chance;
    }
    const sum = excess + <f64>load<f32>(correlation + (<usize>((lag + 1) & mask) << 2)) * scale;
    const squareOfSum = (sum * sum) / (2 * chance);
    if (sum > 0 && squareOfSum > best) {
      best = squareOfSum; bestLag = lag; bestWidth = 2; bestExcess = sum; bestExpected = 2 * chance;
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
