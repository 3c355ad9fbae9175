// exp and silu as NUMERICS.md defines them, and what the ends of rows need. Included after a vec8 header.
#pragma once

#include <cmath>

#include "scalar_functions.h"

namespace hass {
namespace {

constexpr float infinity = __builtin_huge_valf();

// Lanes from `count` on are zero.
inline Vec8 load_first(const float *source, std::int64_t count) {
  float lanes[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (std::int64_t i = 0; i < count && i < 8; ++i) lanes[i] = source[i];
  return load(lanes);
}

inline void store_first(float *target, Vec8 a, std::int64_t count) {
  float lanes[8];
  store(lanes, a);
  for (std::int64_t i = 0; i < count && i < 8; ++i) target[i] = lanes[i];
}

// For fold and lanes_of_folds: types of their own, so that they are inlined there.
constexpr auto add_lanes = [](Vec8 a, Vec8 b) { return a + b; };
constexpr auto larger_lanes = [](Vec8 a, Vec8 b) { return larger(a, b); };

// A NaN comes through all of it.
inline Vec8 exponential(Vec8 x) {
  const Vec8 n = round_to_even(x * splat(0x1.715476p+0f));
  const Vec8 r = (x - n * splat(0.693359375f)) - n * splat(-0x1.bd0106p-13f);
  Vec8 q = splat(0x1.6a23cap-10f);
  q = q * r + splat(0x1.123a20p-7f);
  q = q * r + splat(0x1.5558f2p-5f);
  q = q * r + splat(0x1.555492p-3f);
  q = q * r + splat(0x1.fffffcp-2f);
  const Vec8 fraction = (r * r * q + r) + splat(1.0f);
  Vec8 result = fraction * power_of_two(n);
  result = select(greater(splat(-87.3125f), x), splat(0.0f), result);
  return select(greater(x, splat(88.375f)), splat(infinity), result);
}

inline Vec8 silu(Vec8 x) { return x / (splat(1.0f) + exponential(negate(x))); }

}  // namespace
}  // namespace hass
