// Eight float32 lanes as two NEON vectors, for AArch64: the names of vec8_portable.h.
#pragma once

#include <arm_neon.h>

#include "half.h"

namespace hass {
namespace {

struct Vec8 {
  float32x4_t low, high;
};

struct Mask8 {
  uint32x4_t low, high;
};

inline Vec8 splat(float value) { return {vdupq_n_f32(value), vdupq_n_f32(value)}; }
inline Vec8 load(const float *source) { return {vld1q_f32(source), vld1q_f32(source + 4)}; }
inline Vec8 load_half(const std::uint16_t *source) {
  const uint16x8_t halves = vld1q_u16(source);
  return {vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(halves))),
          vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(halves)))};
}
inline Vec8 load_bfloat(const std::uint16_t *source) {
  const uint16x8_t halves = vld1q_u16(source);
  return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)),
          vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(halves), 16))};
}
inline void store(float *target, Vec8 a) {
  vst1q_f32(target, a.low);
  vst1q_f32(target + 4, a.high);
}
inline void store_half(std::uint16_t *target, Vec8 a) {
  vst1_u16(target, vreinterpret_u16_f16(vcvt_f16_f32(a.low)));
  vst1_u16(target + 4, vreinterpret_u16_f16(vcvt_f16_f32(a.high)));
}
inline void store_bfloat(std::uint16_t *target, Vec8 a) {
  const auto narrow_four = [](float32x4_t values) {
    const uint32x4_t bits = vreinterpretq_u32_f32(values);
    const uint32x4_t is_odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(vdupq_n_u32(0x7fff), is_odd));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(values, values), rounded, quiet), 16);
  };
  vst1q_u16(target, vcombine_u16(narrow_four(a.low), narrow_four(a.high)));
}
inline void store_int8(std::int8_t *target, Vec8 a, Vec8 b) {
  const auto eight = [](Vec8 values) {
    const int16x4_t low = vmovn_s32(vcvtq_s32_f32(values.low)), high = vmovn_s32(vcvtq_s32_f32(values.high));
    return vmovn_s16(vcombine_s16(low, high));
  };
  vst1q_s8(target, vcombine_s8(eight(a), eight(b)));
}

inline Vec8 load_nibbles(const std::uint8_t *source, int shift) {
  const auto four = [shift](const std::uint8_t *bytes) {
    const uint32x4_t shifted = vshlq_u32(vreinterpretq_u32_u8(vld1q_u8(bytes)), vdupq_n_s32(-shift));
    return vcvtq_f32_u32(vandq_u32(shifted, vdupq_n_u32(15)));
  };
  return {four(source), four(source + 16)};
}
inline Vec8 load_signed_bytes(const std::uint8_t *source, int shift) {
  const auto four = [shift](const std::uint8_t *bytes) {
    const int32x4_t shifted = vshlq_s32(vreinterpretq_s32_u8(vld1q_u8(bytes)), vdupq_n_s32(24 - shift));
    return vcvtq_f32_s32(vshrq_n_s32(shifted, 24));
  };
  return {four(source), four(source + 16)};
}

inline Vec8 operator+(Vec8 a, Vec8 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
inline Vec8 operator-(Vec8 a, Vec8 b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
inline Vec8 operator*(Vec8 a, Vec8 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
inline Vec8 operator/(Vec8 a, Vec8 b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
inline Vec8 negate(Vec8 a) { return {vnegq_f32(a.low), vnegq_f32(a.high)}; }
inline Vec8 absolute(Vec8 a) { return {vabsq_f32(a.low), vabsq_f32(a.high)}; }
inline Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) {
  return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
inline Vec8 round_to_even(Vec8 a) { return {vrndnq_f32(a.low), vrndnq_f32(a.high)}; }
inline Vec8 power_of_two(Vec8 n) {
  const auto four = [](float32x4_t exponents) {
    const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(exponents), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
  };
  return {four(n.low), four(n.high)};
}

inline Mask8 greater(Vec8 a, Vec8 b) { return {vcgtq_f32(a.low, b.low), vcgtq_f32(a.high, b.high)}; }
inline Mask8 equal(Vec8 a, Vec8 b) { return {vceqq_f32(a.low, b.low), vceqq_f32(a.high, b.high)}; }
inline Mask8 is_nan(Vec8 a) {
  const Mask8 is_number = equal(a, a);
  return {vmvnq_u32(is_number.low), vmvnq_u32(is_number.high)};
}
inline Mask8 first_lanes(std::int64_t count) {
  static constexpr std::uint32_t index[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const uint32x4_t limit = vdupq_n_u32(static_cast<std::uint32_t>(count < 8 ? count : 8));
  return {vcltq_u32(vld1q_u32(index), limit), vcltq_u32(vld1q_u32(index + 4), limit)};
}
inline bool any(Mask8 mask) { return vmaxvq_u32(vorrq_u32(mask.low, mask.high)) != 0; }
inline Vec8 select(Mask8 mask, Vec8 a, Vec8 b) {
  return {vbslq_f32(mask.low, a.low, b.low), vbslq_f32(mask.high, a.high, b.high)};
}
// Not vmaxq_f32, which gives NaN where one of them is.
inline Vec8 larger(Vec8 best, Vec8 a) { return select(greater(a, best), a, best); }

inline float sum(Vec8 a) {
  const float32x4_t four = vaddq_f32(a.low, a.high);
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
template <class Combine>
inline Vec8 fold(Vec8 a, Vec8 b, Combine combine) {
  return combine(Vec8{a.low, b.low}, Vec8{a.high, b.high});
}
template <class Combine>
inline Vec8 lanes_of_folds(const Vec8 *folds, Combine combine) {
  const auto pairs = [&](Vec8 a, Vec8 b) {
    const auto wide = [](float32x4_t four) { return vreinterpretq_f64_f32(four); };
    const auto first = [&](float32x4_t x, float32x4_t y) { return vreinterpretq_f32_f64(vzip1q_f64(wide(x), wide(y))); };
    const auto second = [&](float32x4_t x, float32x4_t y) { return vreinterpretq_f32_f64(vzip2q_f64(wide(x), wide(y))); };
    return combine(Vec8{first(a.low, b.low), first(a.high, b.high)}, Vec8{second(a.low, b.low), second(a.high, b.high)});
  };
  const Vec8 left = pairs(folds[0], folds[1]), right = pairs(folds[2], folds[3]);
  return combine(Vec8{vuzp1q_f32(left.low, right.low), vuzp1q_f32(left.high, right.high)},
                 Vec8{vuzp2q_f32(left.low, right.low), vuzp2q_f32(left.high, right.high)});
}

}  // namespace
}  // namespace hass
