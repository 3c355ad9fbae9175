// Activations -> int8 with a scale per block; a unit is a row.
#pragma once

#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

// One activation block: its integers and scale; returns the sum of the integers.
inline float quantize_block(const float *x, int size, std::int8_t *integers, float *scale) {
  Vec8 largest = splat(0.0f);
  bool is_finite = true;
  for (int i = 0; i < size; i += 8) {
    const Vec8 magnitude = absolute(load(x + i));
    largest = larger(largest, magnitude);
    is_finite = is_finite && !any(is_nan(magnitude));
  }
  float lanes[8], maximum = 0.0f;
  store(lanes, largest);
  for (const float lane : lanes) maximum = lane > maximum ? lane : maximum;
  is_finite = is_finite && maximum < infinity;
  if (!is_finite || maximum < 0x1p-100f) {
    for (int i = 0; i < size; i += 8) store_int8(integers + i, splat(0.0f));
    *scale = is_finite ? 0.0f : __builtin_nanf("");
    return 0.0f;
  }
  const float inverse = 127.0f / maximum;
  Vec8 total = splat(0.0f);
  for (int i = 0; i < size; i += 8) {
    const Vec8 rounded = round_to_even(load(x + i) * splat(inverse));
    store_int8(integers + i, rounded);
    total = total + rounded;
  }
  *scale = maximum / 127.0f;
  return sum(total);
}

inline void quantize_row(const float *x, std::int64_t in, std::int32_t block, char *row) {
  auto *integers = reinterpret_cast<std::int8_t *>(row);
  auto *scales = reinterpret_cast<float *>(row + row_scales_offset(in));
  auto *sums = reinterpret_cast<float *>(row + row_sums_offset(in, block));
  auto *offsets = reinterpret_cast<std::int32_t *>(row + row_offsets_offset(in, block));
  for (std::int64_t k = 0, h = 0; k < in; k += block_size) {
    float products = 0.0f;
    for (int i = 0; i < block_size; i += block, ++h) {
      const float total = quantize_block(x + k + i, block, integers + k + i, scales + h);
      offsets[h] = -128 * static_cast<std::int32_t>(total);
      const float product = scales[h] * total;
      products = i == 0 ? product : products + product;
    }
    sums[k / block_size] = products;
  }
}

inline void run_quantize(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_quantize_args *>(arguments);
  const std::int64_t row_bytes = quantized_row_bytes(a.in, a.block);
  for (std::int64_t r = begin; r < end; ++r) {
    quantize_row(a.x + r * a.x_stride, a.in, a.block, static_cast<char *>(a.quantized) + r * row_bytes);
  }
}

// A quantized row as the linear kernels read it.
struct QuantizedRow {
  const std::int8_t *integers;
  const float *scales, *sums;
  const std::int32_t *offsets;
};

inline QuantizedRow quantized_row(const hass_cpu_linear_args &a, std::int64_t index) {
  const char *row = static_cast<const char *>(a.quantized) + index * quantized_row_bytes(a.in, a.activation_block);
  return {reinterpret_cast<const std::int8_t *>(row),
          reinterpret_cast<const float *>(row + row_scales_offset(a.in)),
          reinterpret_cast<const float *>(row + row_sums_offset(a.in, a.activation_block)),
          reinterpret_cast<const std::int32_t *>(row + row_offsets_offset(a.in, a.activation_block))};
}

}  // namespace
}  // namespace hass
