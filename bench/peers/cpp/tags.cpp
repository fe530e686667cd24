// Measurements of time tags: the same algorithms as the kernels, with AVX-512 where it helps and the processor has it.
#include "decoding.hpp"
#include <algorithm>
#include <cstring>
#ifdef __AVX512BW__
#include <immintrin.h>
#endif

namespace {

constexpr size_t carriedMax = 4096;
constexpr int64_t never = INT64_MAX;

template <class Decoder> Lap decodeLap(Decoder decoder, const Buffer &records, bool isCheck) {
  static Block out;
  const uint32_t *first = records.as<uint32_t>(), *end = first + records.count<uint32_t>();
  uint64_t tags = 0;
  uint32_t digest = digestStart;
  return timed(
      [&] {
        for (const uint32_t *from = first; from < end; from += blockTags) {
          decoder.decode(from, std::min(from + blockTags, end), out);
          tags += out.count;
          for (size_t at = 0; isCheck && at < out.count; at++) {
            digest = digestWord(digest, static_cast<uint32_t>(out.times.data[at]));
            digest = digestWord(digest, static_cast<uint32_t>(out.times.data[at] >> 32));
            digest = digestWord(digest, out.channels.data[at]);
          }
        }
      },
      [&] { return number(tags) + (isCheck ? " " + number(digest) : ""); });
}

// ---- counters ----

void countChannels(const uint8_t *channels, size_t count, uint32_t channelLimit, uint32_t *counts) {
  size_t at = 0;
#ifdef __AVX512BW__
  for (uint32_t channel = 0; channel < channelLimit; channel += 4) {
    const __m512i a = _mm512_set1_epi8(static_cast<char>(channel)), b = _mm512_set1_epi8(static_cast<char>(channel + 1));
    const __m512i c = _mm512_set1_epi8(static_cast<char>(channel + 2)), d = _mm512_set1_epi8(static_cast<char>(channel + 3));
    uint64_t sumA = 0, sumB = 0, sumC = 0, sumD = 0;
    for (at = 0; at + 64 <= count; at += 64) {
      const __m512i sixtyFour = _mm512_loadu_si512(channels + at);
      sumA += __builtin_popcountll(_mm512_cmpeq_epi8_mask(sixtyFour, a));
      sumB += __builtin_popcountll(_mm512_cmpeq_epi8_mask(sixtyFour, b));
      sumC += __builtin_popcountll(_mm512_cmpeq_epi8_mask(sixtyFour, c));
      sumD += __builtin_popcountll(_mm512_cmpeq_epi8_mask(sixtyFour, d));
    }
    counts[channel] += sumA;
    counts[channel + 1] += sumB;
    counts[channel + 2] += sumC;
    counts[channel + 3] += sumD;
  }
#else
  (void)channelLimit;
#endif
  for (; at < count; at++) counts[channels[at]]++;
}

struct Counter {
  int64_t binPs, edgePs;
  size_t bin = 0;
  std::vector<uint32_t> counts = std::vector<uint32_t>(512 * 256);

  void take(const int64_t *times, const uint8_t *channels, size_t count, uint32_t channelLimit) {
    for (size_t at = 0; at < count;) {
      size_t end = count;
      if (times[count - 1] >= edgePs) {
        size_t low = at, step = 64;
        for (; low + step < count && times[low + step] < edgePs; step <<= 1) low += step;
        end = std::lower_bound(times + low, times + std::min(low + step, count), edgePs) - times;
      }
      countChannels(channels + at, end - at, channelLimit, counts.data() + 256 * bin);
      at = end;
      if (at < count) {
        edgePs += binPs;
        bin++;
      }
    }
  }

  std::string digest() const {
    uint32_t digest = digestStart;
    for (size_t at = 0; at < 256 * (bin + 1); at++) digest = digestWord(digest, counts[at]);
    return number(digest);
  }
};

// ---- dense columns and pairs ----

struct Stretch {
  int64_t *data;
  size_t count;
};

/// One block's channels in dense columns, with the rule of settled starts that the kernels' benchmark follows.
struct DenseColumns {
  size_t channels;
  int64_t reachPs, settledPs = INT64_MIN / 4;
  std::vector<std::unique_ptr<Column<int64_t>>> columns;
  std::vector<size_t> counts, firsts, settled;

  DenseColumns(size_t channels, int64_t reachPs) : channels(channels), reachPs(reachPs), counts(channels), firsts(channels), settled(channels) {
    for (size_t channel = 0; channel < channels; channel++)
      columns.push_back(std::make_unique<Column<int64_t>>(blockTags + carriedMax + 16));
  }

