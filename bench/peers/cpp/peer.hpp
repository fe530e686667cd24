// What the parts of the C++ peer share: data that was given to it, laps that time themselves, digests.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// A data set: 64-byte aligned, read from a file once.
struct Buffer {
  void *data = nullptr;
  size_t bytes = 0;
  template <class T> const T *as() const { return static_cast<const T *>(data); }
  template <class T> size_t count() const { return bytes / sizeof(T); }
};

/// Nanoseconds and what came out.
struct Lap {
  int64_t elapsedNs;
  std::string result;
};

using Arguments = std::vector<std::string>;
using Figure = std::function<Lap(const Arguments &)>;

const Buffer &bufferNamed(const std::string &name);
void addTagFigures(std::map<std::string, Figure> &figures);
void addPhysicsFigures(std::map<std::string, Figure> &figures);
void addSearchFigures(std::map<std::string, Figure> &figures);
void addKeyFigures(std::map<std::string, Figure> &figures);

/// Times `work`; `resultOf` runs outside the time.
template <class Work, class ResultOf> Lap timed(Work work, ResultOf resultOf) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const auto end = std::chrono::steady_clock::now();
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(end - start).count(), resultOf()};
}

inline void *alignedRoom(size_t bytes) { return std::aligned_alloc(64, (bytes + 127) / 64 * 64); }

/// A column that is never resized.
template <class T> struct Column {
  T *data;
  explicit Column(size_t count) : data(static_cast<T *>(alignedRoom(count * sizeof(T)))) {}
  Column(const Column &) = delete;
  ~Column() { std::free(data); }
};

constexpr uint32_t digestStart = 0x811c9dc5u;
inline uint32_t digestWord(uint32_t digest, uint32_t word) { return (digest ^ word) * 16777619u; }
inline std::string number(int64_t value) { return std::to_string(value); }
