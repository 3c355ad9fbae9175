// exp, silu and log as NUMERICS.md defines them, and what the ends of rows need. Included after a vec8 header.
#pragma once

#include <cmath>

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

// Of normal, positive x; NaN and infinity give themselves.
inline float logarithm(float x) {
  if (!(x < infinity)) return x;
  const std::int32_t exponent = static_cast<std::int32_t>(bits_of(x) - 0x3f3504f3u) >> 23;
  const float e = static_cast<float>(exponent);
  const float f = float_of(bits_of(x) - (static_cast<std::uint32_t>(exponent) << 23)) - 1.0f;
  const float z = f * f;
  float q = float_of(0xbd9c5a66u);
  q = q * f + float_of(0x3e02ada3u);
  q = q * f + float_of(0xbe06c2a9u);
  q = q * f + float_of(0x3e116d11u);
  q = q * f + float_of(0xbe2a3922u);
  q = q * f + float_of(0x3e4cd004u);
  q = q * f + float_of(0xbe800114u);
  q = q * f + float_of(0x3eaaaaaau);
  return ((((z * f) * q + e * float_of(0xb95e8083u)) - 0.5f * z) + f) + e * 0.693359375f;
}

}  // namespace
}  // namespace hass
