// Integer products of packed weights with the dot product instructions of ARMv8.2, for linear_quantized_tiles.h: four
// products of signed bytes are added in 32 bits, which hold any block.
#pragma once

#include "neon_weights.h"

namespace hass {
namespace {

constexpr int most_tile_rows = 4;

// load(v, half): the weights of vector v for outputs 4 half ... 4 half + 3.
template <int rows, int parts, class Load>
inline void dot_products(int part, const QuantizedBlock<parts> *const *blocks, Vec8 *products, Load load) {
  int32x4_t sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = vdupq_n_s32(0);
  for (int v = 4 / parts * part; v < 4 / parts * (part + 1); ++v) {
    for (int half = 0; half < 2; ++half) {
      const WeightPair weights = load(v, half);
      for (int r = 0; r < rows; ++r) {
        const std::int8_t *integers = blocks[r]->integers + 8 * v;
        sums[r][half] = vdotq_s32(sums[r][half], weights.low, four_integers(integers));
        sums[r][half] = vdotq_s32(sums[r][half], weights.high, four_integers(integers + 4));
      }
    }
  }
  for (int r = 0; r < rows; ++r) products[r] = {vcvtq_f32_s32(sums[r][0]), vcvtq_f32_s32(sums[r][1])};
}

template <int rows, int parts>
inline void nibble_products(const std::uint8_t *plane, int part, const QuantizedBlock<parts> *const *blocks,
                            Vec8 *products) {
  dot_products<rows>(part, blocks, products,
                     [=](int v, int half) { return load_nibble_pair(plane + 32 * v + 16 * half); });
}

template <int rows, int parts>
inline void byte_products(const std::uint8_t *high_plane, const std::uint8_t *low_plane, int part,
                          const QuantizedBlock<parts> *const *blocks, Vec8 *products) {
  dot_products<rows>(part, blocks, products, [=](int v, int half) {
    return load_byte_pair(high_plane + 32 * v + 16 * half, low_plane + 32 * v + 16 * half);
  });
}

}  // namespace
}  // namespace hass
