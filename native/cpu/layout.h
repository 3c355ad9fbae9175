// Where things lie in packed weights and quantized rows: one layout for all instruction sets.
//
//   F32, F16, BF16   panels of 16 outputs: [in][16] elements
//   Q4               panels of 8 outputs: [in / 32] blocks of 160 bytes
//                    block: d [8] f16, m [8] f16, then 4 vectors of 32 bytes;
//                    byte 4 o + t of vector v holds q of output o: element 8 v + t low, element 8 v + 4 + t high
//   Q8               panels of 8 outputs: d [in / 32][8] f16, padded to 64 bytes; then the high nibbles of q + 128,
//                    [in / 32] x 128 bytes as in Q4, then the low nibbles likewise
//   quantized row    [in / 32] QuantizedBlock, padded to 64 bytes
//
// Outputs are padded with zeros to whole panels. Nibble planes let eight products of 4 x 8 bits be summed in 16 bits,
// and let the high half of an 8-bit weight be read alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../include/hass_program.h"

namespace hass {
namespace {

constexpr std::int64_t block_size = 32;
constexpr std::int64_t quantized_panel_width = 8;
constexpr std::int64_t float_panel_width = 16;
constexpr std::int64_t q4_block_bytes = 160;
constexpr std::int64_t q4_minima_offset = 16;
constexpr std::int64_t q4_nibbles_offset = 32;
constexpr std::int64_t nibble_plane_bytes = 128;

inline std::int64_t round_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

inline bool is_quantized(std::int32_t dtype) { return dtype == HASS_Q4 || dtype == HASS_Q8; }

inline std::int64_t panel_width(std::int32_t dtype) { return is_quantized(dtype) ? quantized_panel_width : float_panel_width; }

inline std::int64_t float_element_bytes(std::int32_t dtype) { return dtype == HASS_F32 ? 4 : 2; }

inline std::int64_t q8_high_offset(std::int64_t in) { return round_up(in / block_size * 16, 64); }
inline std::int64_t q8_low_offset(std::int64_t in) { return q8_high_offset(in) + in / block_size * nibble_plane_bytes; }

inline std::int64_t panel_bytes(std::int32_t dtype, std::int64_t in) {
  switch (dtype) {
    case HASS_Q4: return in / block_size * q4_block_bytes;
    case HASS_Q8: return q8_low_offset(in) + in / block_size * nibble_plane_bytes;
    default: return in * float_panel_width * float_element_bytes(dtype);
  }
}

// Byte of element e (0 ... 31) of output o (0 ... 7) in a nibble plane; elements with e & 4 are in the high half.
inline std::int64_t nibble_offset(std::int64_t output, std::int64_t element) {
  return (element >> 3) * 32 + output * 4 + (element & 3);
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
