// Eight float32 lanes in plain C++. Every instruction set has a header with these same names.
#pragma once

#include <cmath>

#include "half.h"

namespace hass {
namespace {

struct Vec8 {
  float lane[8];
};

struct Mask8 {
  bool lane[8];
};

template <class Function>
inline Vec8 each_lane(Function function) {
  Vec8 result;
  for (int i = 0; i < 8; ++i) result.lane[i] = function(i);
  return result;
}

template <class Function>
inline Mask8 each_mask(Function function) {
  Mask8 result;
  for (int i = 0; i < 8; ++i) result.lane[i] = function(i);
  return result;
}

inline Vec8 splat(float value) {
  return each_lane([=](int) { return value; });
}
inline Vec8 load(const float *source) {
  return each_lane([=](int i) { return source[i]; });
}
inline Vec8 load_half(const std::uint16_t *source) {
  return each_lane([=](int i) { return float_of_half(source[i]); });
}
inline Vec8 load_bfloat(const std::uint16_t *source) {
  return each_lane([=](int i) { return float_of_bfloat(source[i]); });
}
inline void store(float *target, Vec8 a) {
  for (int i = 0; i < 8; ++i) target[i] = a.lane[i];
}
inline void store_half(std::uint16_t *target, Vec8 a) {
  for (int i = 0; i < 8; ++i) target[i] = half_of_float(a.lane[i]);
}
inline void store_bfloat(std::uint16_t *target, Vec8 a) {
  for (int i = 0; i < 8; ++i) target[i] = bfloat_of_float(a.lane[i]);
}
// Sixteen bytes of whole numbers in -128 ... 127. What becomes of a NaN is not defined, but it may be there.
inline void store_int8(std::int8_t *target, Vec8 a, Vec8 b) {
  const auto narrow = [](float value) { return static_cast<std::int8_t>(value == value ? value : 0.0f); };
  for (int i = 0; i < 8; ++i) {
    target[i] = narrow(a.lane[i]);
    target[i + 8] = narrow(b.lane[i]);
  }
}

// Lane i: four bits from bit `shift` on of the i-th 32-bit word (little-endian).
inline Vec8 load_nibbles(const std::uint8_t *source, int shift) {
  return each_lane([=](int i) { return static_cast<float>(source[4 * i + shift / 8] >> shift % 8 & 15); });
}
// Lane i: the signed byte from bit `shift` on, 0, 8, 16 or 24.
inline Vec8 load_signed_bytes(const std::uint8_t *source, int shift) {
  return each_lane([=](int i) { return static_cast<float>(static_cast<std::int8_t>(source[4 * i + shift / 8])); });
}

inline Vec8 operator+(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Vec8 operator-(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Vec8 operator*(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Vec8 operator/(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lane[i] / b.lane[i]; });
}
inline Vec8 negate(Vec8 a) {
  return each_lane([&](int i) { return -a.lane[i]; });
}
inline Vec8 absolute(Vec8 a) {
  return each_lane([&](int i) { return std::fabs(a.lane[i]); });
}
// a * b + c, fused where the instruction set has it: for the operations that are not exact only.
inline Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) {
  return each_lane([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}
inline Vec8 round_to_even(Vec8 a) {
  return each_lane([&](int i) { return std::nearbyintf(a.lane[i]); });
}
// 2^n of integral n in -126 ... 127.
inline Vec8 power_of_two(Vec8 n) {
  return each_lane([&](int i) {
    const bool is_in_range = n.lane[i] >= -126.0f && n.lane[i] <= 127.0f;  // lanes that will be selected away may be out
    return float_of(static_cast<std::uint32_t>((is_in_range ? static_cast<std::int32_t>(n.lane[i]) : 0) + 127) << 23);
  });
}

inline Mask8 greater(Vec8 a, Vec8 b) {
  return each_mask([&](int i) { return a.lane[i] > b.lane[i]; });
}
inline Mask8 equal(Vec8 a, Vec8 b) {
  return each_mask([&](int i) { return a.lane[i] == b.lane[i]; });
}
inline Mask8 is_nan(Vec8 a) {
  return each_mask([&](int i) { return a.lane[i] != a.lane[i]; });
}
inline Mask8 first_lanes(std::int64_t count) {
  return each_mask([=](int i) { return i < count; });
}
inline bool any(Mask8 mask) {
  bool result = false;
  for (int i = 0; i < 8; ++i) result = result || mask.lane[i];
  return result;
}
inline Vec8 select(Mask8 mask, Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return mask.lane[i] ? a.lane[i] : b.lane[i]; });
}
// best where a is NaN.
inline Vec8 larger(Vec8 best, Vec8 a) {
  return each_lane([&](int i) { return a.lane[i] > best.lane[i] ? a.lane[i] : best.lane[i]; });
}

// In lane order.
inline float sum(Vec8 a) {
  const float *x = a.lane;
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}
// Lanes 0 ... 3: lane i of a combined with lane i + 4; lanes 4 ... 7: those of b.
template <class Combine>
inline Vec8 fold(Vec8 a, Vec8 b, Combine combine) {
  return combine(each_lane([&](int i) { return i < 4 ? a.lane[i] : b.lane[i]; }),
                 each_lane([&](int i) { return i < 4 ? a.lane[i + 4] : b.lane[i - 4]; }));
}
// Lane i: the lanes of vector i combined as sum does, where folds[i % 4] is of vectors i and i + 4.
template <class Combine>
inline Vec8 lanes_of_folds(const Vec8 *folds, Combine combine) {
  const auto every = [&](int lane) {
    return each_lane([&](int i) { return folds[i % 4].lane[i / 4 * 4 + lane]; });
  };
  return combine(combine(every(0), every(2)), combine(every(1), every(3)));
}

}  // namespace
}  // namespace hass