  void split(const int64_t *times, const uint8_t *tagChannels, size_t count) {
    size_t at = 0;
#ifdef __AVX512BW__
    if (channels == 2) {
      int64_t *a = columns[0]->data + counts[0], *b = columns[1]->data + counts[1];
      const __m512i zero = _mm512_setzero_si512();
      for (; at + 64 <= count; at += 64) {
        uint64_t ones = _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(tagChannels + at), zero);
        for (size_t eight = 0; eight < 64; eight += 8, ones >>= 8) {
          const __m512i time = _mm512_loadu_si512(times + at + eight);
          const __mmask8 isOne = static_cast<__mmask8>(ones);
          const int onesHere = __builtin_popcount(isOne);
          _mm512_storeu_si512(a, _mm512_maskz_compress_epi64(static_cast<__mmask8>(~isOne), time));
          _mm512_storeu_si512(b, _mm512_maskz_compress_epi64(isOne, time));
          a += 8 - onesHere;
          b += onesHere;
        }
      }
      counts[0] = a - columns[0]->data;
      counts[1] = b - columns[1]->data;
    }
#endif
    int64_t *ends[256];
    for (size_t channel = 0; channel < channels; channel++) ends[channel] = columns[channel]->data + counts[channel];
    for (; at < count; at++) *ends[tagChannels[at]]++ = times[at];
    for (size_t channel = 0; channel < channels; channel++) counts[channel] = ends[channel] - columns[channel]->data;
  }

  void take(const int64_t *times, const uint8_t *tagChannels, size_t count) {
    split(times, tagChannels, count);
    settle(times[count - 1] - reachPs);
  }

  void settle(int64_t toPs) {
    for (size_t channel = 0; channel < channels; channel++) {
      const int64_t *data = columns[channel]->data, *end = data + counts[channel];
      firsts[channel] = std::lower_bound(data, end, settledPs) - data;
      settled[channel] = std::lower_bound(data, end, toPs) - data;
    }
    settledPs = toPs;
  }

  Stretch starts(size_t channel) { return {columns[channel]->data + firsts[channel], settled[channel] - firsts[channel]}; }
  Stretch stops(size_t channel) { return {columns[channel]->data, counts[channel]}; }

  void carry() {
    for (size_t channel = 0; channel < channels; channel++) {
      int64_t *data = columns[channel]->data, *end = data + counts[channel];
      const int64_t *first = std::lower_bound(data, end, settledPs - reachPs);
      std::memmove(data, first, (end - first) * sizeof(int64_t));
      counts[channel] = end - first;
    }
  }
};

/// One chain of comparisons of a merge, without a branch on data.
struct Chain {
  const int64_t *start, *stop;
  int64_t sum = 0;
  inline void step(const int64_t *stops, int64_t boundPs) {
    const int64_t done = *stop >= *start + boundPs;
    sum += (stop - stops) & -done;
    start += done;
    stop += 1 - done;
  }
};

/// Pairs with lowPs <= stop - start < highPs: two merges of two halves as four chains stepped in turn.
int64_t countPairs(Stretch starts, Stretch stops, int64_t lowPs, int64_t highPs) {
  stops.data[stops.count] = never;
  const int64_t *end = starts.data + starts.count, *half = starts.data + starts.count / 2;
  Chain high{starts.data, stops.data}, highB{half, stops.data}, low{starts.data, stops.data}, lowB{half, stops.data};
  if (half < end) {
    highB.stop = std::lower_bound(stops.data, stops.data + stops.count, *half + highPs);
    lowB.stop = std::lower_bound(stops.data, stops.data + stops.count, *half + lowPs);
  }
  while ((high.start < half) & (highB.start < end) & (low.start < half) & (lowB.start < end)) {
    high.step(stops.data, highPs);
    highB.step(stops.data, highPs);
    low.step(stops.data, lowPs);
    lowB.step(stops.data, lowPs);
  }
  while (high.start < half) high.step(stops.data, highPs);
  while (highB.start < end) highB.step(stops.data, highPs);
  while (low.start < half) low.step(stops.data, lowPs);
  while (lowB.start < end) lowB.step(stops.data, lowPs);
  return high.sum + highB.sum - low.sum - lowB.sum;
}

/// Bins of pairs; division by the bin width is a multiplication, exact for the span (Granlund and Montgomery 1994).
struct Histogram {
  int64_t lowPs, spanPs;
  uint64_t magic;
  unsigned shift;
  std::vector<uint64_t> bins;

  void take(Stretch starts, Stretch stops) {
    stops.data[stops.count] = never;
    const int64_t *low = stops.data;
    uint64_t *counts = bins.data();
    for (const int64_t *start = starts.data, *end = start + starts.count; start < end; start++) {
      const int64_t fromPs = *start + lowPs, toPs = fromPs + spanPs;
      while (*low < fromPs) low++;
      for (const int64_t *stop = low; *stop < toPs; stop++) counts[(static_cast<uint64_t>(*stop - fromPs) * magic) >> shift]++;
    }
  }

  std::string digest() const {
    uint32_t digest = digestStart;
    for (const uint64_t count : bins) digest = digestWord(digest, static_cast<uint32_t>(count));
    return number(digest);
  }
};

Histogram histogramFrom(const Arguments &arguments, size_t at) {
  const int64_t lowPs = std::stoll(arguments.at(at)), spanPs = std::stoll(arguments.at(at + 1));
  const int64_t binPs = std::stoll(arguments.at(at + 2));
  return {lowPs, spanPs, std::stoull(arguments.at(at + 3)), static_cast<unsigned>(std::stoul(arguments.at(at + 4))),
          std::vector<uint64_t>((spanPs + binPs - 1) / binPs)};
}

