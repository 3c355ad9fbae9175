// Linear with int8 activations, one weight at a time: what the SIMD versions are held against.
#pragma once

#include "packed_weight.h"
#include "quantize.h"
#include "units.h"

namespace hass {
namespace {

inline void quantized_panel_rows(const hass_cpu_linear_args &a, const void *panel, std::int64_t row_begin,
                                 std::int64_t row_end, float *tile) {
  const auto *bytes = static_cast<const std::uint8_t *>(panel);
  const std::int64_t halves = block_size / a.activation_block;
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    for (std::int64_t o = 0; o < quantized_panel; ++o) tile[(r - row_begin) * tile_stride + o] = 0.0f;
  }
  for (std::int64_t b = 0; b < a.in / block_size; ++b) {
    for (std::int64_t o = 0; o < quantized_panel; ++o) {
      int weights[block_size];
      for (std::int64_t i = 0; i < block_size; ++i) {
        weights[i] = packed_integer(a.weight_dtype, a.in, bytes, o, b * block_size + i);
      }
      const float scale = packed_scale(a.weight_dtype, bytes, o, b);
      for (std::int64_t r = row_begin; r < row_end; ++r) {
        const QuantizedRow row = quantized_row(a, r);
        float total = tile[(r - row_begin) * tile_stride + o];
        for (std::int64_t h = 0; h < halves; ++h) {
          std::int32_t products = 0;
          for (std::int64_t i = h * a.activation_block; i < (h + 1) * a.activation_block; ++i) {
            products += weights[i] * row.integers[b * block_size + i];
          }
          total = total + (scale * row.scales[b * halves + h]) * static_cast<float>(products);
        }
        if (a.weight_dtype == HASS_Q4) total = total + packed_minimum(bytes, o, b) * row.sums[b];
        tile[(r - row_begin) * tile_stride + o] = total;
      }
    }
  }
}

}  // namespace
}  // namespace hass
