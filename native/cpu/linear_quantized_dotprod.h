// Integer products of packed weights with the dot product instructions of ARMv8.2, for linear_quantized_tiles.h: four
// products of signed bytes are added in 32 bits, which hold any block.
#pragma once

#include "neon_weights.h"

namespace hass {
namespace {

template <int rows, int parts>
inline void add_products(int8x16_t weights, int quarter, int i, const QuantizedBlock<parts> *const *blocks,
                         int32x4_t (*sums)[4]) {
  for (int r = 0; r < rows; ++r) {
    sums[r][quarter] = vdotq_s32(sums[r][quarter], weights, four_integers(blocks[r]->integers + 4 * i));
  }
}

template <int rows>
inline void convert_sums(const int32x4_t (*sums)[4], Vec8 (*products)[2]) {
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) {
      products[r][half] = {vcvtq_f32_s32(sums[r][2 * half]), vcvtq_f32_s32(sums[r][2 * half + 1])};
    }
  }
}

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 (*products)[2]) {
  int32x4_t sums[rows][4] = {};
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      const NibblePair pair = load_nibble_pair(weights + vector_bytes * v + 16 * quarter);
      add_products<rows>(pair.low, quarter, 2 * v, blocks, sums);
      add_products<rows>(pair.high, quarter, 2 * v + 1, blocks, sums);
    }
  }
  convert_sums<rows>(sums, products);
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                          Vec8 (*products)[2]) {
  int32x4_t sums[rows][4] = {};
  for (int v = 8 / parts * part; v < 8 / parts * (part + 1); ++v) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      add_products<rows>(load_bytes(weights + vector_bytes * v + 16 * quarter), quarter, v, blocks, sums);
    }
  }
  convert_sums<rows>(sums, products);
}

}  // namespace
}  // namespace hass
