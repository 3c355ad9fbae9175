// Integer products of packed weights with AVX-512 VNNI on 256-bit vectors, for linear_quantized_tiles.h.
//
// vpdpbusd multiplies unsigned bytes (q of Q4, q + 128 of Q8) with signed ones and adds four products in 32 bits, which
// hold any block.
#pragma once

#include "quantize.h"

namespace hass {
namespace {

// Adds to each row's sums the products of elements 4 i ... 4 i + 3 of a block.
template <int rows, int parts>
inline void add_products(const __m256i *weights, int i, const QuantizedBlock<parts> *const *blocks,
                         __m256i (*sums)[2]) {
  for (int r = 0; r < rows; ++r) {
    std::int32_t four;
    std::memcpy(&four, blocks[r]->integers + 4 * i, sizeof four);
    const __m256i integers = _mm256_set1_epi32(four);
    for (int half = 0; half < 2; ++half) sums[r][half] = _mm256_dpbusd_epi32(sums[r][half], weights[half], integers);
  }
}

inline __m256i load_bytes(const std::uint8_t *source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
}

template <int rows>
inline void convert_sums(const __m256i (*sums)[2], Vec8 (*products)[2]) {
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) products[r][half] = {_mm256_cvtepi32_ps(sums[r][half])};
  }
}

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 (*products)[2]) {
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    __m256i low[2], high[2];
    for (int half = 0; half < 2; ++half) {
      const __m256i bytes = load_bytes(weights + vector_bytes * v + 32 * half);
      low[half] = _mm256_and_si256(bytes, mask);
      high[half] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
    }
    add_products<rows>(low, 2 * v, blocks, sums);
    add_products<rows>(high, 2 * v + 1, blocks, sums);
  }
  convert_sums<rows>(sums, products);
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                          Vec8 (*products)[2]) {
  const __m256i sign = _mm256_set1_epi8(-128);
  __m256i sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = _mm256_set1_epi32(blocks[r]->offsets[part]);
#pragma GCC unroll 8
  for (int v = 8 / parts * part; v < 8 / parts * (part + 1); ++v) {
    __m256i shifted[2];
    for (int half = 0; half < 2; ++half) {
      shifted[half] = _mm256_xor_si256(load_bytes(weights + vector_bytes * v + 32 * half), sign);
    }
    add_products<rows>(shifted, v, blocks, sums);
  }
  convert_sums<rows>(sums, products);
}

}  // namespace
}  // namespace hass
