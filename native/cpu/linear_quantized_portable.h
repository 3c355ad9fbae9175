// Linear with int8 activations, one weight at a time: what the SIMD versions are held against.
#pragma once

#include "packed_weight.h"
#include "quantize.h"
#include "units.h"

namespace hass {
namespace {

template <int parts>
inline float add_block(float total, float scale, const int *weights, const QuantizedBlock<parts> &block) {
  constexpr int size = block_size / parts;
  for (int p = 0; p < parts; ++p) {
    std::int32_t products = 0;
    for (int i = p * size; i < (p + 1) * size; ++i) products += weights[i] * block.integers[i];
    total = total + (scale * block.scales[p]) * static_cast<float>(products);
  }
  return total;
}

// Tile: the panel's outputs of each row, [rows][tile_stride].
template <int parts>
inline void quantized_panel_rows(const hass_cpu_linear_args &a, const std::uint8_t *panel, std::int64_t row_begin,
                                 std::int64_t row_end, float *tile) {
  for (std::int64_t b = 0; b < a.in / block_size; ++b) {
    const PackedBlock weight = packed_block(a.weight_dtype, panel, b);
    for (std::int64_t o = 0; o < panel_width; ++o) {
      int integers[block_size];
      for (std::int64_t i = 0; i < block_size; ++i) integers[i] = packed_integer(weight, o, i);
      const float scale = packed_scale(weight, o);
      for (std::int64_t r = row_begin; r < row_end; ++r) {
        const QuantizedBlock<parts> &block = quantized_row<parts>(a, r)[b];
        float &total = tile[(r - row_begin) * tile_stride + o];
        total = add_block(b == 0 ? 0.0f : total, scale, integers, block);
        if (weight.minima) total = total + packed_minimum(weight, o) * block.sum;
      }
    }
  }
}

}  // namespace
}  // namespace hass
