// Integer products of packed weights with the instructions that every AArch64 processor has, for
// linear_quantized_tiles.h.
//
// A product of a nibble and an integer is at most 1905 in magnitude, so eight of them fit into 16 bits: a block of 32
// needs one widening. Of products of bytes (at most 128 . 127), two do.
#pragma once

#include "neon_weights.h"

namespace hass {
namespace {

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
inline void nibble_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 (*products)[2]) {
  const int begin = 4 / parts * part, end = begin + 4 / parts;
  for (int half = 0; half < 2; ++half) {
    WordSums sums[rows][2];
    for (int v = begin; v < end; ++v) {
      for (int side = 0; side < 2; ++side) {
        const NibblePair pair = load_nibble_pair(weights + vector_bytes * v + 32 * half + 16 * side);
        for (int r = 0; r < rows; ++r) {
          const int8x16_t integers = four_integers(blocks[r]->integers + 8 * v);
          if (v == begin) {
            sums[r][side] = multiply(pair.low, integers);
          } else {
            add_products(sums[r][side], pair.low, integers);
          }
          add_products(sums[r][side], pair.high, four_integers(blocks[r]->integers + 8 * v + 4));
        }
      }
    }
    for (int r = 0; r < rows; ++r) {
      products[r][half] = {vcvtq_f32_s32(widen_sums(sums[r][0])), vcvtq_f32_s32(widen_sums(sums[r][1]))};
    }
  }
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *weights, int part, const QuantizedBlock<parts> *const *blocks,
                          Vec8 (*products)[2]) {
  const int begin = 8 / parts * part, end = begin + 8 / parts;
  for (int half = 0; half < 2; ++half) {
    int32x4_t sums[rows][2] = {};
    for (int v = begin; v < end; v += 2) {
      for (int side = 0; side < 2; ++side) {
        const std::uint8_t *vectors = weights + vector_bytes * v + 32 * half + 16 * side;
        const int8x16_t first = load_bytes(vectors), second = load_bytes(vectors + vector_bytes);
        for (int r = 0; r < rows; ++r) {
          WordSums words = multiply(first, four_integers(blocks[r]->integers + 4 * v));
          add_products(words, second, four_integers(blocks[r]->integers + 4 * v + 4));
          sums[r][side] = vaddq_s32(sums[r][side], widen_sums(words));
        }
      }
    }
    for (int r = 0; r < rows; ++r) products[r][half] = {vcvtq_f32_s32(sums[r][0]), vcvtq_f32_s32(sums[r][1])};
  }
}

}  // namespace
}  // namespace hass
