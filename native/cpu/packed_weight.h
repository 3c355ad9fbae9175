// Single weights of the packed layouts, and EMBEDDING.
#pragma once

#include "half.h"
#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

// Sixteen outputs, 32 inputs, of a dtype of integers. minima is NULL for Q8, factors for all but Q4K.
struct PackedBlock {
  const std::uint16_t *scales, *minima;  // [16] float16
  const std::uint8_t *integers;
  const std::uint8_t *factors;  // bytes 4 o and 4 o + 1: what the scale and the minimum are multiplied with
};

inline PackedBlock packed_block(std::int32_t dtype, const void *panel, std::int64_t index) {
  const auto *bytes = static_cast<const std::uint8_t *>(panel);
  if (dtype == HASS_Q4) {
    const std::uint8_t *block = bytes + index * q4_block_bytes;
    return {reinterpret_cast<const std::uint16_t *>(block),
            reinterpret_cast<const std::uint16_t *>(block + q4_minima_offset), block + q4_integers_offset, nullptr};
  }
  if (dtype == HASS_Q4K) {
    constexpr std::int64_t blocks = q4k_inputs / block_size;
    const std::uint8_t *whole = bytes + index / blocks * q4k_bytes;
    const std::int64_t inner = index % blocks;
    return {reinterpret_cast<const std::uint16_t *>(whole),
            reinterpret_cast<const std::uint16_t *>(whole + q4k_minima_offset),
            whole + q4k_integers_offset + inner * 4 * vector_bytes,
            whole + q4k_factors_offset + inner / 2 * vector_bytes + inner % 2 * 2};
  }
  const std::uint8_t *block = bytes + index * q8_block_bytes;
  return {reinterpret_cast<const std::uint16_t *>(block), nullptr, block + q8_integers_offset, nullptr};
}

// 0 ... 15 of Q4 and Q4K, -128 ... 127 of Q8.
inline int packed_integer(const PackedBlock &block, std::int64_t output, std::int64_t element) {
  return block.minima ? block.integers[q4_byte(output, element)] >> q4_shift(element) & 15
                      : static_cast<std::int8_t>(block.integers[q8_byte(output, element)]);
}

// Exact: a float16 has 11 digits, a factor 6.
inline float packed_scale(const PackedBlock &block, std::int64_t output) {
  const float scale = float_of_half(block.scales[output]);
  return block.factors ? scale * static_cast<float>(block.factors[4 * output]) : scale;
}

// Likewise; not of Q8.
inline float packed_minimum(const PackedBlock &block, std::int64_t output) {
  const float minimum = float_of_half(block.minima[output]);
  return block.factors ? minimum * static_cast<float>(block.factors[4 * output + 1]) : minimum;
}

inline float packed_weight(const PackedBlock &block, std::int64_t output, std::int64_t element) {
  const float product = packed_scale(block, output) * static_cast<float>(packed_integer(block, output, element));
  return block.minima ? product + packed_minimum(block, output) : product;
}

inline float f8_weight(const void *panel, std::int64_t output, std::int64_t index) {
  const auto *block = static_cast<const std::uint8_t *>(panel) + index / f8_inputs * f8_bytes;
  float scale;
  std::memcpy(&scale, block + 4 * output, sizeof scale);
  const std::uint8_t code = block[f8_codes_offset + index % f8_inputs * panel_width + output];
  return scale * (float_of_half(half_of_f8(code)) * 256.0f);
}

inline float weight_at(std::int32_t dtype, const void *panel, std::int64_t output, std::int64_t index) {
  if (is_quantized(dtype)) {
    return packed_weight(packed_block(dtype, panel, index / block_size), output, index % block_size);
  }
  if (dtype == HASS_F8) return f8_weight(panel, output, index);
  const std::int64_t element = index * panel_width + output;
  if (dtype == HASS_F32) return static_cast<const float *>(panel)[element];
  const std::uint16_t half = static_cast<const std::uint16_t *>(panel)[element];
  return dtype == HASS_F16 ? float_of_half(half) : float_of_bfloat(half);
}

inline void run_embedding(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_embedding_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const std::int64_t token = a.tokens[r];
    const void *panel = static_cast<const char *>(a.weight) + token / panel_width * panel_bytes(a.weight_dtype, a.in);
    for (std::int64_t i = 0; i < a.in; ++i) {
      a.y[r * a.y_stride + i] = weight_at(a.weight_dtype, panel, token % panel_width, i);
    }
  }
}

}  // namespace
}  // namespace hass
