// The stages of cpu/ops.h on a GPU: the same arguments, with pointers into the device's memory. Each launcher asks for
// its kernels on a stream and returns; all of them can be captured into a graph.
//
// A stage is launched for `rows` rows, of which *live_rows are there: so that a graph that was captured for 16 rows
// serves 9 to 16. Blocks of the others end at once. What an output row holds beyond them is not defined.
#pragma once

#include "../cpu/ops.h"
#include "device.h"

namespace hass::cuda {

struct Launch {
  cudaStream_t stream;
  const std::int32_t *live_rows;
  void *scratch;  // scratch_bytes(stage, arguments), 256-byte aligned, of this stage alone while it runs
};

// A kernel's parameter.
template <typename Stage> struct Parameters {
  Stage stage;
  const std::int32_t *live_rows;
};

void launch_quantize(const Launch &to, const hass_cpu_quantize_args &a);
void launch_linear(const Launch &to, const hass_cpu_linear_args &a);
void launch_linear_silu_mul(const Launch &to, const hass_cpu_linear_args &a);
void launch_float_linear(const Launch &to, const hass_cpu_linear_args &a);
void launch_quantized_linear(const Launch &to, const hass_cpu_linear_args &a);
void launch_embedding(const Launch &to, const hass_cpu_embedding_args &a);
void launch_rms_norm(const Launch &to, const hass_cpu_rms_norm_args &a);
void launch_silu_mul(const Launch &to, const hass_cpu_binary_args &a);
void launch_add(const Launch &to, const hass_cpu_binary_args &a);
void launch_mul(const Launch &to, const hass_cpu_binary_args &a);
void launch_rope(const Launch &to, const hass_cpu_rope_args &a);
void launch_cache_write(const Launch &to, const hass_cpu_cache_write_args &a);
void launch_qkv_finish(const Launch &to, const hass_cpu_qkv_finish_args &a);
void launch_tree_attention(const Launch &to, const hass_cpu_attention_args &a);
void launch_gather_rows(const Launch &to, const hass_cpu_move_rows_args &a);
void launch_scatter_rows(const Launch &to, const hass_cpu_move_rows_args &a);
void launch_concat_columns(const Launch &to, const hass_cpu_concat_args &a);
void launch_slice_columns(const Launch &to, const hass_cpu_slice_args &a);
void launch_arg_max(const Launch &to, const hass_cpu_rows_args &a);
void launch_top_k(const Launch &to, const hass_cpu_rows_args &a);
void launch_log_softmax(const Launch &to, const hass_cpu_rows_args &a);
void launch_gumbel_arg_max(const Launch &to, const hass_cpu_gumbel_args &a);

std::size_t attention_scratch_bytes(const hass_cpu_attention_args &a);
std::size_t linear_silu_mul_scratch_bytes(const hass_cpu_linear_args &a);

__host__ __device__ constexpr std::int64_t ceiling(std::int64_t size, std::int64_t unit) { return (size + unit - 1) / unit; }
__host__ __device__ constexpr std::int64_t rounded_up(std::int64_t size, std::int64_t unit) { return ceiling(size, unit) * unit; }

}  // namespace hass::cuda
