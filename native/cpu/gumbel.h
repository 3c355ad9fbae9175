// The choice by the noise field's stream 0; a unit is a row.
#pragma once

#include "noise.h"
#include "ops.h"

namespace hass {
namespace {

// No noise is larger: it belongs to the word 0 and is 22.87.
constexpr double largest_gumbel = 22.875;

// E >= u, so G = -ln E <= -ln u, which the leading zeros of the word bound. Rounding is monotonic: the bound holds for
// rounded sums, too.
inline double gumbel_bound(std::uint32_t word) {
  const int zeros = word == 0 ? 32 : __builtin_clz(word);
  return (zeros + 1) * 0.6931471805599454 + 1e-9;
}

// A logit at or below which nothing can win against `best`; rounding is covered by the slack.
inline float losing_logit(double best, double temperature) {
  const double bound = (best - largest_gumbel) * temperature;
  const double slack = (bound < 0 ? -bound : bound) * 1e-6 + 1e-6 * temperature;
  return temperature > 0 && bound - slack > -3e38 ? static_cast<float>(bound - slack) : -infinity;
}

inline std::uint32_t row_gumbel_arg_max(const float *x, std::int64_t size, double temperature,
                                        NoiseRow noise) {
  // The arg max goes first: its key is high, which spares most of the others their noise.
  std::int64_t token = row_arg_max(x, size);
  if (temperature == 0) return static_cast<std::uint32_t>(token);
  double best = -static_cast<double>(infinity);
  float floor = -infinity;
  const auto offer = [&](std::int64_t v) {
    const double value = static_cast<double>(x[v]) / temperature;
    if (!(value + largest_gumbel >= best)) return;
    const std::uint32_t word = noise.word(v);
    if (!(value + gumbel_bound(word) >= best)) return;
    const double key = value + gumbel_of_word(word);
    if (key > best || (key == best && v < token)) {
      best = key;
      token = v;
      floor = losing_logit(best, temperature);
    }
  };
  offer(token);
  std::int64_t v = 0;
  for (; v + 8 <= size; v += 8) {
    if (!any(greater(load(x + v), splat(floor)))) continue;
    for (std::int64_t i = v; i < v + 8; ++i) offer(i);
  }
  for (; v < size; ++v) offer(v);
  // Nothing but NaN and -infinity: key == best is no choice.
  return best > -static_cast<double>(infinity) ? static_cast<std::uint32_t>(token) : 0;
}

inline void run_gumbel_arg_max(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_gumbel_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const NoiseRow noise{a.seeds[2 * r], a.seeds[2 * r + 1], a.positions[r]};
    a.token[r] = row_gumbel_arg_max(a.x + r * a.x_stride, a.columns, a.temperatures[r], noise);
  }
}

}  // namespace
}  // namespace hass
