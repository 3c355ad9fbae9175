// The choice by the noise field's stream 0; a unit is a row.
#pragma once

#include <cmath>

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

// Of 32 words one is below this; with any other the noise is no larger than `ordinary_gumbel`.
constexpr std::uint32_t rare_word = 1u << 27;
constexpr double ordinary_gumbel = 5 * 0.6931471805599454 + 1e-9;

// A logit at or below which nothing of that noise can win against `best`; rounding is covered by the slack.
inline float losing_logit(double best, double noise, double temperature) {
  const double bound = (best - noise) * temperature;
  const double slack = (bound < 0 ? -bound : bound) * 1e-6 + 1e-6 * temperature;
  if (!(temperature > 0 && bound - slack > -3e38)) return -infinity;
  const auto floor = static_cast<float>(bound - slack);
  // Rounded down: of the smallest temperatures all that is left of the bound would be a zero.
  return static_cast<double>(floor) > bound - slack ? std::nextafter(floor, -infinity) : floor;
}

inline std::uint32_t row_gumbel_arg_max(const float *x, std::int64_t size, double temperature,
                                        NoiseRow noise) {
  // The arg max goes first: its key is high, which spares most of the others their noise.
  std::int64_t token = row_arg_max(x, size);
  if (temperature == 0) return static_cast<std::uint32_t>(token);
  double best = -static_cast<double>(infinity);
  float floor = -infinity, ordinary_floor = -infinity;
  const auto offer = [&](std::int64_t v, std::uint32_t word) {
    const double value = static_cast<double>(x[v]) / temperature;
    if (!(value + gumbel_bound(word) >= best)) return;
    const double key = value + gumbel_of_word(word);
    if (key > best || (key == best && v < token)) {
      best = key;
      token = v;
      floor = losing_logit(best, largest_gumbel, temperature);
      ordinary_floor = losing_logit(best, ordinary_gumbel, temperature);
    }
  };
  offer(token, noise.word(token));
  std::int64_t v = 0;
  for (; v + tokens_at_once <= size; v += tokens_at_once) {
    bool is_open = false;
    for (std::int64_t i = v; i < v + tokens_at_once; i += 8) is_open |= any(greater(load(x + i), splat(floor)));
    if (!is_open) continue;
    std::uint32_t words[tokens_at_once];
    noise_words(static_cast<std::uint32_t>(v >> 2), noise.position, noise.key0, noise.key1, words);
    for (std::int64_t i = 0; i < tokens_at_once; ++i) {
      if (words[i] < rare_word || x[v + i] > ordinary_floor) offer(v + i, words[i]);
    }
  }
  for (; v < size; ++v) offer(v, noise.word(v));
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
