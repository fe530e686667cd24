// The mock lab's physics: Poisson pairs, fates of both photons, fibres, jitter, dark counts, dead time, afterpulses. The same laws as
// mocks/physics, drawn from the same kind of generator with another stream, so that results agree within their statistics.
#include "peer.hpp"
#include <cmath>
#include <cstring>

namespace {

constexpr int64_t never = INT64_MAX;

/// xoshiro256++ (Blackman, Vigna 2021), seeded by splitmix64.
struct Random {
  uint64_t s[4];
  explicit Random(uint64_t seed) {
    for (uint64_t &word : s) {
      seed += 0x9e3779b97f4a7c15u;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }
  static uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }
  inline uint64_t bits() {
    const uint64_t result = rotate(s[0] + s[3], 23) + s[0], shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
  }
  inline double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
};

/// Ziggurats of Marsaglia and Tsang (2000) with 256 layers.
struct Ziggurat {
  uint64_t thresholds[256];
  double widths[256], heights[256];
  template <class Density, class Inverse>
  Ziggurat(double edge, double area, double scale, Density density, Inverse inverse) {
    const double base = area / density(edge);
    set(0, edge / base, base, 1, scale);
    set(255, 0, edge, density(edge), scale);
    for (int layer = 254; layer >= 1; layer--) {
      const double inner = inverse(area / edge + density(edge));
      thresholds[layer + 1] = static_cast<uint64_t>(inner / edge * scale);
      edge = inner;
      set(layer, 0, edge, density(edge), scale);
    }
  }
  void set(int layer, double share, double width, double height, double scale) {
    thresholds[layer] = static_cast<uint64_t>(share * scale);
    widths[layer] = width / scale;
    heights[layer] = height;
  }
};
constexpr double exponentialEdge = 7.69711747013104972, normalEdge = 3.6541528853610088;
const Ziggurat exponentials(exponentialEdge, 3.949659822581572e-3, 0x1p53, [](double x) { return std::exp(-x); }, [](double y) { return -std::log(y); });
const Ziggurat normals(normalEdge, 4.92867323399e-3, 0x1p52, [](double x) { return std::exp(-0.5 * x * x); }, [](double y) { return std::sqrt(-2 * std::log(y)); });

inline double drawExponential(Random &random) {
  while (true) {
    const uint64_t bits = random.bits(), mantissa = bits >> 11;
    const int layer = bits & 255;
    const double x = static_cast<double>(mantissa) * exponentials.widths[layer];
    if (mantissa < exponentials.thresholds[layer]) return x;
    if (layer == 0) return exponentialEdge - std::log(1 - random.uniform());
    const double low = exponentials.heights[layer], high = exponentials.heights[layer - 1];
    if (low + (high - low) * random.uniform() < std::exp(-x)) return x;
  }
}

inline double drawNormal(Random &random) {
  while (true) {
    const uint64_t bits = random.bits(), mantissa = (bits >> 9) & 0xfffffffffffffu;
    const int layer = bits & 255;
    double x = static_cast<double>(mantissa) * normals.widths[layer];
    if (bits & 256) x = -x;
    if (mantissa < normals.thresholds[layer]) return x;
    if (layer == 0) {
      while (true) {
        const double beyond = -std::log(1 - random.uniform()) / normalEdge, height = -std::log(1 - random.uniform());
        if (height + height > beyond * beyond) return x < 0 ? -(normalEdge + beyond) : normalEdge + beyond;
      }
    }
    const double low = normals.heights[layer], high = normals.heights[layer - 1];
    if (low + (high - low) * random.uniform() < std::exp(-0.5 * x * x)) return x;
  }
}

/// A time that keeps its fraction of a picosecond.
struct FineTime {
  int64_t ps = 0;
  double fraction = 0;
  inline void add(double byPs) {
    const double ahead = fraction + byPs, whole = std::floor(ahead);
    ps += static_cast<int64_t>(whole);
    fraction = ahead - whole;
  }
};

struct Detector {
  double jitterPsRms, afterpulseProbability, afterpulseDecayPs, darkShareUpTo;
  int64_t deadTimePs, lastClickPs = INT64_MIN / 2;
};

struct Waiting {
  int64_t timePs;
  uint8_t detector;
};

struct Receiver {
  int64_t delayPs = 0;
  double darkIntervalPs = 0;
  FineTime nextDark;
  std::vector<Detector> detectors;
  Column<int64_t> photonTimes{1 << 20}, clickTimes{1 << 18};
  Column<uint8_t> photonDetectors{1 << 20}, clickInputs{1 << 18};
  size_t head = 0, tail = 0, clicks = 0;
  std::vector<Waiting> afterpulses;

  void compact() {
    std::memmove(photonTimes.data, photonTimes.data + head, 8 * (tail - head));
    std::memmove(photonDetectors.data, photonDetectors.data + head, tail - head);
    tail -= head;
    head = 0;
  }

  inline void addPhoton(uint8_t detector, int64_t emissionPs, Random &random) {
    int64_t time = emissionPs + delayPs;
    const double jitter = detectors[detector].jitterPsRms;
    if (jitter > 0) time += static_cast<int64_t>(std::nearbyint(jitter * drawNormal(random)));
    size_t place = tail++;
    for (; place > head && photonTimes.data[place - 1] > time; place--) {
      photonTimes.data[place] = photonTimes.data[place - 1];
      photonDetectors.data[place] = photonDetectors.data[place - 1];
    }
    photonTimes.data[place] = time;
    photonDetectors.data[place] = detector;
  }

