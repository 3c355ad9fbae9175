// LINEAR of packed weights with int8 activations. Exact (NUMERICS.md): a block of 32 or 16 products is an integer that
// tensor cores sum, and every output adds its blocks in order, in its own lane.
#include "../cpu/layout.h"
#include "linear_tiles.h"

namespace hass::cuda {
namespace {

constexpr int chunk_blocks = 4;  // of 32 inputs

template <int parts> constexpr int block_bytes = static_cast<int>(sizeof(QuantizedBlock<parts>));
// 16 bytes more, so that eight rows begin in different banks.
template <int parts> constexpr int activation_row_bytes = chunk_blocks * block_bytes<parts> + 16;
template <int tiles> constexpr int stages = tiles == 8 ? 4 : 6;

template <int dtype> constexpr int warp_stage_bytes = chunk_blocks / unit_pieces(dtype) * unit_bytes(dtype);
template <int dtype, int parts, int tiles>
constexpr int stage_bytes = linear_warps * warp_stage_bytes<dtype> + 8 * tiles * activation_row_bytes<parts>;

__device__ __forceinline__ std::uint32_t word_at(const unsigned char *bytes) {
  return *reinterpret_cast<const std::uint32_t *>(bytes);
}
__device__ __forceinline__ float float_at(const unsigned char *bytes) { return *reinterpret_cast<const float *>(bytes); }

// The chunk's blocks of all rows of the block; of rows that are not there, zeros.
template <int parts, int tiles>
__device__ __forceinline__ void load_activations(const Linear &p, const LinearPlace &at, std::int64_t first_block,
                                                 int count, unsigned char *target) {
  constexpr int pieces_of_block = block_bytes<parts> / 16;
  const std::int64_t row_bytes = rounded_up(p.a.in / 32 * block_bytes<parts>, 64);
  const int pieces = count * pieces_of_block;
  for (int i = static_cast<int>(threadIdx.x); i < 8 * tiles * pieces; i += linear_threads) {
    const int row = i / pieces, piece = i % pieces;
    const bool is_there = at.first_row + row < at.live_rows;
    const auto *source = static_cast<const unsigned char *>(p.a.quantized) +
                         (is_there ? (at.first_row + row) * row_bytes + first_block * block_bytes<parts> + piece * 16 : 0);
    copy_async_16(target + row * activation_row_bytes<parts> + piece * 16, source, is_there ? 16 : 0);
  }
}

// One piece of a unit as two times two words of int8: outputs lane / 4 and + 8 of inputs 0 ... 15, then of 16 ... 31.
template <int dtype> __device__ __forceinline__ void load_fragment(const unsigned char *piece, int lane, std::uint32_t (&a)[4]) {
  if constexpr (dtype == HASS_Q8) {
    const uint4 words = *reinterpret_cast<const uint4 *>(piece + lane * lane_bytes(dtype));
    a[0] = words.x, a[1] = words.y, a[2] = words.z, a[3] = words.w;
  } else {
    const uint2 words = *reinterpret_cast<const uint2 *>(piece + lane * lane_bytes(dtype));
    constexpr std::uint32_t low_nibbles = 0x0f0f0f0fu;
    a[0] = words.x & low_nibbles, a[1] = words.y & low_nibbles;
    a[2] = words.x >> 4 & low_nibbles, a[3] = words.y >> 4 & low_nibbles;
  }
}

// Registers: at most 96. Shared memory: at most 99 KiB, stages<tiles> x stage_bytes.
template <int dtype, int parts, int tiles>
__global__ void __launch_bounds__(linear_threads) quantized_linear(Linear p) {
  LinearPlace at(p, 8 * tiles);
  if (at.first_row >= at.live_rows) return;
  const std::int64_t blocks = p.a.in / 32, chunks = ceiling(blocks, chunk_blocks);
  const bool has_outputs = at.first_output < p.a.out;
  at.weights = static_cast<const unsigned char *>(p.a.weight) + at.first_output / tile_outputs * tile_bytes(dtype, p.a.in);
  unsigned char *const memory = shared_memory();
  constexpr int pieces = unit_pieces(dtype);

  const auto stage_of = [&](std::int64_t chunk) {
    return memory + chunk % stages<tiles> * stage_bytes<dtype, parts, tiles>;
  };
  const auto load_chunk = [&](std::int64_t chunk) {
    if (chunk < chunks) {
      const std::int64_t first = chunk * chunk_blocks, left = blocks - first;
      const int count = left < chunk_blocks ? static_cast<int>(left) : chunk_blocks;
      unsigned char *const stage = stage_of(chunk);
      if (has_outputs) {
        load_units(at.weights, unit_bytes(dtype), first / pieces, count / pieces, at.lane,
                   stage + at.warp * warp_stage_bytes<dtype>);
      }
      load_activations<parts, tiles>(p, at, first, count, stage + linear_warps * warp_stage_bytes<dtype>);
    }
    commit_copies();  // of nothing past the end, so that the number of groups tells the chunk
  };

  float totals[tiles][4] = {};
  for (int chunk = 0; chunk < stages<tiles> - 1; ++chunk) load_chunk(chunk);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    wait_for_copies<stages<tiles> - 2>();
    __syncthreads();  // the chunk is there for all, and the one before has been computed by all
    load_chunk(chunk + stages<tiles> - 1);
    // A warp without outputs goes along and writes nothing: a branch around mma would cost every warp its bookkeeping.
    const std::int64_t left = blocks - chunk * chunk_blocks;
    const int count = left < chunk_blocks ? static_cast<int>(left) : chunk_blocks;
    const unsigned char *const weights = stage_of(chunk) + at.warp * warp_stage_bytes<dtype>;
    const unsigned char *const activations = stage_of(chunk) + linear_warps * warp_stage_bytes<dtype>;
    for (int b = 0; b < count; ++b) {
      const unsigned char *const unit = weights + b / pieces * unit_bytes(dtype);
      std::uint32_t a[4];
      load_fragment<dtype>(unit + b % pieces * piece_bytes(dtype), at.lane, a);
      float d[2], m[2];
#pragma unroll
      for (int o = 0; o < 2; ++o) {
        d[o] = scale_of<dtype>(unit, b % pieces, at.lane / 4 + 8 * o);
        if constexpr (has_nibbles(dtype)) m[o] = minimum_of<dtype>(unit, b % pieces, at.lane / 4 + 8 * o);
      }
#pragma unroll
      for (int t = 0; t < tiles; ++t) {
        // The row whose integers the lane brings, and the two whose sums it has.
        const unsigned char *const own =
            activations + (8 * t + at.lane / 4) * activation_row_bytes<parts> + b * block_bytes<parts>;
        const unsigned char *const first =
            activations + (8 * t + at.lane % 4 * 2) * activation_row_bytes<parts> + b * block_bytes<parts>;
        const unsigned char *const rows[2] = {first, first + activation_row_bytes<parts>};
        const std::uint32_t integers[2] = {word_at(own + at.lane % 4 * 4), word_at(own + 16 + at.lane % 4 * 4)};
#pragma unroll
        for (int part = 0; part < parts; ++part) {
          std::int32_t products[4];
          if constexpr (parts == 1) {
            multiply_bytes_32(products, a, integers[0], integers[1]);
          } else {
            multiply_bytes_16(products, a[2 * part], a[2 * part + 1], integers[part]);
          }
#pragma unroll
          for (int w = 0; w < 4; ++w) {
            const float s = float_at(rows[w % 2] + offsetof(QuantizedBlock<parts>, scales) + 4 * part);
            totals[t][w] = totals[t][w] + (d[w / 2] * s) * static_cast<float>(products[w]);
          }
        }
        if constexpr (has_nibbles(dtype)) {
#pragma unroll
          for (int w = 0; w < 4; ++w) {
            totals[t][w] = totals[t][w] + m[w / 2] * float_at(rows[w % 2] + offsetof(QuantizedBlock<parts>, sum));
          }
        }
      }
    }
  }
  write_results<tiles>(p, at, totals);
}

template <int dtype, int parts, int tiles> void launch_tiles(const Launch &to, const hass_cpu_linear_args &a) {
  launch(quantized_linear<dtype, parts, tiles>, linear_blocks(a, tiles), linear_threads,
         std::size_t(stages<tiles>) * stage_bytes<dtype, parts, tiles>, to.stream, Linear{a, to.live_rows});
}

template <int dtype, int parts> void launch_parts(const Launch &to, const hass_cpu_linear_args &a) {
  switch (linear_tiles(a.rows)) {
    case 1: return launch_tiles<dtype, parts, 1>(to, a);
    case 2: return launch_tiles<dtype, parts, 2>(to, a);
    case 4: return launch_tiles<dtype, parts, 4>(to, a);
    default: return launch_tiles<dtype, parts, 8>(to, a);
  }
}

template <int dtype> void launch_dtype(const Launch &to, const hass_cpu_linear_args &a) {
  return a.activation_block == 32 ? launch_parts<dtype, 1>(to, a) : launch_parts<dtype, 2>(to, a);
}

}  // namespace

void launch_quantized_linear(const Launch &to, const hass_cpu_linear_args &a) {
  switch (a.weight_dtype) {
    case HASS_Q4: return launch_dtype<HASS_Q4>(to, a);
    case HASS_Q4K: return launch_dtype<HASS_Q4K>(to, a);
    default: return launch_dtype<HASS_Q8>(to, a);
  }
}

}  // namespace hass::cuda