struct Tags {
  const int64_t *times;
  const uint8_t *channels;
  size_t count;
};
Tags tagsNamed(const std::string &name) {
  const Buffer &times = bufferNamed(name + "/times");
  return {times.as<int64_t>(), bufferNamed(name + "/channels").as<uint8_t>(), times.count<int64_t>()};
}

template <class Take> void eachBlock(const Tags &tags, Take take) {
  for (size_t from = 0; from < tags.count; from += blockTags)
    take(tags.times + from, tags.channels + from, std::min(blockTags, tags.count - from));
}

/// SET BIN_PS FIRST_EDGE_PS CHANNEL_LIMIT
Lap ratesLap(const Arguments &arguments) {
  const Tags tags = tagsNamed(arguments.at(0));
  const uint32_t channelLimit = static_cast<uint32_t>(std::stoul(arguments.at(3)));
  Counter counter{std::stoll(arguments.at(1)), std::stoll(arguments.at(2))};
  return timed([&] { eachBlock(tags, [&](auto times, auto channels, size_t count) { counter.take(times, channels, count, channelLimit); }); },
               [&] { return counter.digest(); });
}

/// SET REACH_PS LOW_PS HIGH_PS
Lap pairsLap(const Arguments &arguments) {
  const Tags tags = tagsNamed(arguments.at(0));
  DenseColumns columns(2, std::stoll(arguments.at(1)));
  const int64_t lowPs = std::stoll(arguments.at(2)), highPs = std::stoll(arguments.at(3));
  int64_t pairs = 0;
  const auto measure = [&] { pairs += countPairs(columns.starts(0), columns.stops(1), lowPs, highPs); };
  return timed(
      [&] {
        eachBlock(tags, [&](auto times, auto channels, size_t count) {
          columns.take(times, channels, count);
          measure();
          columns.carry();
        });
        columns.settle(never / 2);
        measure();
      },
      [&] { return number(pairs); });
}

/// SET REACH_PS LOW_PS SPAN_PS BIN_PS MAGIC SHIFT
Lap histogramLap(const Arguments &arguments) {
  const Tags tags = tagsNamed(arguments.at(0));
  DenseColumns columns(2, std::stoll(arguments.at(1)));
  Histogram histogram = histogramFrom(arguments, 2);
  return timed(
      [&] {
        eachBlock(tags, [&](auto times, auto channels, size_t count) {
          columns.take(times, channels, count);
          histogram.take(columns.starts(0), columns.stops(1));
          columns.carry();
        });
        columns.settle(never / 2);
        histogram.take(columns.starts(0), columns.stops(1));
      },
      [&] { return histogram.digest(); });
}

/// SET BIN_PS REACH_PS PAIR_LOW_PS PAIR_HIGH_PS LOW_PS SPAN_PS HISTOGRAM_BIN_PS MAGIC SHIFT: decode, count, split, four pairs, one histogram.
Lap chainLap(const Arguments &arguments) {
  const Buffer &records = bufferNamed(arguments.at(0));
  static Block block;
  T2Decoder decoder{.resolutionPs = 1};
  const int64_t binPs = std::stoll(arguments.at(1));
  Counter counter{binPs, binPs};
  DenseColumns columns(8, std::stoll(arguments.at(2)));
  const int64_t lowPs = std::stoll(arguments.at(3)), highPs = std::stoll(arguments.at(4));
  Histogram histogram = histogramFrom(arguments, 5);
  int64_t pairs[4] = {}, tags = 0;
  const auto measure = [&] {
    for (size_t start = 0; start < 4; start++) pairs[start] += countPairs(columns.starts(start), columns.stops(start + 4), lowPs, highPs);
    histogram.take(columns.starts(0), columns.stops(4));
  };
  const uint32_t *first = records.as<uint32_t>(), *end = first + records.count<uint32_t>();
  return timed(
      [&] {
        for (const uint32_t *from = first; from < end; from += blockTags) {
          decoder.decode(from, std::min(from + blockTags, end), block);
          tags += block.count;
          counter.take(block.times.data, block.channels.data, block.count, 8);
          columns.take(block.times.data, block.channels.data, block.count);
          measure();
          columns.carry();
        }
        columns.settle(never / 2);
        measure();
      },
      [&] {
        std::string result = number(tags) + " " + counter.digest();
        for (const int64_t count : pairs) result += " " + number(count);
        return result + " " + histogram.digest();
      });
}

} // namespace

void addTagFigures(std::map<std::string, Figure> &figures) {
  figures["decode-t2"] = [](const Arguments &a) { return decodeLap(T2Decoder{.resolutionPs = std::stoll(a.at(1))}, bufferNamed(a.at(0)), a.size() > 2); };
  figures["decode-tdc1"] = [](const Arguments &a) { return decodeLap(Tdc1Decoder{}, bufferNamed(a.at(0)), a.size() > 2); };
  figures["rates"] = ratesLap;
  figures["pairs"] = pairsLap;
  figures["histogram"] = histogramLap;
  figures["chain"] = chainLap;
}
