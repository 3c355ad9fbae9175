// LINEAR with float32 activations, on bfloat16 tensor cores. A float32 is the sum of three bfloat16s, a float16 of two;
// of the products of two such sums those are left out that are smaller than the rounding of the largest. Row-invariant:
// an output of a row is one chain of mma instructions over the inputs, whatever the number of rows is.
#include "linear_tiles.h"

namespace hass::cuda {
namespace {

constexpr int chunk_inputs = 64;
constexpr int mma_inputs = 16;
constexpr int activation_parts = 3;

template <int dtype> constexpr int weight_parts = dtype == HASS_BF16 || dtype == HASS_F8 ? 1 : dtype == HASS_F16 ? 2 : 3;
template <int dtype> constexpr int chunk_units = chunk_inputs / unit_inputs(dtype);
template <int dtype> constexpr int warp_stage_bytes = chunk_units<dtype> * unit_bytes(dtype);

// Of float32 activations as they come, and of their parts; some bytes more, so that eight rows begin in different banks.
constexpr int raw_row_bytes = chunk_inputs * 4 + 16;
constexpr int part_row_bytes = chunk_inputs * 2 + 16;
template <int tiles> constexpr int part_bytes = 8 * tiles * part_row_bytes;

template <int dtype, int tiles>
constexpr int stage_bytes = linear_warps * warp_stage_bytes<dtype> + 8 * tiles * raw_row_bytes;
// As many as fit into the 99 KiB that a block may have on every architecture.
template <int dtype, int tiles> constexpr int stages = tiles < 8 ? 4 : warp_stage_bytes<dtype> > 2048 ? 2 : 3;

// The upper and the lower half of a word are bfloat16s of neighbouring inputs, the first one below.
__device__ __forceinline__ std::uint32_t pair_of(float first, float second) {
  return __float_as_uint(first) >> 16 | (__float_as_uint(second) & 0xffff0000u);
}

// value = the sum of the parts, exactly unless it is subnormal. Each part is cut off, not rounded: the rest has no more
// digits than are left. An infinity or NaN is its first part.
template <int parts> __device__ __forceinline__ void split(float value, float (&part)[parts]) {
  const bool is_finite = (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
  part[0] = value == value ? __uint_as_float(__float_as_uint(value) & 0xffff0000u) : not_a_number();
  float rest = is_finite ? value - part[0] : 0.0f;
#pragma unroll
  for (int i = 1; i < parts; ++i) {
    part[i] = __uint_as_float(__float_as_uint(rest) & 0xffff0000u);
    rest = rest - part[i];
  }
}

// Float32 activations of a chunk; of rows and inputs that are not there, zeros.
template <int tiles>
__device__ __forceinline__ void load_activations(const Linear &p, const LinearPlace &at, std::int64_t first,
                                                 unsigned char *target) {
  const bool is_aligned = p.a.in % 4 == 0 && p.a.x_stride % 4 == 0;
  const int inputs_of_piece = is_aligned ? 4 : 1, pieces = chunk_inputs / inputs_of_piece;
  for (int i = static_cast<int>(threadIdx.x); i < 8 * tiles * pieces; i += linear_threads) {
    const int row = i / pieces, input = i % pieces * inputs_of_piece;
    const bool is_there = at.first_row + row < at.live_rows && first + input < p.a.in;
    const float *const source = p.a.x + (is_there ? (at.first_row + row) * p.a.x_stride + first + input : 0);
    unsigned char *const to = target + row * raw_row_bytes + input * 4;
    if (is_aligned) {
      copy_async_16(to, source, is_there ? 16 : 0);
    } else {
      copy_async_4(to, source, is_there ? 4 : 0);
    }
  }
}

// Float32 activations into their parts: [activation_parts][8 * tiles][chunk_inputs] bfloat16. Of sixteen inputs, numbers
// 4 j + 2 h + e go to 2 j + 8 h + e: where mma looks for the four neighbours that lane j has of a weight (fragments.h).
template <int tiles>
__device__ __forceinline__ void split_activations(const unsigned char *raw, unsigned char *parts) {
  constexpr int quads = chunk_inputs / 4;
  for (int i = static_cast<int>(threadIdx.x); i < 8 * tiles * quads; i += linear_threads) {
    const int row = i / quads, quad = i % quads;
    const float4 values = *reinterpret_cast<const float4 *>(raw + row * raw_row_bytes + quad * 16);
    float x[4][activation_parts];
    split(values.x, x[0]);
    split(values.y, x[1]);
    split(values.z, x[2]);
    split(values.w, x[3]);
    unsigned char *const target = parts + row * part_row_bytes + (quad / 4 * mma_inputs + quad % 4 * 2) * 2;
#pragma unroll
    for (int part = 0; part < activation_parts; ++part) {
      *reinterpret_cast<std::uint32_t *>(target + part * part_bytes<tiles>) = pair_of(x[0][part], x[1][part]);
      *reinterpret_cast<std::uint32_t *>(target + part * part_bytes<tiles> + 16) = pair_of(x[2][part], x[3][part]);
    }
  }
}

// Weights of sixteen inputs, number `step` of a unit: words of mma's first operand, for each part.
template <int dtype>
__device__ __forceinline__ void load_fragment(const unsigned char *unit, int step, int lane,
                                              std::uint32_t (&a)[weight_parts<dtype>][4]) {
  constexpr int steps = piece_inputs(dtype) / mma_inputs;
  const int piece = step / steps, half = step % steps;
  const unsigned char *const own = unit + piece * piece_bytes(dtype) + lane * lane_bytes(dtype);
  if constexpr (dtype == HASS_BF16) {
    const uint4 words = *reinterpret_cast<const uint4 *>(own);
    a[0][0] = words.x, a[0][2] = words.y, a[0][1] = words.z, a[0][3] = words.w;
  } else {
    float w[8];  // four inputs of output lane / 4, four of the one eight further
    if constexpr (dtype == HASS_F32) {
      const float4 first = reinterpret_cast<const float4 *>(own)[0], second = reinterpret_cast<const float4 *>(own)[1];
      w[0] = first.x, w[1] = first.y, w[2] = first.z, w[3] = first.w;
      w[4] = second.x, w[5] = second.y, w[6] = second.z, w[7] = second.w;
    } else if constexpr (dtype == HASS_F16) {
      const uint4 words = *reinterpret_cast<const uint4 *>(own);
      const std::uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        w[i] = float_of_half(static_cast<std::uint16_t>(i % 2 == 0 ? pairs[i / 2] & 0xffffu : pairs[i / 2] >> 16));
      }
    } else if constexpr (dtype == HASS_F8) {
      const uint2 words = *reinterpret_cast<const uint2 *>(own);
#pragma unroll
      for (int i = 0; i < 8; ++i) w[i] = float_of_f8((i < 4 ? words.x : words.y) >> i % 4 * 8 & 0xffu);
    } else {
#pragma unroll
      for (int o = 0; o < 2; ++o) {
        const float d = scale_of<dtype>(unit, piece, lane / 4 + 8 * o);
        std::uint32_t word = *reinterpret_cast<const std::uint32_t *>(own + 4 * o + (dtype == HASS_Q8 ? 8 * half : 0));
        if (has_nibbles(dtype)) word >>= 4 * half;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const auto byte = static_cast<std::uint8_t>(word >> 8 * i);
          const int q = has_nibbles(dtype) ? byte & 15 : static_cast<std::int8_t>(byte);
          float value = d * static_cast<float>(q);
          if (has_nibbles(dtype)) value = value + minimum_of<dtype>(unit, piece, lane / 4 + 8 * o);
          w[4 * o + i] = value;
        }
      }
    }
    float parts[8][weight_parts<dtype>];
#pragma unroll
    for (int i = 0; i < 8; ++i) split(w[i], parts[i]);
#pragma unroll
    for (int part = 0; part < weight_parts<dtype>; ++part) {
      a[part][0] = pair_of(parts[0][part], parts[1][part]), a[part][2] = pair_of(parts[2][part], parts[3][part]);
      a[part][1] = pair_of(parts[4][part], parts[5][part]), a[part][3] = pair_of(parts[6][part], parts[7][part]);
    }
  }
}

// Registers: at most 168. Shared memory: at most 99 KiB, stages x stage_bytes and the parts of a chunk's activations.
template <int dtype, int tiles> __global__ void __launch_bounds__(linear_threads, 4) float_linear(Linear p) {
  constexpr int num_stages = stages<dtype, tiles>;
  LinearPlace at(p, 8 * tiles);
  if (at.first_row >= at.live_rows) return;
  const std::int64_t units = num_units(dtype, p.a.in), chunks = ceiling(p.a.in, chunk_inputs);
  const bool has_outputs = at.first_output < p.a.out;
  at.weights = static_cast<const unsigned char *>(p.a.weight) + at.first_output / tile_outputs * tile_bytes(dtype, p.a.in);
  unsigned char *const memory = shared_memory(), *const parts = memory + num_stages * stage_bytes<dtype, tiles>;

  const auto stage_of = [&](std::int64_t chunk) { return memory + chunk % num_stages * stage_bytes<dtype, tiles>; };
  const auto units_of = [&](std::int64_t chunk) {
    const std::int64_t left = units - chunk * chunk_units<dtype>;
    return left < chunk_units<dtype> ? static_cast<int>(left) : chunk_units<dtype>;
  };
  const auto load_chunk = [&](std::int64_t chunk) {
    if (chunk < chunks) {
      unsigned char *const stage = stage_of(chunk);
      if (has_outputs) {
        load_units(at.weights, unit_bytes(dtype), chunk * chunk_units<dtype>, units_of(chunk), at.lane,
                   stage + at.warp * warp_stage_bytes<dtype>);
      }
      load_activations<tiles>(p, at, chunk * chunk_inputs, stage + linear_warps * warp_stage_bytes<dtype>);
    }
    commit_copies();  // of nothing past the end, so that the number of groups tells the chunk
  };

  // Of F8: a block's codes are summed before their scale comes, so that no weight is rounded.
  float totals[tiles][4] = {}, block_sums[tiles][4] = {}, first_scale = 0.0f;
  float (&sums)[tiles][4] = dtype == HASS_F8 ? block_sums : totals;
  for (int chunk = 0; chunk < num_stages - 1; ++chunk) load_chunk(chunk);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    wait_for_copies<num_stages - 2>();
    __syncthreads();  // the chunk is there for all, and the one before has been computed by all
    load_chunk(chunk + num_stages - 1);
    split_activations<tiles>(stage_of(chunk) + linear_warps * warp_stage_bytes<dtype>, parts);
    __syncthreads();  // the parts are there
    // A warp without outputs goes along and writes nothing: a branch around mma would cost every warp its bookkeeping.
    const unsigned char *const weights = stage_of(chunk) + at.warp * warp_stage_bytes<dtype>;
    const int steps = units_of(chunk) * (unit_inputs(dtype) / mma_inputs);
    for (int step = 0; step < steps; ++step) {
      constexpr int steps_of_unit = unit_inputs(dtype) / mma_inputs;
      std::uint32_t a[weight_parts<dtype>][4];
      load_fragment<dtype>(weights + step / steps_of_unit * unit_bytes(dtype), step % steps_of_unit, at.lane, a);
#pragma unroll
      for (int t = 0; t < tiles; ++t) {
        // Four matrices at once: both halves of the inputs, of the first and of the second part. Then of the third.
        const unsigned char *const row =
            parts + (8 * t + at.lane % 8) * part_row_bytes + step * mma_inputs * 2 + at.lane / 8 % 2 * 16;
        std::uint32_t upper[4], lower[4];
        load_matrices(upper, row + at.lane / 16 * part_bytes<tiles>);
        load_matrices(lower, row + 2 * part_bytes<tiles>);
        multiply_bfloats(sums[t], a[0], lower[0], lower[1]);
        if constexpr (weight_parts<dtype> > 2) multiply_bfloats(sums[t], a[2], upper[0], upper[1]);
        if constexpr (weight_parts<dtype> > 1) {
          multiply_bfloats(sums[t], a[1], upper[2], upper[3]);
          multiply_bfloats(sums[t], a[1], upper[0], upper[1]);
        }
        multiply_bfloats(sums[t], a[0], upper[2], upper[3]);
        multiply_bfloats(sums[t], a[0], upper[0], upper[1]);
      }
    }
    if constexpr (dtype == HASS_F8) {
      // A block is two chunks, and each brings the scale of one of the lane's outputs.
      const float scale = reinterpret_cast<const float *>(weights + scales_offset(dtype))[at.lane / 4];
      if (chunk % 2 == 0) {
        first_scale = scale;
      } else {
#pragma unroll
        for (int t = 0; t < tiles; ++t) {
#pragma unroll
          for (int w = 0; w < 4; ++w) {
            totals[t][w] = totals[t][w] + (w / 2 == 0 ? first_scale : scale) * sums[t][w];
            sums[t][w] = 0.0f;
          }
        }
      }
    }
  }
  write_results<tiles>(p, at, totals);
}

