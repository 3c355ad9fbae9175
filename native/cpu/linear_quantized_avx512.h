// Integer products of packed weights with AVX-512 VNNI on 256-bit vectors, for linear_quantized_tiles.h.
//
// vpdpbusd multiplies unsigned bytes (q of Q4, q + 128 of Q8) with signed ones and adds four products in 32 bits, which
// hold any block. Eight outputs fill 256 bits; wider vectors would take two panels at once.
#pragma once

#include "quantize.h"

namespace hass {
namespace {

constexpr int most_tile_rows = 8;

// Adds to each row's sums the products of elements 4 i ... 4 i + 3 of a block.
template <int rows, int parts>
inline void add_products(__m256i weights, int i, const QuantizedBlock<parts> *const *blocks, __m256i *sums) {
  for (int r = 0; r < rows; ++r) {
    std::int32_t four;
    std::memcpy(&four, blocks[r]->integers + 4 * i, sizeof four);
    sums[r] = _mm256_dpbusd_epi32(sums[r], weights, _mm256_set1_epi32(four));
  }
}

inline __m256i load_bytes(const std::uint8_t *source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
}

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *plane, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 *products) {
  const __m256i low_mask = _mm256_set1_epi8(15);
  __m256i sums[rows];
  for (int r = 0; r < rows; ++r) sums[r] = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    const __m256i bytes = load_bytes(plane + 32 * v);
    add_products<rows>(_mm256_and_si256(bytes, low_mask), 2 * v, blocks, sums);
    add_products<rows>(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_mask), 2 * v + 1, blocks, sums);
  }
  for (int r = 0; r < rows; ++r) products[r] = {_mm256_cvtepi32_ps(sums[r])};
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *high_plane, const std::uint8_t *low_plane, int part,
                          const QuantizedBlock<parts> *const *blocks, Vec8 *products) {
  const __m256i low_mask = _mm256_set1_epi8(15);
  // Bits of `low` where the mask is set, of `high` elsewhere: one vpternlogd.
  const auto join = [&](__m256i high, __m256i low) {
    return _mm256_or_si256(_mm256_andnot_si256(low_mask, high), _mm256_and_si256(low_mask, low));
  };
  __m256i sums[rows];
  for (int r = 0; r < rows; ++r) sums[r] = _mm256_set1_epi32(blocks[r]->offsets[part]);
#pragma GCC unroll 4
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    const __m256i high = load_bytes(high_plane + 32 * v), low = load_bytes(low_plane + 32 * v);
    add_products<rows>(join(_mm256_slli_epi16(high, 4), low), 2 * v, blocks, sums);
    add_products<rows>(join(high, _mm256_srli_epi16(low, 4)), 2 * v + 1, blocks, sums);
  }
  for (int r = 0; r < rows; ++r) products[r] = {_mm256_cvtepi32_ps(sums[r])};
}

}  // namespace
}  // namespace hass
