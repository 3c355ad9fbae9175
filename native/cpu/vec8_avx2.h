// Eight float32 lanes with AVX2, FMA and F16C: the names of vec8_portable.h.
#pragma once

#include <immintrin.h>

#include "half.h"

namespace hass {
namespace {

struct Vec8 {
  __m256 v;
};

struct Mask8 {
  __m256 v;
};

inline Vec8 splat(float value) { return {_mm256_set1_ps(value)}; }
inline Vec8 load(const float *source) { return {_mm256_loadu_ps(source)}; }
inline Vec8 load_half(const std::uint16_t *source) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(source)))};
}
inline Vec8 load_bfloat(const std::uint16_t *source) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(source)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}
inline void store(float *target, Vec8 a) { _mm256_storeu_ps(target, a.v); }
inline void store_half(std::uint16_t *target, Vec8 a) {
  const __m128i half = _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(target), half);
}
inline void store_bfloat(std::uint16_t *target, Vec8 a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i is_odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(_mm256_set1_epi32(0x7fff), is_odd));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(target), _mm256_castsi256_si128(packed));
}
inline void store_int8(std::int8_t *target, Vec8 a, Vec8 b) {
  const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.v), _mm256_cvtps_epi32(b.v));
  const __m256i bytes = _mm256_packs_epi16(words, words);
  const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(target), _mm_unpacklo_epi32(low, high));
}

inline Vec8 load_nibbles(const std::uint8_t *source, int shift) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
  const __m256i shifted = _mm256_srl_epi32(words, _mm_cvtsi32_si128(shift));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(15)))};
}
inline Vec8 load_signed_bytes(const std::uint8_t *source, int shift) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
  const __m256i shifted = _mm256_sll_epi32(words, _mm_cvtsi32_si128(24 - shift));
  return {_mm256_cvtepi32_ps(_mm256_srai_epi32(shifted, 24))};
}

inline Vec8 operator+(Vec8 a, Vec8 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec8 operator-(Vec8 a, Vec8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec8 operator*(Vec8 a, Vec8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec8 operator/(Vec8 a, Vec8 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec8 negate(Vec8 a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
inline Vec8 absolute(Vec8 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
inline Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec8 round_to_even(Vec8 a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Vec8 power_of_two(Vec8 n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}

inline Mask8 greater(Vec8 a, Vec8 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
inline Mask8 equal(Vec8 a, Vec8 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
inline Mask8 is_nan(Vec8 a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
inline Mask8 first_lanes(std::int64_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i limit = _mm256_set1_epi32(static_cast<int>(count < 8 ? count : 8));
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, index))};
}
inline bool any(Mask8 mask) { return _mm256_movemask_ps(mask.v) != 0; }
inline Vec8 select(Mask8 mask, Vec8 a, Vec8 b) { return {_mm256_blendv_ps(b.v, a.v, mask.v)}; }
// The second operand of vmaxps is what it returns where one of them is NaN.
inline Vec8 larger(Vec8 best, Vec8 a) { return {_mm256_max_ps(a.v, best.v)}; }

inline float sum(Vec8 a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
// Lanes 0 ... 3: lane i of a combined with lane i + 4; lanes 4 ... 7: those of b.
template <class Combine>
inline Vec8 fold(Vec8 a, Vec8 b, Combine combine) {
  return combine(Vec8{_mm256_blend_ps(a.v, b.v, 0xf0)}, Vec8{_mm256_permute2f128_ps(a.v, b.v, 0x21)});
}
template <class Combine>
inline Vec8 lanes_of_folds(const Vec8 *folds, Combine combine) {
  const auto pairs = [&](__m256 a, __m256 b) {
    return combine(Vec8{_mm256_blend_ps(a, b, 0xcc)}, Vec8{_mm256_shuffle_ps(a, b, 0x4e)}).v;
  };
  const __m256 left = pairs(folds[0].v, folds[1].v), right = pairs(folds[2].v, folds[3].v);
  return combine(Vec8{_mm256_shuffle_ps(left, right, 0x88)}, Vec8{_mm256_shuffle_ps(left, right, 0xdd)});
}

}  // namespace
}  // namespace hass