template <int dtype, int tiles> void launch_tiles(const Launch &to, const hass_cpu_linear_args &a) {
  launch(float_linear<dtype, tiles>, linear_blocks(a, tiles), linear_threads,
         std::size_t(stages<dtype, tiles>) * stage_bytes<dtype, tiles> + activation_parts * part_bytes<tiles>,
         to.stream, Linear{a, to.live_rows});
}

template <int dtype> void launch_dtype(const Launch &to, const hass_cpu_linear_args &a) {
  switch (linear_tiles(a.rows)) {
    case 1: return launch_tiles<dtype, 1>(to, a);
    case 2: return launch_tiles<dtype, 2>(to, a);
    case 4: return launch_tiles<dtype, 4>(to, a);
    default: return launch_tiles<dtype, 8>(to, a);
  }
}

}  // namespace

void launch_float_linear(const Launch &to, const hass_cpu_linear_args &a) {
  switch (a.weight_dtype) {
    case HASS_F32: return launch_dtype<HASS_F32>(to, a);
    case HASS_F16: return launch_dtype<HASS_F16>(to, a);
    case HASS_BF16: return launch_dtype<HASS_BF16>(to, a);
    case HASS_Q4: return launch_dtype<HASS_Q4>(to, a);
    case HASS_Q4K: return launch_dtype<HASS_Q4K>(to, a);
    case HASS_F8: return launch_dtype<HASS_F8>(to, a);
    default: return launch_dtype<HASS_Q8>(to, a);
  }
}

}  // namespace hass::cuda
