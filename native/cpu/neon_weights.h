// Packed weights and activations as signed bytes in NEON vectors of four outputs.
#pragma once

#include "quantize.h"

namespace hass {
namespace {

// Four integers of an activation row for each of four outputs.
inline int8x16_t four_integers(const std::int8_t *source) {
  std::int32_t four;
  std::memcpy(&four, source, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

inline int8x16_t load_bytes(const std::uint8_t *source) { return vreinterpretq_s8_u8(vld1q_u8(source)); }

// The elements in the low and in the high halves of sixteen bytes.
struct NibblePair {
  int8x16_t low, high;
};

inline NibblePair load_nibble_pair(const std::uint8_t *source) {
  const uint8x16_t bytes = vld1q_u8(source);
  return {vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4))};
}

}  // namespace
}  // namespace hass
