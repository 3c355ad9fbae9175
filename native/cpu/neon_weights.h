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

// Of a vector of a nibble plane: the four elements in its low and in its high halves.
struct WeightPair {
  int8x16_t low, high;
};

inline WeightPair load_nibble_pair(const std::uint8_t *plane) {
  const uint8x16_t bytes = vld1q_u8(plane);
  return {vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4))};
}

// Flipping the highest bit of q + 128 gives q.
inline WeightPair load_byte_pair(const std::uint8_t *high_plane, const std::uint8_t *low_plane) {
  const uint8x16_t high = vld1q_u8(high_plane), low = vld1q_u8(low_plane), sign = vdupq_n_u8(128);
  return {vreinterpretq_s8_u8(veorq_u8(vsliq_n_u8(low, high, 4), sign)),
          vreinterpretq_s8_u8(veorq_u8(vsriq_n_u8(high, low, 4), sign))};
}

}  // namespace
}  // namespace hass
