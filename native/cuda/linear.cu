// What stands around linears: QUANTIZE, EMBEDDING, and the choice of their kernels.
#include "../cpu/layout.h"
#include "linear_tiles.h"

namespace hass::cuda {
namespace {

constexpr int threads = 128;

// A lane is an element, a warp a block of 32 inputs, in one or two parts. Registers: at most 40.
template <int parts> __global__ void __launch_bounds__(threads, 12) quantize(Parameters<hass_cpu_quantize_args> p) {
  const hass_cpu_quantize_args &a = p.stage;
  constexpr int size = 32 / parts;
  const std::int64_t row = blockIdx.x, block = std::int64_t(blockIdx.y) * (threads / 32) + threadIdx.x / 32;
  if (row >= *p.live_rows || block >= a.in / 32) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float x = a.x[row * a.x_stride + block * 32 + lane];
  // NaN never is the largest, so it has to be looked for.
  float largest = larger(0.0f, fabsf(x));
  int has_nan = x == x ? 0 : 1;
#pragma unroll
  for (int mask = size / 2; mask > 0; mask /= 2) {
    largest = larger(largest, __shfl_xor_sync(all_lanes, largest, mask));
    has_nan |= __shfl_xor_sync(all_lanes, has_nan, mask);
  }
  const bool is_finite = !has_nan && largest < infinity(), is_zero = !is_finite || largest < 0x1p-100f;
  const float rounded = is_zero ? 0.0f : rintf(x * (127.0f / largest));
  const float scale = !is_finite ? not_a_number() : is_zero ? 0.0f : largest / 127.0f;
  auto total = static_cast<std::int32_t>(rounded);
#pragma unroll
  for (int mask = size / 2; mask > 0; mask /= 2) total += __shfl_xor_sync(all_lanes, total, mask);
  const float product = scale * static_cast<float>(total), other = __shfl_xor_sync(all_lanes, product, 16);

  auto *const blocks = reinterpret_cast<QuantizedBlock<parts> *>(
      static_cast<unsigned char *>(a.quantized) +
      row * rounded_up(a.in / 32 * std::int64_t(sizeof(QuantizedBlock<parts>)), 64));
  QuantizedBlock<parts> &target = blocks[block];
  target.integers[lane] = static_cast<std::int8_t>(rounded);
  if (lane % size == 0) {
    target.scales[lane / size] = scale;
    target.offsets[lane / size] = -128 * total;
  }
  if (lane == 0) target.sum = parts == 1 ? product : product + other;
}

// Block: a row, `threads` inputs. Registers: at most 40.
template <int dtype> __global__ void __launch_bounds__(threads, 12) embedding(Parameters<hass_cpu_embedding_args> p) {
  const hass_cpu_embedding_args &a = p.stage;
  const std::int64_t row = blockIdx.x, i = std::int64_t(blockIdx.y) * threads + threadIdx.x;
  if (row >= *p.live_rows || i >= a.in) return;
  const std::int64_t token = a.tokens[row];
  const int output = static_cast<int>(token % tile_outputs), inner = static_cast<int>(i % piece_inputs(dtype));
  const unsigned char *const unit = static_cast<const unsigned char *>(a.weight) +
                                    token / tile_outputs * tile_bytes(dtype, a.in) +
                                    i / unit_inputs(dtype) * unit_bytes(dtype);
  const int piece = static_cast<int>(i % unit_inputs(dtype)) / piece_inputs(dtype), place = place_of(output, inner);
  const unsigned char *const lane = unit + piece * piece_bytes(dtype) + lane_of(output, inner) * lane_bytes(dtype);
  float value;
  if constexpr (is_packed(dtype)) {
    const float scale = scale_of<dtype>(unit, piece, output);
    if constexpr (dtype == HASS_Q8) {
      value = scale * static_cast<float>(static_cast<std::int8_t>(lane[place]));
    } else {
      const int q = place < 8 ? lane[place] & 15 : lane[place - 8] >> 4;
      value = scale * static_cast<float>(q) + minimum_of<dtype>(unit, piece, output);
    }
  } else if constexpr (dtype == HASS_F8) {
    const std::int64_t other = output / 8 - i / unit_inputs(dtype) % 2;  // units from here to the one with the scale
    const auto *const scales = reinterpret_cast<const float *>(unit + other * unit_bytes(dtype) + scales_offset(dtype));
    value = scales[output % 8] * float_of_f8(lane[place]);
  } else {
    value = read_element<dtype>(lane, place);
  }
  a.y[row * a.y_stride + i] = value;
}

template <int dtype> void launch_embedding_of(const Launch &to, const hass_cpu_embedding_args &a) {
  launch(embedding<dtype>, dim3(unsigned(a.rows), unsigned(ceiling(a.in, threads))), threads, 0, to.stream,
         Parameters<hass_cpu_embedding_args>{a, to.live_rows});
}

}  // namespace

void launch_quantize(const Launch &to, const hass_cpu_quantize_args &a) {
  const dim3 blocks(static_cast<unsigned>(a.rows), static_cast<unsigned>(ceiling(a.in, threads)));
  const Parameters<hass_cpu_quantize_args> p{a, to.live_rows};
  if (a.block == 32) {
    launch(quantize<1>, blocks, threads, 0, to.stream, p);
  } else {
    launch(quantize<2>, blocks, threads, 0, to.stream, p);
  }
}

void launch_embedding(const Launch &to, const hass_cpu_embedding_args &a) {
  switch (a.weight_dtype) {
    case HASS_F32: return launch_embedding_of<HASS_F32>(to, a);
    case HASS_F16: return launch_embedding_of<HASS_F16>(to, a);
    case HASS_BF16: return launch_embedding_of<HASS_BF16>(to, a);
    case HASS_Q4: return launch_embedding_of<HASS_Q4>(to, a);
    case HASS_Q4K: return launch_embedding_of<HASS_Q4K>(to, a);
    case HASS_F8: return launch_embedding_of<HASS_F8>(to, a);
    default: return launch_embedding_of<HASS_Q8>(to, a);
  }
}

void launch_linear(const Launch &to, const hass_cpu_linear_args &a) {
  if (a.activation_block == 0) {
    launch_float_linear(to, a);
  } else {
    launch_quantized_linear(to, a);
  }
}

std::size_t linear_silu_mul_scratch_bytes(const hass_cpu_linear_args &a) {
  return std::size_t(a.rows * a.out) * sizeof(float);
}

// Gate and up side by side in scratch memory, then silu(gate) * up: the bits of the chain, for one launch more.
void launch_linear_silu_mul(const Launch &to, const hass_cpu_linear_args &a) {
  hass_cpu_linear_args both = a;
  both.y = static_cast<float *>(to.scratch);
  both.y_stride = a.out;
  launch_linear(to, both);
  launch_silu_mul(to, {a.rows, a.out / 2, both.y, a.out, both.y + a.out / 2, a.out, a.y, a.y_stride});
}

}  // namespace hass::cuda
