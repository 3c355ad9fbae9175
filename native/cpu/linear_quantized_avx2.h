// Integer products of packed weights in AVX2, for linear_quantized_tiles.h.
//
// A product of a nibble (0 ... 15) and an integer (-127 ... 127) is at most 1905 in magnitude, so vpmaddubsw's sums of
// two never saturate and eight of those sums fit into 16 bits: a block of 32 needs one widening.
#pragma once

#include "quantize.h"

namespace hass {
namespace {

constexpr int most_tile_rows = 4;

// Four integers of an activation row in every lane.
inline __m256i four_integers(const std::int8_t *source) {
  std::int32_t four;
  std::memcpy(&four, source, sizeof four);
  return _mm256_set1_epi32(four);
}

inline __m256i load_bytes(const std::uint8_t *source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
}

// Sums of 16 bits -> the eight outputs' sums, each times `factor`.
inline __m256i widen_sums(__m256i sums, int factor) {
  return _mm256_madd_epi16(sums, _mm256_set1_epi16(static_cast<short>(factor)));
}

// Adds here and now: compilers that reassociate integer sums keep all products alive and spill them.
inline void add_words(__m256i &sum, __m256i products) {
  sum = _mm256_add_epi16(sum, products);
  asm("" : "+x"(sum));
}

inline __m256i low_nibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i bytes) { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *plane, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 *products) {
  const int begin = 4 / parts * part, end = begin + 4 / parts;
  __m256i sums[rows];
#pragma GCC unroll 4
  for (int v = begin; v < end; ++v) {
    const __m256i bytes = load_bytes(plane + 32 * v);
    const __m256i low = low_nibbles(bytes), high = high_nibbles(bytes);
    for (int r = 0; r < rows; ++r) {
      const std::int8_t *integers = blocks[r]->integers + 8 * v;
      const __m256i words = _mm256_maddubs_epi16(low, four_integers(integers));
      if (v == begin) {
        sums[r] = words;
      } else {
        add_words(sums[r], words);
      }
      add_words(sums[r], _mm256_maddubs_epi16(high, four_integers(integers + 4)));
    }
  }
  for (int r = 0; r < rows; ++r) products[r] = {_mm256_cvtepi32_ps(widen_sums(sums[r], 1))};
}

// Sums of both planes at once: each row's integers are loaded for both.
template <int rows, int parts>
inline void byte_products(const std::uint8_t *high_plane, const std::uint8_t *low_plane, int part,
                          const QuantizedBlock<parts> *const *blocks, Vec8 *products) {
  const int begin = 4 / parts * part, end = begin + 4 / parts;
  __m256i high_sums[rows], low_sums[rows];
#pragma GCC unroll 4
  for (int v = begin; v < end; ++v) {
    const __m256i high_bytes = load_bytes(high_plane + 32 * v), low_bytes = load_bytes(low_plane + 32 * v);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i high = half == 0 ? low_nibbles(high_bytes) : high_nibbles(high_bytes);
      const __m256i low = half == 0 ? low_nibbles(low_bytes) : high_nibbles(low_bytes);
      for (int r = 0; r < rows; ++r) {
        const __m256i integers = four_integers(blocks[r]->integers + 8 * v + 4 * half);
        if (v == begin && half == 0) {
          high_sums[r] = _mm256_maddubs_epi16(high, integers);
          low_sums[r] = _mm256_maddubs_epi16(low, integers);
        } else {
          add_words(high_sums[r], _mm256_maddubs_epi16(high, integers));
          add_words(low_sums[r], _mm256_maddubs_epi16(low, integers));
        }
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    const __m256i sum = _mm256_add_epi32(widen_sums(high_sums[r], 16), widen_sums(low_sums[r], 1));
    products[r] = {_mm256_cvtepi32_ps(_mm256_add_epi32(sum, _mm256_set1_epi32(blocks[r]->offsets[part])))};
  }
}

}  // namespace
}  // namespace hass
