#include "measure.h"

#include <algorithm>
#include <chrono>

#include "spin.h"
#include "stage_runner.h"

namespace hass {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The quickest of some repetitions: what else runs on the machine can only slow one down.
template <typename Body> double best_seconds(double budget, Body body) {
  double best = 1e9;
  const auto start = Clock::now();
  for (int i = 0; i < 2 || seconds_since(start) < budget; i++) {
    const auto begin = Clock::now();
    body();
    best = std::min(best, seconds_since(begin));
  }
  return best;
}

struct Reading {
  const std::uint64_t *words;
  std::size_t words_per_chunk;
  std::atomic<std::uint64_t> sum{0};
};

double read_gbs(ThreadPool &pool) {
  // Past any last-level cache share that a small machine has.
  constexpr std::size_t bytes = 128u << 20, chunks = 64;
  const Block block(bytes);
  // Untouched pages would all be the one zero page.
  for (std::size_t i = 0; i < bytes; i += 4096) block.data()[i] = 1;
  Reading reading{reinterpret_cast<const std::uint64_t *>(block.data()), bytes / 8 / chunks};
  const double seconds = best_seconds(0.08, [&] {
    pool.run(
        chunks,
        [](void *context, std::int32_t chunk, std::int32_t) {
          auto &it = *static_cast<Reading *>(context);
          const std::uint64_t *words = it.words + static_cast<std::size_t>(chunk) * it.words_per_chunk;
          std::uint64_t sums[8] = {};
          for (std::size_t i = 0; i < it.words_per_chunk; i += 8) {
            for (int j = 0; j < 8; j++) sums[j] += words[i + static_cast<std::size_t>(j)];
          }
          std::uint64_t sum = 0;
          for (const std::uint64_t part : sums) sum += part;
          it.sum.fetch_add(sum, std::memory_order_relaxed);
        },
        &reading);
  });
  return static_cast<double>(bytes) / seconds / 1e9;
}

double linear_gmacs(hass_device *device, std::int32_t dtype, std::int32_t block) {
  constexpr std::int64_t rows = 16, in = 512, out = 1024;
  const Block weight(hass_cpu_packed_bytes(dtype, out, in));
  const Block x(rows * in * sizeof(float)), y(rows * out * sizeof(float));
  const Block quantized(block ? rows * hass_cpu_quantized_row_bytes(in, block) : 0);
  hass_cpu_linear_args a{};
  a.rows = rows;
  a.in = a.x_stride = in;
  a.out = a.y_stride = out;
  a.weight_dtype = dtype;
  a.activation_block = block;
  a.weight = weight.data();
  a.quantized = quantized.data();
  a.x = reinterpret_cast<const float *>(x.data());
  a.y = reinterpret_cast<float *>(y.data());
  const std::size_t scratch_bytes = stage_scratch_bytes(HASS_CPU_LINEAR, &a) + HASS_ALIGNMENT;
  const Block scratch(scratch_bytes * static_cast<std::size_t>(device->pool.threads()));
  StageRunner runner(device, scratch.data(), scratch_bytes);
  const double seconds = best_seconds(0.04, [&] { runner.run_stage(HASS_CPU_LINEAR, &a); });
  return static_cast<double>(rows * in * out) / seconds / 1e9;
}

// Every thread takes one chunk and waits for the others: what it costs to have them all at work.
double dispatch_us(ThreadPool &pool) {
  constexpr int repetitions = 100;
  struct Meeting {
    std::int32_t threads;
    std::atomic<std::int32_t> arrived;
  } meeting{pool.threads(), {0}};
  const double seconds = best_seconds(0.02, [&] {
    for (int i = 0; i < repetitions; i++) {
      meeting.arrived.store(0);
      pool.run(
          meeting.threads,
          [](void *context, std::int32_t, std::int32_t) {
            auto &it = *static_cast<Meeting *>(context);
            it.arrived.fetch_add(1);
            // On a machine with fewer processors than threads they cannot all be there at once.
            spin_until(std::chrono::milliseconds(1), [&] { return it.arrived.load() == it.threads; });
          },
          &meeting);
    }
  });
  return seconds / repetitions * 1e6;
}

}  // namespace

hass_rates measure(hass_device *device) {
  hass_rates rates;
  rates.read_gbs = read_gbs(device->pool);
  rates.int8_gmacs = linear_gmacs(device, HASS_Q8, 32);
  rates.q4_gmacs = linear_gmacs(device, HASS_Q4, 32);
  rates.fp32_gmacs = linear_gmacs(device, HASS_F32, 0);
  rates.dispatch_us = dispatch_us(device->pool);
  return rates;
}

}  // namespace hass
