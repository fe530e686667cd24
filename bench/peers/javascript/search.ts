/** The blind clock search's coarse step in plain JavaScript, on doubles: Stockham's autosort, radix 4, for even powers of two. */

/** Arrays for one size; the peak's search needs them between calls only for their room. */
export interface SearchRoom {
  readonly points: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly workRe: Float64Array;
  readonly workIm: Float64Array;
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
}

/** Takes room for a transform. */
export const searchRoom = (points: number): SearchRoom => {
  const array = (count: number): Float64Array => new Float64Array(count);
  const [re, im, workRe, workIm] = [array(points), array(points), array(points), array(points)];
  return { points, re, im, workRe, workIm, cosines: array(points / 4), sines: array(points / 4) };
};

interface Complex {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

function radix4Pass(
  from: Complex,
  to: Complex,
  { points, stride }: { readonly points: number; readonly stride: number },
  { cosines, sines }: SearchRoom,
): void {
  const { re, im } = from;
  const { re: toRe, im: toIm } = to;
  const apart = points / 4;
  const quarter = apart / stride;
  for (let p = 0; p < quarter; p++) {
    const w1r = cosines[p * stride] as number;
    const w1i = sines[p * stride] as number;
    const w2r = w1r * w1r - w1i * w1i;
    const w2i = 2 * w1r * w1i;
    const w3r = w1r * w2r - w1i * w2i;
    const w3i = w1r * w2i + w1i * w2r;
    let out = 4 * p * stride;
    for (let at = p * stride, end = at + stride; at < end; at++, out++) {
      const ar = re[at] as number;
      const ai = im[at] as number;
      const br = re[at + apart] as number;
      const bi = im[at + apart] as number;
      const cr = re[at + 2 * apart] as number;
      const ci = im[at + 2 * apart] as number;
      const dr = re[at + 3 * apart] as number;
      const di = im[at + 3 * apart] as number;
      const xr = ar - cr + (bi - di);
      const xi = ai - ci - (br - dr);
      const yr = ar + cr - (br + dr);
      const yi = ai + ci - (bi + di);
      const zr = ar - cr - (bi - di);
      const zi = ai - ci + (br - dr);
      toRe[out] = ar + cr + (br + dr);
      toIm[out] = ai + ci + (bi + di);
      toRe[out + stride] = xr * w1r - xi * w1i;
      toIm[out + stride] = xr * w1i + xi * w1r;
      toRe[out + 2 * stride] = yr * w2r - yi * w2i;
      toIm[out + 2 * stride] = yr * w2i + yi * w2r;
      toRe[out + 3 * stride] = zr * w3r - zi * w3i;
      toIm[out + 3 * stride] = zr * w3i + zi * w3r;
    }
  }
}

/** Twiddles of a quarter turn, each from a coarse and a fine factor. */
function fillTwiddles({ points, cosines, sines }: SearchRoom): void {
  const step = (-2 * Math.PI) / points;
  const fineCosines = Float64Array.from({ length: 1024 }, (_, j) => Math.cos(step * j));
  const fineSines = Float64Array.from({ length: 1024 }, (_, j) => Math.sin(step * j));
  for (let base = 0; base < points / 4; base += 1024) {
    const c = Math.cos(step * base);
    const s = Math.sin(step * base);
    for (let j = 0; j < 1024; j++) {
      const fineCosine = fineCosines[j] as number;
      const fineSine = fineSines[j] as number;
      cosines[base + j] = c * fineCosine - s * fineSine;
      sines[base + j] = c * fineSine + s * fineCosine;
    }
  }
}

/** Transforms; gives the arrays that hold the result and those that do not. */
function transform(values: Complex, work: Complex, room: SearchRoom): [Complex, Complex] {
  let [from, to] = [values, work];
  const { points } = room;
  for (let stride = 1; stride < points; stride *= 4) {
    radix4Pass(from, to, { points, stride }, room);
    [from, to] = [to, from];
  }
  return [from, to];
}

function crossSpectrum(points: number, { re, im }: Complex): void {
  for (let k = 0; k <= points / 2; k++) {
    const j = (points - k) & (points - 1);
    const a = re[k] as number;
    const b = im[k] as number;
    const c = re[j] as number;
    const d = im[j] as number;
    const real = (a + c) * (b + d) + (b - d) * (c - a);
    const imaginary = (b - d) * (b + d) - (a + c) * (c - a);
    re[k] = real / 4;
    im[k] = imaginary / 4;
    re[j] = real / 4;
    im[j] = -imaginary / 4;
  }
}

function binTimes(times: Float64Array, binPs: number, span: number, bins: Float64Array): number {
  bins.fill(0);
  const perBin = 1 / binPs;
  let counted = 0;
  for (let at = 0; at < times.length; at++) {
    const bin = ((times[at] as number) * perBin) | 0;
    if (bin >= span) continue;
    bins[bin] = (bins[bin] as number) + 1;
    counted++;
  }
  const mean = counted / span;
  for (let bin = 0; bin < span; bin++) bins[bin] = (bins[bin] as number) - mean;
  return counted;
}

function findPeak(correlation: Float64Array, span: number, pairsPerOverlapBin: number): number {
  const points = correlation.length;
  let best = 0;
  let bestLag = 0;
  for (let lag = -span; lag < span; lag++) {
    const overlap = span - Math.abs(lag);
    if (overlap * 5 < span) continue;
    const expected = overlap * pairsPerOverlapBin;
    const excess = (correlation[lag & (points - 1)] as number) / points;
    const sum = excess + (correlation[(lag + 1) & (points - 1)] as number) / points;
    const squared = (excess * excess) / expected;
    const squaredSum = (sum * sum) / (2 * expected);
    const value = Math.max(excess > 0 ? squared : 0, sum > 0 ? squaredSum : 0);
    if (value > best) {
      best = value;
      bestLag = lag;
    }
  }
  return bestLag;
}

/** Gives the lag, in bins, at which local times fit remote ones best. */
export function searchLag(
  local: Float64Array,
  remote: Float64Array,
  { binPs, span }: { readonly binPs: number; readonly span: number },
  room: SearchRoom,
): number {
  const { re, im, workRe, workIm } = room;
  fillTwiddles(room);
  const perBin =
    (binTimes(local, binPs, span, re) / span) * (binTimes(remote, binPs, span, im) / span);
  const [values, work] = transform({ re, im }, { re: workRe, im: workIm }, room);
  crossSpectrum(room.points, values);
  // The inverse is the forward transform with real and imaginary parts exchanged.
  const swapped = { re: values.im, im: values.re };
  const [correlation] = transform(swapped, { re: work.im, im: work.re }, room);
  return findPeak(correlation.im, span, perBin);
}
