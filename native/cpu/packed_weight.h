// Single weights of the packed layouts, and EMBEDDING.
#pragma once

#include "half.h"
#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

inline float half_at(const std::uint8_t *bytes) {
  std::uint16_t half;
  std::memcpy(&half, bytes, sizeof half);
  return float_of_half(half);
}

inline int nibble_at(const std::uint8_t *plane, std::int64_t output, std::int64_t element) {
  const int byte = plane[nibble_offset(output, element)];
  return element & 4 ? byte >> 4 : byte & 15;
}

// 0 ... 15 of Q4, -128 ... 127 of Q8.
inline int packed_integer(std::int32_t dtype, std::int64_t in, const std::uint8_t *panel, std::int64_t output,
                          std::int64_t index) {
  const std::int64_t block = index / block_size, element = index % block_size;
  if (dtype == HASS_Q4) return nibble_at(panel + block * q4_block_bytes + q4_nibbles_offset, output, element);
  const int high = nibble_at(panel + q8_high_offset(in) + block * nibble_plane_bytes, output, element);
  const int low = nibble_at(panel + q8_low_offset(in) + block * nibble_plane_bytes, output, element);
  return 16 * high + low - 128;
}

inline float packed_scale(std::int32_t dtype, const std::uint8_t *panel, std::int64_t output, std::int64_t block) {
  return half_at(panel + block * (dtype == HASS_Q4 ? q4_block_bytes : 16) + 2 * output);
}

inline float packed_minimum(const std::uint8_t *panel, std::int64_t output, std::int64_t block) {
  return half_at(panel + block * q4_block_bytes + q4_minima_offset + 2 * output);
}

inline float packed_weight(std::int32_t dtype, std::int64_t in, const void *panel, std::int64_t output,
                           std::int64_t index) {
  const auto *bytes = static_cast<const std::uint8_t *>(panel);
  const float product = packed_scale(dtype, bytes, output, index / block_size) *
                        static_cast<float>(packed_integer(dtype, in, bytes, output, index));
  return dtype == HASS_Q4 ? product + packed_minimum(bytes, output, index / block_size) : product;
}

inline float weight_at(std::int32_t dtype, std::int64_t in, const void *panel, std::int64_t output,
                       std::int64_t index) {
  if (is_quantized(dtype)) return packed_weight(dtype, in, panel, output, index);
  const std::int64_t element = index * float_panel_width + output;
  if (dtype == HASS_F32) return static_cast<const float *>(panel)[element];
  const std::uint16_t half = static_cast<const std::uint16_t *>(panel)[element];
  return dtype == HASS_F16 ? float_of_half(half) : float_of_bfloat(half);
}

inline void run_embedding(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_embedding_args *>(arguments);
  const std::int64_t width = panel_width(a.weight_dtype);
  for (std::int64_t r = begin; r < end; ++r) {
    const std::int64_t token = a.tokens[r];
    const void *panel = static_cast<const char *>(a.weight) + token / width * panel_bytes(a.weight_dtype, a.in);
    for (std::int64_t i = 0; i < a.in; ++i) {
      a.y[r * a.y_stride + i] = weight_at(a.weight_dtype, a.in, panel, token % width, i);
    }
  }
}

}  // namespace
}  // namespace hass
