// log and the noise of stream 0 as NUMERICS.md defines them, for one number at a time: bit for bit as packages/sampler
// computes them (philox.ts, float-math.ts, noise-field.ts). Exact: no build contracts a product and a sum.
#pragma once

#include "half.h"

namespace hass {
namespace {

// Of normal, positive x; NaN and infinity give themselves.
HASS_ANYWHERE float logarithm(float x) {
  if (!(x < float_of(0x7f800000u))) return x;
  const std::uint32_t bits = bits_of(x);
  const std::int32_t exponent = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const auto e = static_cast<float>(exponent);
  const float f = float_of(bits - (static_cast<std::uint32_t>(exponent) << 23)) - 1.0f;
  const float z = f * f;
  float q = float_of(0xbd9c5a66u);
  q = q * f + float_of(0x3e02ada3u);
  q = q * f + float_of(0xbe06c2a9u);
  q = q * f + float_of(0x3e116d11u);
  q = q * f + float_of(0xbe2a3922u);
  q = q * f + float_of(0x3e4cd004u);
  q = q * f + float_of(0xbe800114u);
  q = q * f + float_of(0x3eaaaaaau);
  return ((((z * f) * q + e * float_of(0xb95e8083u)) - 0.5f * z) + f) + e * 0.693359375f;
}

// Philox 4x32-10 (Salmon et al., SC 2011).
HASS_ANYWHERE void philox(std::uint32_t (&counter)[4], std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xd2511f53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xcd9e8d57u} * counter[2];
    counter[0] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    counter[2] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[1] = static_cast<std::uint32_t>(product1);
    counter[3] = static_cast<std::uint32_t>(product0);
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

// Of normal, positive, finite x: noise asks for no other.
HASS_ANYWHERE double wide_logarithm(double x) {
  constexpr double ln2_high = 0.6931471803691238, ln2_low = 1.9082149292705877e-10;
  constexpr std::uint32_t upper_word_of_sqrt_half = 0x3fe6a09eu;
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t shifted = static_cast<std::uint32_t>(bits >> 32) + (0x3ff00000u - upper_word_of_sqrt_half);
  const auto k = static_cast<double>(static_cast<std::int32_t>(shifted >> 20) - 1023);
  const std::uint32_t upper = (shifted & 0xfffffu) + upper_word_of_sqrt_half;
  bits = std::uint64_t{upper} << 32 | (bits & 0xffffffffu);
  std::memcpy(&x, &bits, sizeof x);
  const double f = x - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double z2 = z * z;
  const double z4 = z2 * z2;
  const double rest = z * (2.0 / 3 + z * (2.0 / 5) + z2 * (2.0 / 7 + z * (2.0 / 9)) +
                           z4 * (2.0 / 11 + z * (2.0 / 13) + z2 * (2.0 / 15 + z * (2.0 / 17)) +
                                 z4 * (2.0 / 19 + z * (2.0 / 21) + z2 * (2.0 / 23))));
  return k * ln2_high + (f - (s * (f - rest) - k * ln2_low));
}

HASS_ANYWHERE double gumbel_of_word(std::uint32_t word) {
  const double uniform = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return -wide_logarithm(-wide_logarithm(1 - uniform));
}

}  // namespace
}  // namespace hass
