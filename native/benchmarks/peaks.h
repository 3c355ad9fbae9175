// What the machine can do, in registers and from memory: the yardsticks of kernels.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <algorithm>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace benchmark {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Times {
  double min, median, max;
};

// Of `repetitions` calls, in seconds.
template <class Function>
Times time_of(int repetitions, Function function) {
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = Clock::now();
    function();
    times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times.back()};
}

// Of this thread alone: calls of many milliseconds are seldom left undisturbed on a shared machine.
inline double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Function>
Times processor_time_of(int repetitions, Function function) {
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    const double start = processor_seconds();
    function();
    times.push_back(processor_seconds() - start);
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times.back()};
}

// 10^9 bytes a second of sequential reads, one thread; 256 MB pass every cache.
inline double read_bandwidth() {
  const std::size_t words = std::size_t{1} << 25;
  std::vector<std::uint64_t> memory(words, 1);
  volatile std::uint64_t sink = 0;
  const Times times = time_of(5, [&] {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < words; i += 8) {
      for (int j = 0; j < 8; ++j) sums[j] += memory[i + static_cast<std::size_t>(j)];
    }
    for (const std::uint64_t sum : sums) sink = sink + sum;
  });
  return static_cast<double>(words) * 8 / times.min / 1e9;
}

#if defined(__AVX2__)

// 10^9 multiply-accumulates a second of eight-bit products summed in 16 bits: the inner step of the packed kernels.
inline double int8_peak() {
  constexpr int steps = 4000;
  const Times times = time_of(200, [] {
    for (int i = 0; i < steps; ++i) {
      asm volatile(
          "vpmaddubsw %%ymm8, %%ymm9, %%ymm0\n vpaddw %%ymm0, %%ymm4, %%ymm4\n"
          "vpmaddubsw %%ymm8, %%ymm9, %%ymm1\n vpaddw %%ymm1, %%ymm5, %%ymm5\n"
          "vpmaddubsw %%ymm8, %%ymm9, %%ymm2\n vpaddw %%ymm2, %%ymm6, %%ymm6\n"
          "vpmaddubsw %%ymm8, %%ymm9, %%ymm3\n vpaddw %%ymm3, %%ymm7, %%ymm7\n" ::
              : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    }
  });
  return steps * 4 * 32 / times.min / 1e9;
}

// 10^9 fused multiply-adds of float32 a second.
inline double fma_peak() {
  constexpr int steps = 4000;
  const Times times = time_of(200, [] {
    for (int i = 0; i < steps; ++i) {
      asm volatile(
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm0\n vfmadd231ps %%ymm12, %%ymm13, %%ymm1\n"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm2\n vfmadd231ps %%ymm12, %%ymm13, %%ymm3\n"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm4\n vfmadd231ps %%ymm12, %%ymm13, %%ymm5\n"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm6\n vfmadd231ps %%ymm12, %%ymm13, %%ymm7\n"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm8\n vfmadd231ps %%ymm12, %%ymm13, %%ymm9\n" ::
              : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9");
    }
  });
  return steps * 10 * 8 / times.min / 1e9;
}

#else

inline double int8_peak() { return 0; }
inline double fma_peak() { return 0; }

#endif

}  // namespace benchmark
