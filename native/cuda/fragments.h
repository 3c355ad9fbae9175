// Where the elements of a weight lie on a GPU: in the order in which the lanes of a warp take them to tensor cores, so
// that every weight goes from memory to a register in pieces of 16 bytes, without a detour.
//
//   A weight [out, in] is tiles of 16 outputs, a tile is units of inputs (32 of Q4 and Q8, 64 of Q4K and F8, else 16); both
//   are padded with zeros. Lane l of a unit holds outputs l / 4 and l / 4 + 8, and of them
//
//   F32, F16, BF16   inputs 4 (l % 4) ... + 3 of the first output, then of the second: 32 or 16 bytes a lane
//   Q8               bytes: inputs 4 (l % 4) ... + 3 of the first output, of the second, then 16 inputs further of the
//                    first, of the second: 16 bytes a lane; then d [16] f16
//   Q4               the same in 8 bytes, the later 16 inputs in the high nibbles; then d [16], m [16] f16
//   Q4K              twice 32 lanes as of Q4; then d [16], -dmin [16] f16, and as bytes scales [2][16], minima [2][16]
//   F8               four times 32 lanes of 8 codes, inputs as of F16; then f32 scales [8]: of the first eight outputs
//                    in a unit of an even number, of the others in the next one, which has the same scales
//
// mma counts the inputs of a float unit in another order (its lane holds k = 2j, 2j + 1, 2j + 8, 2j + 9): a sum over
// the unit does not mind, as long as the activations are brought in the same order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../include/hass_program.h"

namespace hass::cuda {

constexpr int tile_outputs = 16;

__host__ __device__ constexpr bool has_nibbles(int dtype) { return dtype == HASS_Q4 || dtype == HASS_Q4K; }
__host__ __device__ constexpr bool is_packed(int dtype) { return has_nibbles(dtype) || dtype == HASS_Q8; }
__host__ __device__ constexpr int unit_inputs(int dtype) {
  return dtype == HASS_Q4K || dtype == HASS_F8 ? 64 : is_packed(dtype) ? 32 : 16;
}
// Inputs whose elements the lanes have side by side.
__host__ __device__ constexpr int piece_inputs(int dtype) { return is_packed(dtype) ? 32 : 16; }
__host__ __device__ constexpr int lane_bytes(int dtype) {
  return dtype == HASS_F32 ? 32 : has_nibbles(dtype) || dtype == HASS_F8 ? 8 : 16;
}
__host__ __device__ constexpr int piece_bytes(int dtype) { return 32 * lane_bytes(dtype); }
__host__ __device__ constexpr int unit_pieces(int dtype) { return unit_inputs(dtype) / piece_inputs(dtype); }
// Where the scales begin.
__host__ __device__ constexpr int scales_offset(int dtype) { return unit_pieces(dtype) * piece_bytes(dtype); }
__host__ __device__ constexpr int unit_bytes(int dtype) {
  return scales_offset(dtype) + (dtype == HASS_Q8    ? 32
                                 : dtype == HASS_Q4  ? 64
                                 : dtype == HASS_Q4K ? 128
                                 : dtype == HASS_F8  ? 32
                                                     : 0);
}
__host__ __device__ constexpr std::int64_t num_units(int dtype, std::int64_t in) {
  return (in + unit_inputs(dtype) - 1) / unit_inputs(dtype);
}
__host__ __device__ constexpr std::int64_t tile_bytes(int dtype, std::int64_t in) {
  return num_units(dtype, in) * unit_bytes(dtype);
}
__host__ __device__ constexpr std::int64_t weight_bytes(int dtype, std::int64_t out, std::int64_t in) {
  return (out + tile_outputs - 1) / tile_outputs * tile_bytes(dtype, in);
}

// Of output o (0 ... 15) and input i of a piece: the lane, and the place among the lane's elements.
__host__ __device__ constexpr int lane_of(int o, int i) { return o % 8 * 4 + i % 16 / 4; }
__host__ __device__ constexpr int place_of(int o, int i) { return i / 16 * 8 + o / 8 * 4 + i % 4; }

}  // namespace hass::cuda
