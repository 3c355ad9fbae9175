// Where things lie in packed weights and quantized rows: one layout for all instruction sets.
//
//   weight           panels of 16 outputs, the last one padded with zeros
//   F32, F16, BF16   panel: [in][16] elements
//   Q4               panel: [in / 32] blocks of 320 bytes: d [16] f16, m [16] f16, then 4 vectors of 64 bytes;
//                    byte 4 o + t of vector v holds q of output o: element 8 v + t low, element 8 v + 4 + t high
//   Q8               panel: [in / 32] blocks of 544 bytes: d [16] f16, then 8 vectors of 64 bytes;
//                    byte 4 o + t of vector v holds q of output o, element 4 v + t
//   Q4K              panel: [in / 256] blocks of 2368 bytes: d [16] f16, -dmin [16] f16, then 4 vectors of 64 bytes, byte
//                    4 o + 2 t of vector v the scale of output o in its inputs 64 v + 32 t ... + 31, the next one the
//                    minimum; then the integers of 8 blocks of 32 as in Q4
//   F8               panel: [in / 128] blocks of 2112 bytes: scales [16] f32, then [128][16] codes
//   quantized row    [in / 32] QuantizedBlock, padded to 64 bytes
//
// Sixteen outputs are two vectors of eight lanes that share what is loaded of an activation row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../include/hass_program.h"

namespace hass {
namespace {

constexpr std::int64_t block_size = 32;
constexpr std::int64_t panel_width = 16;
constexpr std::int64_t vector_bytes = 4 * panel_width;
constexpr std::int64_t q4_minima_offset = 2 * panel_width;
constexpr std::int64_t q4_integers_offset = 4 * panel_width;
constexpr std::int64_t q4_block_bytes = q4_integers_offset + 4 * vector_bytes;
constexpr std::int64_t q8_integers_offset = 2 * panel_width;
constexpr std::int64_t q8_block_bytes = q8_integers_offset + 8 * vector_bytes;
constexpr std::int64_t q4k_inputs = 256;
constexpr std::int64_t q4k_minima_offset = 2 * panel_width;
constexpr std::int64_t q4k_factors_offset = 4 * panel_width;
constexpr std::int64_t q4k_integers_offset = q4k_factors_offset + 4 * vector_bytes;
constexpr std::int64_t q4k_bytes = q4k_integers_offset + q4k_inputs / block_size * 4 * vector_bytes;
constexpr std::int64_t f8_inputs = 128;
constexpr std::int64_t f8_codes_offset = 4 * panel_width;
constexpr std::int64_t f8_bytes = f8_codes_offset + f8_inputs * panel_width;

inline std::int64_t round_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

// Of integers that share a scale: what int8 activations can be multiplied with.
constexpr bool is_quantized(std::int32_t dtype) { return dtype == HASS_Q4 || dtype == HASS_Q8 || dtype == HASS_Q4K; }

// What the inputs of a weight are a multiple of.
constexpr std::int64_t inputs_of_block(std::int32_t dtype) {
  return dtype == HASS_Q4K ? q4k_inputs : dtype == HASS_F8 ? f8_inputs : is_quantized(dtype) ? block_size : 1;
}

inline std::int64_t float_element_bytes(std::int32_t dtype) { return dtype == HASS_F32 ? 4 : 2; }

inline std::int64_t panel_bytes(std::int32_t dtype, std::int64_t in) {
  switch (dtype) {
    case HASS_Q4: return in / block_size * q4_block_bytes;
    case HASS_Q8: return in / block_size * q8_block_bytes;
    case HASS_Q4K: return in / q4k_inputs * q4k_bytes;
    case HASS_F8: return in / f8_inputs * f8_bytes;
    default: return in * panel_width * float_element_bytes(dtype);
  }
}

// Where element e (0 ... 31) of output o (0 ... 15) is in a block's vectors: the byte, and for Q4 and Q4K the shift in it.
inline std::int64_t q4_byte(std::int64_t output, std::int64_t element) {
  return (element >> 3) * vector_bytes + output * 4 + (element & 3);
}
inline int q4_shift(std::int64_t element) { return static_cast<int>(element & 4); }
inline std::int64_t q8_byte(std::int64_t output, std::int64_t element) {
  return (element >> 2) * vector_bytes + output * 4 + (element & 3);
}

// Of an activation row: 32 inputs in one or two parts with a scale each.
template <int parts>
struct alignas(16) QuantizedBlock {
  std::int8_t integers[block_size];
  float scales[parts];
  std::int32_t offsets[parts];  // -128 x the sum of the part's integers
  float sum;                    // u in NUMERICS.md
};

static_assert(sizeof(QuantizedBlock<1>) == 48 && sizeof(QuantizedBlock<2>) == 64, "no other padding");

inline std::int64_t quantized_row_bytes(std::int64_t in, std::int64_t activation_block) {
  const std::size_t bytes = activation_block == block_size ? sizeof(QuantizedBlock<1>) : sizeof(QuantizedBlock<2>);
  return round_up(in / block_size * static_cast<std::int64_t>(bytes), 64);
}

}  // namespace
}  // namespace hass
