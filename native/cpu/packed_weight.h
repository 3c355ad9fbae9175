// Single weights of the packed layouts, and EMBEDDING.
#pragma once

#include "half.h"
#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

// Eight outputs, 32 inputs. minima and low are NULL where the dtype has none.
struct PackedBlock {
  const std::uint16_t *scales, *minima;  // [8] float16
  const std::uint8_t *high, *low;        // nibble planes; of Q4 `high` alone
};

inline PackedBlock packed_block(std::int32_t dtype, std::int64_t in, const std::uint8_t *panel, std::int64_t index) {
  if (dtype == HASS_Q4) {
    const std::uint8_t *block = panel + index * q4_block_bytes;
    return {reinterpret_cast<const std::uint16_t *>(block),
            reinterpret_cast<const std::uint16_t *>(block + q4_minima_offset), block + q4_nibbles_offset, nullptr};
  }
  return {reinterpret_cast<const std::uint16_t *>(panel + index * 16), nullptr,
          panel + q8_high_offset(in) + index * nibble_plane_bytes,
          panel + q8_low_offset(in) + index * nibble_plane_bytes};
}

inline int nibble_at(const std::uint8_t *plane, std::int64_t output, std::int64_t element) {
  const int byte = plane[nibble_offset(output, element)];
  return element & 4 ? byte >> 4 : byte & 15;
}

// 0 ... 15 of Q4, -128 ... 127 of Q8.
inline int packed_integer(const PackedBlock &block, std::int64_t output, std::int64_t element) {
  const int high = nibble_at(block.high, output, element);
  return block.low ? 16 * high + nibble_at(block.low, output, element) - 128 : high;
}

inline float packed_weight(const PackedBlock &block, std::int64_t output, std::int64_t element) {
  const float product =
      float_of_half(block.scales[output]) * static_cast<float>(packed_integer(block, output, element));
  return block.minima ? product + float_of_half(block.minima[output]) : product;
}

inline float weight_at(std::int32_t dtype, std::int64_t in, const void *panel, std::int64_t output,
                       std::int64_t index) {
  if (is_quantized(dtype)) {
    const auto *bytes = static_cast<const std::uint8_t *>(panel);
    return packed_weight(packed_block(dtype, in, bytes, index / block_size), output, index % block_size);
  }
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
