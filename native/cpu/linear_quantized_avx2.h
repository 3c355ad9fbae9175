// Integer products of packed weights in AVX2, for linear_quantized_tiles.h.
//
// A product of a nibble (0 ... 15) and an integer (-127 ... 127) is at most 1905 in magnitude, so vpmaddubsw's sums of
// two never saturate and eight of those sums fit into 16 bits: a block of 32 needs one widening. Bytes are multiplied
// as |q| and a with the sign of q: two of those products, at most 128 . 127 each, do not saturate either.
#pragma once

#include "quantize.h"

namespace hass {
namespace {

// Four integers of an activation row in every lane.
inline __m256i four_integers(const std::int8_t *source) {
  std::int32_t four;
  std::memcpy(&four, source, sizeof four);
  return _mm256_set1_epi32(four);
}

inline __m256i load_bytes(const std::uint8_t *source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
}

// Sums of 16 bits -> the eight outputs' sums.
inline __m256i widen_sums(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

// Makes a value here and now: compilers that reorder integer sums keep all products alive and spill them.
inline void settle(__m256i &value) { asm("" : "+x"(value)); }

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 (*products)[2]) {
  const __m256i mask = _mm256_set1_epi8(15);
  const int begin = 4 / parts * part, end = begin + 4 / parts;
  __m256i sums[rows][2];
#pragma GCC unroll 4
  for (int v = begin; v < end; ++v) {
#pragma GCC unroll 2
    for (int nibble = 0; nibble < 2; ++nibble) {
      __m256i vectors[2];
      for (int half = 0; half < 2; ++half) {
        const __m256i bytes = load_bytes(weights + vector_bytes * v + 32 * half);
        vectors[half] = _mm256_and_si256(nibble == 0 ? bytes : _mm256_srli_epi16(bytes, 4), mask);
        settle(vectors[half]);
      }
      for (int r = 0; r < rows; ++r) {
        const __m256i integers = four_integers(blocks[r]->integers + 8 * v + 4 * nibble);
        for (int half = 0; half < 2; ++half) {
          const __m256i words = _mm256_maddubs_epi16(vectors[half], integers);
          sums[r][half] = v == begin && nibble == 0 ? words : _mm256_add_epi16(sums[r][half], words);
          settle(sums[r][half]);
        }
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) products[r][half] = {_mm256_cvtepi32_ps(widen_sums(sums[r][half]))};
  }
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                          Vec8 (*products)[2]) {
  const int begin = 8 / parts * part, end = begin + 8 / parts;
  __m256i sums[rows][2];
#pragma GCC unroll 8
  for (int v = begin; v < end; ++v) {
    __m256i vectors[2], magnitudes[2];
    for (int half = 0; half < 2; ++half) {
      vectors[half] = load_bytes(weights + vector_bytes * v + 32 * half);
      magnitudes[half] = _mm256_abs_epi8(vectors[half]);
      settle(magnitudes[half]);
    }
    for (int r = 0; r < rows; ++r) {
      const __m256i integers = four_integers(blocks[r]->integers + 4 * v);
      for (int half = 0; half < 2; ++half) {
        const __m256i words = _mm256_maddubs_epi16(magnitudes[half], _mm256_sign_epi8(integers, vectors[half]));
        sums[r][half] = v == begin ? widen_sums(words) : _mm256_add_epi32(sums[r][half], widen_sums(words));
        settle(sums[r][half]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) products[r][half] = {_mm256_cvtepi32_ps(sums[r][half])};
  }
}

}  // namespace
}  // namespace hass
