// Integer products of packed weights with the instructions that every AArch64 processor has, for
// linear_quantized_tiles.h.
//
// A product of a nibble and an integer is at most 1905 in magnitude, so eight of them fit into 16 bits: a block of 32
// needs one widening. Of products of bytes (at most 128 . 127), two do.
#pragma once

#include "neon_weights.h"

namespace hass {
namespace {

constexpr int most_tile_rows = 4;

// Four outputs: sums of 16 bits, four for each output.
struct WordSums {
  int16x8_t low, high;
};

inline WordSums multiply(int8x16_t weights, int8x16_t integers) {
  return {vmull_s8(vget_low_s8(weights), vget_low_s8(integers)), vmull_high_s8(weights, integers)};
}

inline void add_products(WordSums &sums, int8x16_t weights, int8x16_t integers) {
  sums.low = vmlal_s8(sums.low, vget_low_s8(weights), vget_low_s8(integers));
  sums.high = vmlal_high_s8(sums.high, weights, integers);
}

inline int32x4_t widen_sums(WordSums sums) { return vpaddq_s32(vpaddlq_s16(sums.low), vpaddlq_s16(sums.high)); }

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *plane, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 *products) {
  const int begin = 4 / parts * part, end = begin + 4 / parts;
  WordSums sums[rows][2];
  for (int v = begin; v < end; ++v) {
    for (int half = 0; half < 2; ++half) {
      const WeightPair weights = load_nibble_pair(plane + 32 * v + 16 * half);
      for (int r = 0; r < rows; ++r) {
        const int8x16_t integers = four_integers(blocks[r]->integers + 8 * v);
        if (v == begin) {
          sums[r][half] = multiply(weights.low, integers);
        } else {
          add_products(sums[r][half], weights.low, integers);
        }
        add_products(sums[r][half], weights.high, four_integers(blocks[r]->integers + 8 * v + 4));
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    products[r] = {vcvtq_f32_s32(widen_sums(sums[r][0])), vcvtq_f32_s32(widen_sums(sums[r][1]))};
  }
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *high_plane, const std::uint8_t *low_plane, int part,
                          const QuantizedBlock<parts> *const *blocks, Vec8 *products) {
  int32x4_t sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = vdupq_n_s32(0);
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    for (int half = 0; half < 2; ++half) {
      const WeightPair weights = load_byte_pair(high_plane + 32 * v + 16 * half, low_plane + 32 * v + 16 * half);
      for (int r = 0; r < rows; ++r) {
        WordSums words = multiply(weights.low, four_integers(blocks[r]->integers + 8 * v));
        add_products(words, weights.high, four_integers(blocks[r]->integers + 8 * v + 4));
        sums[r][half] = vaddq_s32(sums[r][half], widen_sums(words));
      }
    }
  }
  for (int r = 0; r < rows; ++r) products[r] = {vcvtq_f32_s32(sums[r][0]), vcvtq_f32_s32(sums[r][1])};
}

}  // namespace
}  // namespace hass
