// Random shapes and values, running a stage in pieces, comparing bits. No framework: a count of checks and of failures.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../cpu/ops.h"

namespace test {

struct Random {
  std::mt19937_64 engine;
  explicit Random(std::uint64_t seed) : engine(seed) {}

  std::int64_t integer(std::int64_t low, std::int64_t high) {  // both included
    return low + static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double probability) { return unit() < probability; }
  double unit() { return static_cast<double>(engine() >> 11) * 0x1p-53; }
  float normal() {
    return static_cast<float>(std::sqrt(-2 * std::log(unit() + 1e-300)) * std::cos(6.283185307179586 * unit()));
  }
  float hostile() {
    static const float values[] = {NAN,      -NAN,    INFINITY, -INFINITY, 0.0f,   -0.0f,  1e-45f,  -1e-45f, 1e-40f,
                                   3.4e38f,  -3.4e38f, 1e30f,   1e-30f,    88.5f,  -88.5f, -87.3f,  65520.0f, 6e-8f};
    return values[integer(0, sizeof values / sizeof *values - 1)];
  }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[integer(0, static_cast<std::int64_t>(values.size()) - 1)];
  }
  // A fraction `hostility` of the values is hostile, others have this deviation.
  std::vector<float> floats(std::int64_t count, double hostility = 0, float deviation = 1) {
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float &value : result) value = chance(hostility) ? hostile() : normal() * deviation;
    return result;
  }
};

// Memory that begins at 64 bytes and ends where a sanitizer sees it.
class Aligned {
 public:
  explicit Aligned(std::size_t bytes, int fill = 0) : bytes_(bytes) {
    const std::size_t whole = (bytes + 63) / 64 * 64;
    memory_.reset(static_cast<char *>(std::aligned_alloc(64, whole == 0 ? 64 : whole)));
    std::memset(memory_.get(), fill, whole);
  }
  void *get() const { return memory_.get(); }
  std::size_t size() const { return bytes_; }

 private:
  struct Free {
    void operator()(char *memory) const { std::free(memory); }
  };
  std::size_t bytes_;
  std::unique_ptr<char, Free> memory_;
};

// How a stage is cut: units per piece, and whether the last piece runs first.
struct Split {
  std::int64_t units;
  bool is_backwards;
};
constexpr Split whole = {INT64_MAX, false};

inline void execute(const hass_cpu_kernels &kernels, hass_cpu_stage stage, const void *args, Split split) {
  const std::int64_t units = hass_cpu_units(stage, args);
  // Bytes of 0xff are NaN floats: what reads scratch memory that it has not written shows.
  const Aligned scratch(hass_cpu_scratch_bytes(stage, args), 0xff);
  const std::int64_t size = split.units < units ? split.units : (units > 0 ? units : 1);
  const std::int64_t pieces = (units + size - 1) / size;
  for (std::int64_t i = 0; i < pieces; ++i) {
    const std::int64_t begin = (split.is_backwards ? pieces - 1 - i : i) * size;
    kernels.run[stage](args, begin, begin + size < units ? begin + size : units, scratch.get());
  }
}

using Bytes = std::vector<std::uint8_t>;

// NaNs are equal to each other: they are given one representation.
inline Bytes bytes_of_floats(const float *values, std::int64_t count) {
  Bytes result(static_cast<std::size_t>(count) * 4);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
    std::memcpy(result.data() + 4 * i, &bits, 4);
  }
  return result;
}

inline Bytes bytes_of_halves(const std::uint16_t *values, std::int64_t count, std::int32_t dtype) {
  Bytes result(static_cast<std::size_t>(count) * 2);
  const std::uint16_t infinity = dtype == HASS_F16 ? 0x7c00 : 0x7f80;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint16_t bits = (values[i] & 0x7fff) > infinity ? 0x7fff : values[i];
    std::memcpy(result.data() + 2 * i, &bits, 2);
  }
  return result;
}

inline Bytes bytes_of_cache(const void *values, std::int64_t count, std::int32_t dtype) {
  return dtype == HASS_F32 ? bytes_of_floats(static_cast<const float *>(values), count)
                           : bytes_of_halves(static_cast<const std::uint16_t *>(values), count, dtype);
}

struct Report {
  std::int64_t checks = 0, failures = 0;

  bool check(bool is_right, const std::string &what) {
    ++checks;
    if (!is_right && ++failures <= 12) std::printf("FAILED %s\n", what.c_str());
    return is_right;
  }
  int finish(const char *name) const {
    std::printf("%s: %lld checks, %lld failed\n", name, static_cast<long long>(checks),
                static_cast<long long>(failures));
    return failures == 0 && checks > 0 ? 0 : 1;
  }
};

}  // namespace test
