// Decoders of 32-bit records: the same algorithms as the kernels, T2 with AVX-512 where the processor has it.
#pragma once
#include "peer.hpp"
#ifdef __AVX512BW__
#include <immintrin.h>
#endif

constexpr size_t blockTags = 65536;

struct Block {
  Column<int64_t> times{blockTags * 4 + 64};
  Column<uint8_t> channels{blockTags * 4 + 64};
  size_t count = 0;
};

/// HydraHarp T2, version 2; `resolutionPs` below 2^32.
struct T2Decoder {
  int64_t ticks = 0;
  int64_t resolutionPs;

  size_t scalar(const uint32_t *record, const uint32_t *end, int64_t *times, uint8_t *channels) {
    size_t count = 0;
    for (; record < end; record++) {
      const uint32_t word = *record;
      const int64_t time = word & 0x1ffffff;
      const uint32_t channel = (word >> 25) & 63;
      if (!(word >> 31)) {
        times[count] = (ticks + time) * resolutionPs;
        channels[count++] = static_cast<uint8_t>(channel);
      } else if (channel == 63) {
        ticks += 33554432 * (time ? time : 1);
      } else if (channel == 0) {
        times[count] = (ticks + time) * resolutionPs;
        channels[count++] = 64;
      } else if (channel < 16) {
        for (uint32_t bit = 0; bit < 4; bit++) {
          if ((channel >> bit) & 1) {
            times[count] = (ticks + time) * resolutionPs;
            channels[count++] = static_cast<uint8_t>(65 + bit);
          }
        }
      }
    }
    return count;
  }

  void decode(const uint32_t *record, const uint32_t *end, Block &out) {
    int64_t *times = out.times.data;
    uint8_t *channels = out.channels.data;
    size_t count = 0;
#ifdef __AVX512BW__
    const __m512i mask = _mm512_set1_epi32(0x1ffffff);
    const __m512i resolution = _mm512_set1_epi64(resolutionPs);
    __m512i base = _mm512_set1_epi64(ticks * resolutionPs);
    for (; record + 16 <= end; record += 16) {
      const __m512i words = _mm512_loadu_si512(record);
      if (_mm512_movepi32_mask(words) == 0) {
        const __m512i time = _mm512_and_si512(words, mask);
        const __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(time));
        const __m512i high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(time, 1));
        _mm512_storeu_si512(times + count, _mm512_add_epi64(base, _mm512_mul_epu32(low, resolution)));
        _mm512_storeu_si512(times + count + 8, _mm512_add_epi64(base, _mm512_mul_epu32(high, resolution)));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(channels + count), _mm512_cvtepi32_epi8(_mm512_srli_epi32(words, 25)));
        count += 16;
      } else {
        count += scalar(record, record + 16, times + count, channels + count);
        base = _mm512_set1_epi64(ticks * resolutionPs);
      }
    }
#endif
    out.count = count + scalar(record, end, times + count, channels + count);
  }
};

struct Tdc1Decoder {
  int64_t ticks = 0;
  uint32_t previous = 0;

  void decode(const uint32_t *word, const uint32_t *end, Block &out) {
    int64_t *times = out.times.data;
    uint8_t *channels = out.channels.data;
    size_t count = 0;
    for (; word < end; word++) {
      const uint32_t time = *word >> 5;
      ticks += static_cast<int64_t>(time < previous) << 27;
      previous = time;
      const uint32_t isPhoton = 1 - ((*word >> 4) & 1);
      uint32_t pattern = *word & 15;
      const int64_t timePs = (ticks + time) * 2000;
      if ((pattern & (pattern - 1)) == 0) {
        times[count] = timePs;
        channels[count] = static_cast<uint8_t>(__builtin_ctz(pattern | 256));
        count += isPhoton & static_cast<uint32_t>(pattern != 0);
      } else if (isPhoton) {
        for (; pattern; pattern &= pattern - 1) {
          times[count] = timePs;
          channels[count++] = static_cast<uint8_t>(__builtin_ctz(pattern));
        }
      }
    }
    out.count = count;
  }
};
