// Privacy amplification by a random Toeplitz matrix, bit by input bit: rows of the seed, shifted, are summed where an input bit is set.
#include "peer.hpp"
#include <cstring>

namespace {

/// INPUT_BITS OUTPUT_BITS: gives a digest of the output.
Lap toeplitzLap(const Arguments &arguments) {
  const size_t inputBits = std::stoull(arguments.at(0)), outputBits = std::stoull(arguments.at(1));
  const uint8_t *input = bufferNamed("key/input").as<uint8_t>();
  const Buffer &seed = bufferNamed("key/seed");
  const size_t outputWords = (outputBits + 511) / 512 * 8, stride = seed.bytes / 8 + outputWords + 2;
  Column<uint64_t> copies(8 * stride), output(outputWords);
  std::string result;
  return timed(
      [&] {
        // Eight copies of the seed, each a bit further, so that every row begins at a byte of one.
        std::memset(copies.data, 0, 8 * 8 * stride);
        uint8_t *bytes = reinterpret_cast<uint8_t *>(copies.data);
        for (size_t shift = 0; shift < 8; shift++) {
          for (size_t at = 0; at < seed.bytes; at++) {
            const unsigned next = at + 1 < seed.bytes ? seed.as<uint8_t>()[at + 1] : 0;
            bytes[8 * stride * shift + at] = static_cast<uint8_t>((seed.as<uint8_t>()[at] | next << 8) >> shift);
          }
        }
        std::vector<const uint8_t *> rows;
        for (size_t bit = 0; bit < inputBits; bit++) {
          const size_t first = inputBits - 1 - bit;
          if (input[bit / 8] >> (bit & 7) & 1) rows.push_back(bytes + 8 * stride * (first & 7) + first / 8);
        }
        std::vector<uint64_t> zeros(outputWords);
        while (rows.size() % 8) rows.push_back(reinterpret_cast<const uint8_t *>(zeros.data()));
        std::memset(output.data, 0, 8 * outputWords);
        constexpr size_t tile = 1024;
        for (size_t from = 0; from < outputWords; from += tile) {
          const size_t to = std::min(from + tile, outputWords);
          for (size_t row = 0; row < rows.size(); row += 8) {
            const uint8_t *const *eight = rows.data() + row;
            for (size_t word = from; word < to; word++) {
              uint64_t sum = output.data[word];
              for (size_t k = 0; k < 8; k++) {
                uint64_t value;
                std::memcpy(&value, eight[k] + 8 * word, 8);
                sum ^= value;
              }
              output.data[word] = sum;
            }
          }
        }
      },
      [&] {
        uint32_t digest = digestStart;
        const uint8_t *bytes = reinterpret_cast<const uint8_t *>(output.data);
        for (size_t at = 0; at < outputBits / 8; at++) digest = digestWord(digest, bytes[at]);
        return number(digest);
      });
}

} // namespace

void addKeyFigures(std::map<std::string, Figure> &figures) { figures["toeplitz"] = toeplitzLap; }
