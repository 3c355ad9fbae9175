// Activations -> int8 with a scale per block; a unit is a row.
#pragma once

#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

// One activation block: its integers and scale; returns the sum of the integers.
inline float quantize_integers(const float *x, int size, std::int8_t *integers, float *scale) {
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

template <int parts>
inline void quantize_row(const float *x, std::int64_t in, QuantizedBlock<parts> *row) {
  constexpr int size = block_size / parts;
  for (std::int64_t b = 0; b < in / block_size; ++b) {
    QuantizedBlock<parts> &block = row[b];
    for (int p = 0; p < parts; ++p) {
      const float total =
          quantize_integers(x + b * block_size + p * size, size, block.integers + p * size, &block.scales[p]);
      block.offsets[p] = -128 * static_cast<std::int32_t>(total);
      const float product = block.scales[p] * total;
      block.sum = p == 0 ? product : block.sum + product;
    }
  }
}

inline void run_quantize(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_quantize_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    void *row = static_cast<char *>(a.quantized) + r * quantized_row_bytes(a.in, a.block);
    if (a.block == 32) {
      quantize_row(a.x + r * a.x_stride, a.in, static_cast<QuantizedBlock<1> *>(row));
    } else {
      quantize_row(a.x + r * a.x_stride, a.in, static_cast<QuantizedBlock<2> *>(row));
    }
  }
}

template <int parts>
inline const QuantizedBlock<parts> *quantized_row(const hass_cpu_linear_args &a, std::int64_t index) {
  const char *row = static_cast<const char *>(a.quantized) + index * quantized_row_bytes(a.in, a.activation_block);
  return reinterpret_cast<const QuantizedBlock<parts> *>(row);
}

}  // namespace
}  // namespace hass