  void breed(uint8_t detector, int64_t clickPs, Random &random) {
    const Detector &from = detectors[detector];
    if (random.uniform() >= from.afterpulseProbability) return;
    const Waiting afterpulse{clickPs + static_cast<int64_t>(std::nearbyint(from.afterpulseDecayPs * drawExponential(random))), detector};
    size_t place = afterpulses.size();
    afterpulses.push_back(afterpulse);
    for (; place > 0 && afterpulses[place - 1].timePs > afterpulse.timePs; place--) afterpulses[place] = afterpulses[place - 1];
    afterpulses[place] = afterpulse;
  }

  void detect(int64_t untilPs, Random &random) {
    while (true) {
      const int64_t photonPs = head < tail ? photonTimes.data[head] : never;
      const int64_t darkPs = darkIntervalPs > 0 ? nextDark.ps : never;
      const int64_t afterpulsePs = afterpulses.empty() ? never : afterpulses.front().timePs;
      const int64_t time = std::min(photonPs, std::min(darkPs, afterpulsePs));
      if (time >= untilPs) break;
      uint8_t index;
      if (time == photonPs) {
        index = photonDetectors.data[head++];
      } else if (time == darkPs) {
        const double share = random.uniform();
        for (index = 0; index + 1u < detectors.size() && share >= detectors[index].darkShareUpTo;) index++;
        nextDark.add(darkIntervalPs * drawExponential(random));
      } else {
        index = afterpulses.front().detector;
        afterpulses.erase(afterpulses.begin());
      }
      Detector &detector = detectors[index];
      if (time - detector.lastClickPs < detector.deadTimePs) continue;
      detector.lastClickPs = time;
      clickTimes.data[clicks] = time;
      clickInputs.data[clicks++] = index;
      if ((time == photonPs || time == darkPs) && detector.afterpulseProbability > 0) breed(index, time, random);
    }
  }
};

/// The laboratory: read from numbers in the order in which bench/figures/physics.ts writes them.
struct Lab {
  Random random{20260501};
  double intervalPs;
  int64_t marginPs, nowPs = 0;
  FineTime nextPair;
  Receiver ends[2];
  uint32_t thresholds[256];
  uint8_t others[256], fates[256];

  Lab(const double *numbers, const uint8_t *table) {
    std::memcpy(thresholds, table, 1024);
    std::memcpy(others, table + 1024, 256);
    std::memcpy(fates, table + 1280, 256);
    intervalPs = *numbers++;
    marginPs = static_cast<int64_t>(*numbers++);
    for (Receiver &end : ends) {
      end.delayPs = static_cast<int64_t>(*numbers++);
      end.darkIntervalPs = *numbers++;
      for (int left = static_cast<int>(*numbers++); left > 0; left--, numbers += 5)
        end.detectors.push_back({numbers[0], numbers[1], numbers[2], numbers[3], static_cast<int64_t>(numbers[4])});
      end.nextDark.add(end.darkIntervalPs * drawExponential(random));
    }
    nextPair.add(intervalPs * drawExponential(random));
  }

  void advance(int64_t toPs) {
    for (Receiver &end : ends) {
      end.compact();
      end.clicks = 0;
    }
    for (; nextPair.ps < toPs + marginPs; nextPair.add(intervalPs * drawExponential(random))) {
      const uint64_t bits = random.bits();
      const size_t slot = bits & 255;
      const uint8_t fate = fates[static_cast<uint32_t>(bits >> 32) >= thresholds[slot] ? others[slot] : slot];
      if (fate >> 4) ends[0].addPhoton(static_cast<uint8_t>((fate >> 4) - 1), nextPair.ps, random);
      if (fate & 15) ends[1].addPhoton(static_cast<uint8_t>((fate & 15) - 1), nextPair.ps, random);
    }
    for (Receiver &end : ends) end.detect(toPs, random);
    nowPs = toPs;
  }

  /// Clicks of the two ends within half a window of each other, fibres' delays taken off.
  int64_t coincidences(int64_t halfPs) const {
    const Receiver &a = ends[0], &b = ends[1];
    const int64_t shift = b.delayPs - a.delayPs;
    int64_t count = 0;
    for (size_t at = 0, low = 0; at < a.clicks; at++) {
      const int64_t time = a.clickTimes.data[at] + shift;
      while (low < b.clicks && b.clickTimes.data[low] < time - halfPs) low++;
      for (size_t stop = low; stop < b.clicks && b.clickTimes.data[stop] < time + halfPs; stop++) count++;
    }
    return count;
  }
};

/// STEPS STEP_PS [check]: the lab goes on from lap to lap. Gives clicks; with "check" clicks by input, then coincidences.
Lap physicsLap(const Arguments &arguments) {
  static Lab lab(bufferNamed("lab/numbers").as<double>(), bufferNamed("lab/fates").as<uint8_t>());
  const int steps = std::stoi(arguments.at(0));
  const int64_t stepPs = std::stoll(arguments.at(1));
  const bool isCheck = arguments.size() > 2;
  int64_t clicks = 0, coincidences = 0;
  std::vector<int64_t> byInput(16);
  return timed(
      [&] {
        for (int step = 0; step < steps; step++) {
          lab.advance(lab.nowPs + stepPs);
          clicks += static_cast<int64_t>(lab.ends[0].clicks + lab.ends[1].clicks);
          if (!isCheck) continue;
          for (int end = 0; end < 2; end++)
            for (size_t at = 0; at < lab.ends[end].clicks; at++) byInput[8 * end + lab.ends[end].clickInputs.data[at]]++;
          coincidences += lab.coincidences(500);
        }
      },
      [&] {
        if (!isCheck) return number(clicks);
        std::string result;
        for (const int64_t count : byInput) result += number(count) + " ";
        return result + number(coincidences);
      });
}

} // namespace

void addPhysicsFigures(std::map<std::string, Figure> &figures) { figures["physics"] = physicsLap; }
