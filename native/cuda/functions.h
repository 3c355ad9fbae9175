// exp, silu, log, float formats and noise as NUMERICS.md defines them, for one number at a time. Exact: the build never
// contracts a product and a sum (-fmad=false, -ffp-contract=off), divides and takes roots rounded correctly.
#pragma once

#include "../include/hass_program.h"
#include "device.h"

namespace hass::cuda {
namespace {

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000u); }
__device__ __forceinline__ float not_a_number() { return __uint_as_float(0x7fc00000u); }

__device__ __forceinline__ float exponential(float x) {
  const float n = rintf(x * 0x1.715476p+0f);
  const float r = (x - n * 0.693359375f) - n * -0x1.bd0106p-13f;
  float q = 0x1.6a23cap-10f;
  q = q * r + 0x1.123a20p-7f;
  q = q * r + 0x1.5558f2p-5f;
  q = q * r + 0x1.555492p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const float fraction = (r * r * q + r) + 1.0f;
  if (x < -87.3125f) return 0.0f;
  if (x > 88.375f) return infinity();
  if (!(x == x)) return x;
  return fraction * __uint_as_float(static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23);
}

__device__ __forceinline__ float silu(float x) { return x / (1.0f + exponential(-x)); }

// Of normal, positive x; NaN and infinity give themselves.
__device__ __forceinline__ float logarithm(float x) {
  if (!(x < infinity())) return x;
  const std::uint32_t bits = __float_as_uint(x);
  const std::int32_t exponent = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const auto e = static_cast<float>(exponent);
  const float f = __uint_as_float(bits - (static_cast<std::uint32_t>(exponent) << 23)) - 1.0f;
  const float z = f * f;
  float q = __uint_as_float(0xbd9c5a66u);
  q = q * f + __uint_as_float(0x3e02ada3u);
  q = q * f + __uint_as_float(0xbe06c2a9u);
  q = q * f + __uint_as_float(0x3e116d11u);
  q = q * f + __uint_as_float(0xbe2a3922u);
  q = q * f + __uint_as_float(0x3e4cd004u);
  q = q * f + __uint_as_float(0xbe800114u);
  q = q * f + __uint_as_float(0x3eaaaaaau);
  return ((((z * f) * q + e * __uint_as_float(0xb95e8083u)) - 0.5f * z) + f) + e * 0.693359375f;
}

__device__ __forceinline__ float float_of_bfloat16(std::uint16_t bits) {
  return __uint_as_float(static_cast<std::uint32_t>(bits) << 16);
}

__device__ __forceinline__ std::uint16_t bfloat16_of_float(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// Element `index` of elements of a dtype that is not packed.
template <int dtype> __device__ __forceinline__ float read_element(const void *elements, std::int64_t index) {
  if constexpr (dtype == HASS_F32) {
    return static_cast<const float *>(elements)[index];
  } else {
    const std::uint16_t bits = static_cast<const std::uint16_t *>(elements)[index];
    return dtype == HASS_F16 ? float_of_half(bits) : float_of_bfloat16(bits);
  }
}

__device__ __forceinline__ void write_element(std::int32_t dtype, void *elements, std::int64_t index, float value) {
  if (dtype == HASS_F32) {
    static_cast<float *>(elements)[index] = value;
  } else {
    static_cast<std::uint16_t *>(elements)[index] = dtype == HASS_F16 ? half_of_float(value) : bfloat16_of_float(value);
  }
}

// Sum of the eight accumulators in lane order.
__device__ __forceinline__ float sum_of_lanes(const float (&x)[8]) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

// Lane 0 ... 7 of a warp hold an accumulator each; every lane gets their sum in lane order.
template <typename Number> __device__ __forceinline__ Number sum_across_lanes(Number own) {
  Number sum = own + __shfl_xor_sync(all_lanes, own, 4);  // addition commutes: both partners have the same bits
  sum = sum + __shfl_xor_sync(all_lanes, sum, 2);
  sum = sum + __shfl_xor_sync(all_lanes, sum, 1);
  return __shfl_sync(all_lanes, sum, 0);
}

__device__ __forceinline__ float larger(float best, float x) { return x > best ? x : best; }

// Philox 4x32-10 (Salmon et al., SC 2011): word `token & 3` of the block of (seed, position, token), stream 0.
__device__ __forceinline__ std::uint32_t noise_word(std::uint32_t key0, std::uint32_t key1, std::uint32_t position,
                                                    std::uint32_t token) {
  std::uint32_t counter[4] = {token >> 2, position, 0, 0};
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
  // No indexing: it would put the counter into local memory.
  const std::uint32_t low = (token & 1) ? counter[1] : counter[0], high = (token & 1) ? counter[3] : counter[2];
  return (token & 2) ? high : low;
}

// Of normal, positive, finite x: noise asks for no other.
__device__ __forceinline__ double wide_logarithm(double x) {
  constexpr double ln2_high = 0.6931471803691238, ln2_low = 1.9082149292705877e-10;
  constexpr std::uint32_t upper_word_of_sqrt_half = 0x3fe6a09eu;
  std::uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const std::uint32_t shifted = static_cast<std::uint32_t>(bits >> 32) + (0x3ff00000u - upper_word_of_sqrt_half);
  const auto k = static_cast<double>(static_cast<std::int32_t>(shifted >> 20) - 1023);
  const std::uint32_t upper = (shifted & 0xfffffu) + upper_word_of_sqrt_half;
  bits = std::uint64_t{upper} << 32 | (bits & 0xffffffffu);
  memcpy(&x, &bits, sizeof x);
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

__device__ __forceinline__ double gumbel_of_word(std::uint32_t word) {
  const double uniform = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return -wide_logarithm(-wide_logarithm(1 - uniform));
}

}  // namespace
}  // namespace hass::cuda
