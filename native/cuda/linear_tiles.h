// What both kinds of linear kernels share: how a block cuts the work, and the ring of stages through which weights and
// activations stream from memory.
//
// A block is `linear_warps` warps of 16 outputs each, and `tiles` tiles of 8 rows. Inputs come in chunks, ascending;
// every output of every row is one chain of sums over all of them, in one warp, whatever the number of rows is. How
// many tiles a block holds depends on the rows, which no sum can see: a tile's products are instructions of their own.
#pragma once

#include "fragments.h"
#include "functions.h"
#include "launchers.h"

namespace hass::cuda {

constexpr int linear_warps = 2;
constexpr int linear_threads = linear_warps * 32;
constexpr int linear_outputs = linear_warps * tile_outputs;

struct Linear {
  hass_cpu_linear_args a;
  const std::int32_t *live_rows;
};

namespace {

struct LinearPlace {
  int lane, warp;
  std::int64_t first_row, live_rows, first_output;  // of the block's rows, of the warp's outputs
  const unsigned char *weights;                     // of the warp

  __device__ __forceinline__ LinearPlace(const Linear &p, int rows)
      : lane(static_cast<int>(threadIdx.x) % 32), warp(static_cast<int>(threadIdx.x) / 32),
        // Blocks of the same outputs follow each other: the later ones find the weights in the cache.
        first_row(std::int64_t(blockIdx.x) * rows), live_rows(*p.live_rows),
        first_output(std::int64_t(blockIdx.y) * linear_outputs + warp * tile_outputs) {}
};

// What packed integers of output o (0 ... 15) are multiplied with in a piece of a unit. Exact: of Q4K the product of
// eleven digits and six.
template <int dtype> __device__ __forceinline__ float scale_of(const unsigned char *unit, int piece, int o) {
  const unsigned char *const scales = unit + scales_offset(dtype);
  const float d = float_of_half(reinterpret_cast<const std::uint16_t *>(scales)[o]);
  return dtype == HASS_Q4K ? d * static_cast<float>(scales[64 + 16 * piece + o]) : d;
}

// What is added to the products, not of Q8.
template <int dtype> __device__ __forceinline__ float minimum_of(const unsigned char *unit, int piece, int o) {
  const unsigned char *const scales = unit + scales_offset(dtype);
  const float m = float_of_half(reinterpret_cast<const std::uint16_t *>(scales + 32)[o]);
  return dtype == HASS_Q4K ? m * static_cast<float>(scales[96 + 16 * piece + o]) : m;
}

// A float8 e4m3.
__device__ __forceinline__ float float_of_f8(std::uint32_t code) {
  return float_of_half(half_of_f8(static_cast<std::uint8_t>(code))) * 256.0f;
}

// 16 bytes pieces of one warp's units [first, first + count) of its tile, lanes side by side. A warp beyond the last
// tile has no weights, and copies nothing.
__device__ __forceinline__ void load_units(const unsigned char *tile, int bytes_of_unit, std::int64_t first, int count,
                                           int lane, unsigned char *target) {
  const unsigned char *const source = tile + first * bytes_of_unit;
  for (int piece = lane; piece < count * bytes_of_unit / 16; piece += 32) {
    copy_async_16(target + piece * 16, source + piece * 16, 16);
  }
}

// Result (n, o) of a warp's tile t: word w of a lane is row 8 t + lane % 4 * 2 + w % 2, output lane / 4 + w / 2 * 8.
template <int tiles>
__device__ __forceinline__ void write_results(const Linear &p, const LinearPlace &at, const float (&totals)[tiles][4]) {
  const hass_cpu_linear_args &a = p.a;
#pragma unroll
  for (int t = 0; t < tiles; ++t) {
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const std::int64_t row = at.first_row + 8 * t + at.lane % 4 * 2 + w % 2;
      const std::int64_t output = at.first_output + at.lane / 4 + w / 2 * 8;
      if (row >= at.live_rows || output >= a.out) continue;
      float value = totals[t][w];
      if (a.bias) value = value + a.bias[output];
      if (a.residual) value = value + a.residual[row * a.residual_stride + output];
      a.y[row * a.y_stride + output] = value;
    }
  }
}

}  // namespace

inline dim3 linear_blocks(const hass_cpu_linear_args &a, int tiles) {
  return dim3(static_cast<unsigned>(ceiling(a.rows, 8 * tiles)), static_cast<unsigned>(ceiling(a.out, linear_outputs)));
}

// Tiles of a block for these rows: 1, 2, 4 or 8.
inline int linear_tiles(std::int64_t rows) { return rows <= 8 ? 1 : rows <= 16 ? 2 : rows <= 32 ? 4 : 8; }

}  // namespace hass::cuda
