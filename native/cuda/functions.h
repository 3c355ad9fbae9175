// exp, silu, float formats and noise as NUMERICS.md defines them, for one number at a time. Exact: the build never
// contracts a product and a sum (-fmad=false, -ffp-contract=off), divides and takes roots rounded correctly.
#pragma once

#include "../cpu/scalar_functions.h"
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

// Element `index` of elements of a dtype that is not packed.
template <int dtype> __device__ __forceinline__ float read_element(const void *elements, std::int64_t index) {
  if constexpr (dtype == HASS_F32) {
    return static_cast<const float *>(elements)[index];
  } else {
    const std::uint16_t bits = static_cast<const std::uint16_t *>(elements)[index];
    return dtype == HASS_F16 ? float_of_half(bits) : float_of_bfloat(bits);
  }
}

__device__ __forceinline__ void write_element(std::int32_t dtype, void *elements, std::int64_t index, float value) {
  if (dtype == HASS_F32) {
    static_cast<float *>(elements)[index] = value;
  } else {
    static_cast<std::uint16_t *>(elements)[index] = dtype == HASS_F16 ? half_of_float(value) : bfloat_of_float(value);
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

// The word of (seed, position, token).
__device__ __forceinline__ std::uint32_t noise_word(std::uint32_t key0, std::uint32_t key1, std::uint32_t position,
                                                    std::uint32_t token) {
  std::uint32_t counter[4] = {token >> 2, position, 0, 0};
  philox(counter, key0, key1);
  // No indexing: it would put the counter into local memory.
  const std::uint32_t low = (token & 1) ? counter[1] : counter[0], high = (token & 1) ? counter[3] : counter[2];
  return (token & 2) ? high : low;
}

}  // namespace
}  // namespace hass::cuda
