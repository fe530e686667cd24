// The blind clock search's coarse step: bin two lists of times, correlate them at all lags by one forward and one inverse transform, find
// the peak. Stockham's autosort, radix 4, single precision, as the kernels do it; the compiler vectorizes.
#include "peer.hpp"
#include <cmath>

namespace {

using Reals = Column<float>;

/// One radix-4 pass over sub-transforms of `length` points at a stride that the compiler may know.
template <size_t Known>
inline void pass(size_t length, size_t anyStride, size_t step, const float *__restrict re, const float *__restrict im, float *__restrict toRe, float *__restrict toIm, const float *cosines, const float *sines) {
  const size_t stride = Known ? Known : anyStride, quarter = length / 4, apart = quarter * stride;
  for (size_t p = 0; p < quarter; p++) {
    const float w1r = cosines[p * step], w1i = sines[p * step];
    const float w2r = w1r * w1r - w1i * w1i, w2i = 2 * w1r * w1i;
    const float w3r = w1r * w2r - w1i * w2i, w3i = w1r * w2i + w1i * w2r;
    const float *r = re + p * stride, *i = im + p * stride;
    float *outR = toRe + 4 * p * stride, *outI = toIm + 4 * p * stride;
    for (size_t q = 0; q < stride; q++) {
      const float ar = r[q], ai = i[q], br = r[q + apart], bi = i[q + apart];
      const float cr = r[q + 2 * apart], ci = i[q + 2 * apart], dr = r[q + 3 * apart], di = i[q + 3 * apart];
      const float sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;
      const float ur = br + dr, ui = bi + di, vr = br - dr, vi = bi - di;
      const float xr = tr + vi, xi = ti - vr, yr = sr - ur, yi = si - ui, zr = tr - vi, zi = ti + vr;
      outR[q] = sr + ur;
      outI[q] = si + ui;
      outR[q + stride] = xr * w1r - xi * w1i;
      outI[q + stride] = xr * w1i + xi * w1r;
      outR[q + 2 * stride] = yr * w2r - yi * w2i;
      outI[q + 2 * stride] = yr * w2i + yi * w2r;
      outR[q + 3 * stride] = zr * w3r - zi * w3i;
      outI[q + 3 * stride] = zr * w3i + zi * w3r;
    }
  }
}

/// Transforms an even power of two; gives whether the result is in the work arrays.
bool transform(size_t points, float *re, float *im, float *workRe, float *workIm, const float *cosines, const float *sines) {
  bool isFlipped = false;
  for (size_t length = points, stride = 1; length >= 4; length /= 4, stride *= 4, isFlipped = !isFlipped) {
    if (stride == 1) pass<1>(length, stride, stride, re, im, workRe, workIm, cosines, sines);
    else if (stride == 4) pass<4>(length, stride, stride, re, im, workRe, workIm, cosines, sines);
    else pass<0>(length, stride, stride, re, im, workRe, workIm, cosines, sines);
    std::swap(re, workRe);
    std::swap(im, workIm);
  }
  return isFlipped;
}

/// Twiddles of a quarter turn, each from a coarse and a fine factor.
void fillTwiddles(size_t points, float *cosines, float *sines) {
  const double step = -2 * M_PI / static_cast<double>(points);
  double fineCosines[1024], fineSines[1024];
  for (size_t j = 0; j < 1024; j++) {
    fineCosines[j] = std::cos(step * static_cast<double>(j));
    fineSines[j] = std::sin(step * static_cast<double>(j));
  }
  for (size_t base = 0; base < points / 4; base += 1024) {
    const double c = std::cos(step * static_cast<double>(base)), s = std::sin(step * static_cast<double>(base));
    for (size_t j = 0; j < 1024; j++) {
      cosines[base + j] = static_cast<float>(c * fineCosines[j] - s * fineSines[j]);
      sines[base + j] = static_cast<float>(c * fineSines[j] + s * fineCosines[j]);
    }
  }
}

void crossSpectrum(size_t points, float *re, float *im) {
  for (size_t k = 0; k <= points / 2; k++) {
    const size_t j = (points - k) & (points - 1);
    const float a = re[k], b = im[k], c = re[j], d = im[j];
    const float ar = (a + c) * 0.5f, ai = (b - d) * 0.5f, br = (b + d) * 0.5f, bi = (c - a) * 0.5f;
    const float pr = ar * br + ai * bi, pi = ai * br - ar * bi;
    re[k] = pr;
    im[k] = pi;
    re[j] = pr;
    im[j] = -pi;
  }
}

size_t binTimes(const int64_t *times, size_t count, int64_t origin, double binPs, size_t span, float *bins, size_t points) {
  std::fill(bins, bins + points, 0.0f);
  const double perBin = 1 / binPs;
  size_t counted = 0;
  for (size_t at = 0; at < count; at++) {
    const double position = static_cast<double>(times[at] - origin);
    if (position < 0) continue;
    const uint32_t bin = static_cast<uint32_t>(position * perBin);
    if (bin >= span) continue;
    bins[bin] += 1;
    counted++;
  }
  const float mean = static_cast<float>(static_cast<double>(counted) / static_cast<double>(span));
  for (size_t bin = 0; bin < span; bin++) bins[bin] -= mean;
  return counted;
}

/// The lag whose excess stands out most from its own shot noise, alone or with its neighbour.
int64_t findPeak(const float *correlation, int64_t points, int64_t span, double pairsPerOverlapBin) {
  const double scale = 1.0 / static_cast<double>(points);
  double best = 0;
  int64_t bestLag = 0;
  for (int64_t lag = -span; lag < span; lag++) {
    const int64_t overlap = std::min(span, span + lag) - std::max<int64_t>(0, lag);
    if (overlap * 5 < span) continue;
    const double expected = static_cast<double>(overlap) * pairsPerOverlapBin;
    const double excess = correlation[lag & (points - 1)] * scale;
    const double sum = excess + correlation[(lag + 1) & (points - 1)] * scale;
    const double square = excess * excess / expected, squareOfSum = sum * sum / (2 * expected);
    if (excess > 0 && square > best) best = square, bestLag = lag;
    if (sum > 0 && squareOfSum > best) best = squareOfSum, bestLag = lag;
  }
  return bestLag;
}

/// POINTS BIN_PS SPAN: gives the lag of the peak.
Lap searchLap(const Arguments &arguments) {
  const size_t points = std::stoull(arguments.at(0)), span = std::stoull(arguments.at(2));
  const double binPs = std::stod(arguments.at(1));
  static Reals re(points), im(points), workRe(points), workIm(points), cosines(points / 4), sines(points / 4);
  const Buffer &local = bufferNamed("search/local"), &remote = bufferNamed("search/remote");
  int64_t lag = 0;
  return timed(
      [&] {
        fillTwiddles(points, cosines.data, sines.data);
        const double a = static_cast<double>(binTimes(local.as<int64_t>(), local.count<int64_t>(), 0, binPs, span, re.data, points));
        const double b = static_cast<double>(binTimes(remote.as<int64_t>(), remote.count<int64_t>(), 0, binPs, span, im.data, points));
        float *r = re.data, *i = im.data, *toR = workRe.data, *toI = workIm.data;
        if (transform(points, r, i, toR, toI, cosines.data, sines.data)) std::swap(r, toR), std::swap(i, toI);
        crossSpectrum(points, r, i);
        const bool isFlipped = transform(points, i, r, toI, toR, cosines.data, sines.data);
        const double pairsPerOverlapBin = a / static_cast<double>(span) * (b / static_cast<double>(span));
        lag = findPeak(isFlipped ? toR : r, static_cast<int64_t>(points), static_cast<int64_t>(span), pairsPerOverlapBin);
      },
      [&] { return number(lag); });
}

} // namespace

void addSearchFigures(std::map<std::string, Figure> &figures) { figures["search"] = searchLap; }
