// A complex forward transform of 2^k points, k >= 4, in single precision with real and imaginary parts in
// separate arrays: Stockham's autosort (no bit reversal; Swarztrauber, "FFT algorithms for vector
// computers", Parallel Computing 1, 45 (1984)), radix 4 with one radix-2 pass where k is odd, four lanes
// at a time. The inverse is the same with real and imaginary arrays exchanged, times 1 / points.

/**
 * Fills cos and sin of -2 pi j / points, j < points / 4 (f32), each from a coarse and a fine factor in
 * double precision. `fine`: 2 x 1024 f64 of scratch.
 */
export function fillTwiddles(points: u32, cosines: usize, sines: usize, fine: usize): void {
  const step = -6.283185307179586 / <f64>points;
  const quarter = points >> 2;
  for (let j: u32 = 0; j < 1024; j++) {
    store<f64>(fine + (<usize>j << 4), Math.cos(step * <f64>j));
    store<f64>(fine + (<usize>j << 4), Math.sin(step * <f64>j), 8);
  }
  for (let base: u32 = 0; base < quarter; base += 1024) {
    const c = Math.cos(step * <f64>base), s = Math.sin(step * <f64>base);
    for (let j: u32 = 0; j < 1024 && base + j < quarter; j++) {
      const fc = load<f64>(fine + (<usize>j << 4)), fs = load<f64>(fine + (<usize>j << 4), 8);
      store<f32>(cosines + (<usize>(base + j) << 2), <f32>(c * fc - s * fs));
      store<f32>(sines + (<usize>(base + j) << 2), <f32>(c * fs + s * fc));
    }
  }
}

// @ts-ignore: decorator
@inline function storeTransposed(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), ab2 = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5), cd2 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to + 16, i64x2.shuffle(ab, cd, 1, 3));
  v128.store(to + 32, i64x2.shuffle(ab2, cd2, 0, 2));
  v128.store(to + 48, i64x2.shuffle(ab2, cd2, 1, 3));
}

/** The first radix-4 pass (stride 1): four butterflies at a time, written transposed. */
function firstPass(points: u32, re: usize, im: usize, toRe: usize, toIm: usize, cosines: usize, sines: usize): void {
  const quarter = <usize>points; // bytes of a quarter of the points: points / 4 * 4
  for (let p: usize = 0; p < quarter; p += 16) {
    const ar = v128.load(re + p), ai = v128.load(im + p);
    const br = v128.load(re + quarter + p), bi = v128.load(im + quarter + p);
    const cr = v128.load(re + 2 * quarter + p), ci = v128.load(im + 2 * quarter + p);
    const dr = v128.load(re + 3 * quarter + p), di = v128.load(im + 3 * quarter + p);
    const w1r = v128.load(cosines + p), w1i = v128.load(sines + p);
    const w2r = f32x4.sub(f32x4.mul(w1r, w1r), f32x4.mul(w1i, w1i));
    const w2i = f32x4.mul(f32x4.add(w1r, w1r), w1i);
    const w3r = f32x4.sub(f32x4.mul(w1r, w2r), f32x4.mul(w1i, w2i));
    const w3i = f32x4.add(f32x4.mul(w1r, w2i), f32x4.mul(w1i, w2r));
    const sr = f32x4.add(ar, cr), si = f32x4.add(ai, ci), tr = f32x4.sub(ar, cr), ti = f32x4.sub(ai, ci);
    const ur = f32x4.add(br, dr), ui = f32x4.add(bi, di), vr = f32x4.sub(br, dr), vi = f32x4.sub(bi, di);
    const xr = f32x4.add(tr, vi), xi = f32x4.sub(ti, vr);
    const yr = f32x4.sub(sr, ur), yi = f32x4.sub(si, ui);
    const zr = f32x4.sub(tr, vi), zi = f32x4.add(ti, vr);
    storeTransposed(toRe + 4 * p, f32x4.add(sr, ur),
      f32x4.sub(f32x4.mul(xr, w1r), f32x4.mul(xi, w1i)),
      f32x4.sub(f32x4.mul(yr, w2r), f32x4.mul(yi, w2i)),
      f32x4.sub(f32x4.mul(zr, w3r), f32x4.mul(zi, w3i)));
    storeTransposed(toIm + 4 * p, f32x4.add(si, ui),
      f32x4.add(f32x4.mul(xr, w1i), f32x4.mul(xi, w1r)),
      f32x4.add(f32x4.mul(yr, w2i), f32x4.mul(yi, w2r)),
      f32x4.add(f32x4.mul(zr, w3i), f32x4.mul(zi, w3r)));
  }
}

/** A radix-4 pass over sub-transforms of `length` points at stride `stride` >= 4. */
function laterPass(
  length: usize, stride: usize, twiddleStep: usize,
  re: usize, im: usize, toRe: usize, toIm: usize, cosines: usize, sines: usize,
): void {
  const quarter = length >> 2, row = stride << 2, apart = quarter * row;
  for (let p: usize = 0; p < quarter; p++) {
    const w1c = load<f32>(cosines + ((p * twiddleStep) << 2)), w1s = load<f32>(sines + ((p * twiddleStep) << 2));
    const w2c = w1c * w1c - w1s * w1s, w2s: f32 = <f32>2 * w1c * w1s;
    const w1r = f32x4.splat(w1c), w1i = f32x4.splat(w1s), w2r = f32x4.splat(w2c), w2i = f32x4.splat(w2s);
    const w3r = f32x4.splat(w1c * w2c - w1s * w2s), w3i = f32x4.splat(w1c * w2s + w1s * w2c);
    const fromRe = re + p * row, fromIm = im + p * row, outRe = toRe + 4 * p * row, outIm = toIm + 4 * p * row;
    for (let q: usize = 0; q < row; q += 16) {
      const r = fromRe + q, i = fromIm + q, or = outRe + q, oi = outIm + q;
      const ar = v128.load(r), ai = v128.load(i), br = v128.load(r + apart), bi = v128.load(i + apart);
      const cr = v128.load(r + 2 * apart), ci = v128.load(i + 2 * apart);
      const dr = v128.load(r + 3 * apart), di = v128.load(i + 3 * apart);
      const sr = f32x4.add(ar, cr), si = f32x4.add(ai, ci), tr = f32x4.sub(ar, cr), ti = f32x4.sub(ai, ci);
      const ur = f32x4.add(br, dr), ui = f32x4.add(bi, di), vr = f32x4.sub(br, dr), vi = f32x4.sub(bi, di);
      v128.store(or, f32x4.add(sr, ur));
      v128.store(oi, f32x4.add(si, ui));
      const xr = f32x4.add(tr, vi), xi = f32x4.sub(ti, vr);
      v128.store(or + row, f32x4.sub(f32x4.mul(xr, w1r), f32x4.mul(xi, w1i)));
      v128.store(oi + row, f32x4.add(f32x4.mul(xr, w1i), f32x4.mul(xi, w1r)));
      const yr = f32x4.sub(sr, ur), yi = f32x4.sub(si, ui);
      v128.store(or + 2 * row, f32x4.sub(f32x4.mul(yr, w2r), f32x4.mul(yi, w2i)));
      v128.store(oi + 2 * row, f32x4.add(f32x4.mul(yr, w2i), f32x4.mul(yi, w2r)));
      const zr = f32x4.sub(tr, vi), zi = f32x4.add(ti, vr);
      v128.store(or + 3 * row, f32x4.sub(f32x4.mul(zr, w3r), f32x4.mul(zi, w3i)));
      v128.store(oi + 3 * row, f32x4.add(f32x4.mul(zr, w3i), f32x4.mul(zi, w3r)));
    }
  }
}

/** The last pass of an odd power of two. */
function radix2Pass(points: u32, re: usize, im: usize, toRe: usize, toIm: usize): void {
  const half = <usize>points << 1;
  for (let q: usize = 0; q < half; q += 16) {
    const ar = v128.load(re + q), ai = v128.load(im + q), br = v128.load(re + half + q), bi = v128.load(im + half + q);
    v128.store(toRe + q, f32x4.add(ar, br));
    v128.store(toIm + q, f32x4.add(ai, bi));
    v128.store(toRe + half + q, f32x4.sub(ar, br));
    v128.store(toIm + half + q, f32x4.sub(ai, bi));
  }
}

/**
 * Transforms `points` = 2^k values, k >= 4. The result is in (re, im) when 0 is given, in the work arrays
 * when 1 is; the other pair is overwritten. Twiddles as `fillTwiddles` made them for this size.
 */
export function transform(
  points: u32, re: usize, im: usize, workRe: usize, workIm: usize, cosines: usize, sines: usize,
): u32 {
  firstPass(points, re, im, workRe, workIm, cosines, sines);
  let fromRe = workRe, fromIm = workIm, toRe = re, toIm = im, flips: u32 = 1;
  let length = <usize>points >> 2, stride: usize = 4;
  while (length >= 4) {
    laterPass(length, stride, stride, fromRe, fromIm, toRe, toIm, cosines, sines);
    let swap = fromRe; fromRe = toRe; toRe = swap;
    swap = fromIm; fromIm = toIm; toIm = swap;
    flips ^= 1;
    length >>= 2;
    stride <<= 2;
  }
  if (length == 2) {
    radix2Pass(points, fromRe, fromIm, toRe, toIm);
    flips ^= 1;
  }
  return flips;
}

/**
 * From Z = F(a + i b), a and b real, makes P = F(a) conj(F(b)) in place: both spectra come out of one
 * transform because those of real signals are Hermitian. The inverse transform of P is
 * sum_n a[n + lag] b[n].
 */
export function crossSpectrum(points: u32, re: usize, im: usize): void {
  const mask = <usize>points - 1, half = <usize>points >> 1;
  for (let k: usize = 0; k <= half; k++) {
    const pk = k << 2, pj = ((<usize>points - k) & mask) << 2;
    const a = load<f32>(re + pk), b = load<f32>(im + pk), c = load<f32>(re + pj), d = load<f32>(im + pj);
    const ar = (a + c) * 0.5, ai = (b - d) * 0.5, br = (b + d) * 0.5, bi = (c - a) * 0.5;
    const pr = ar * br + ai * bi, pi = ai * br - ar * bi;
    store<f32>(re + pk, pr);
    store<f32>(im + pk, pi);
    store<f32>(re + pj, pr);
    store<f32>(im + pj, -pi);
  }
}
