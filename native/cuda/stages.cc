#include "stages.h"

#include <cstring>

#include "../runtime/failure.h"

namespace hass::cuda {
namespace {

// 0: there are no kernels for it.
std::size_t bytes_of(hass_cpu_stage stage) {
  switch (stage) {
    case HASS_CPU_QUANTIZE: return sizeof(hass_cpu_quantize_args);
    case HASS_CPU_LINEAR:
    case HASS_CPU_LINEAR_SILU_MUL: return sizeof(hass_cpu_linear_args);
    case HASS_CPU_EMBEDDING: return sizeof(hass_cpu_embedding_args);
    case HASS_CPU_RMS_NORM: return sizeof(hass_cpu_rms_norm_args);
    case HASS_CPU_SILU_MUL:
    case HASS_CPU_ADD:
    case HASS_CPU_MUL: return sizeof(hass_cpu_binary_args);
    case HASS_CPU_ROPE: return sizeof(hass_cpu_rope_args);
    case HASS_CPU_CACHE_WRITE: return sizeof(hass_cpu_cache_write_args);
    case HASS_CPU_QKV_FINISH: return sizeof(hass_cpu_qkv_finish_args);
    case HASS_CPU_TREE_ATTENTION: return sizeof(hass_cpu_attention_args);
    case HASS_CPU_GATHER_ROWS:
    case HASS_CPU_SCATTER_ROWS: return sizeof(hass_cpu_move_rows_args);
    case HASS_CPU_CONCAT_COLUMNS: return sizeof(hass_cpu_concat_args);
    case HASS_CPU_SLICE_COLUMNS: return sizeof(hass_cpu_slice_args);
    case HASS_CPU_ARG_MAX:
    case HASS_CPU_TOP_K:
    case HASS_CPU_LOG_SOFTMAX: return sizeof(hass_cpu_rows_args);
    case HASS_CPU_GUMBEL_ARG_MAX: return sizeof(hass_cpu_gumbel_args);
    default: return 0;
  }
}

}  // namespace

bool has_stage(hass_cpu_stage stage) { return bytes_of(stage) != 0; }

StageArguments copy_arguments(hass_cpu_stage stage, const void *arguments) {
  if (!has_stage(stage)) fail(HASS_STATUS_UNSUPPORTED, "There is no CUDA kernel for stage %d.", static_cast<int>(stage));
  StageArguments copy;
  std::memcpy(&copy, arguments, bytes_of(stage));
  return copy;
}

std::size_t scratch_bytes(hass_cpu_stage stage, const StageArguments &arguments) {
  switch (stage) {
    case HASS_CPU_TREE_ATTENTION: return attention_scratch_bytes(arguments.attention);
    case HASS_CPU_LINEAR_SILU_MUL: return linear_silu_mul_scratch_bytes(arguments.linear);
    default: return 0;
  }
}

void launch_stage(const Launch &to, hass_cpu_stage stage, const StageArguments &a) {
  if (a.rows == 0) return;
  switch (stage) {
    case HASS_CPU_QUANTIZE: return launch_quantize(to, a.quantize);
    case HASS_CPU_LINEAR: return launch_linear(to, a.linear);
    case HASS_CPU_LINEAR_SILU_MUL: return launch_linear_silu_mul(to, a.linear);
    case HASS_CPU_EMBEDDING: return launch_embedding(to, a.embedding);
    case HASS_CPU_RMS_NORM: return launch_rms_norm(to, a.rms_norm);
    case HASS_CPU_SILU_MUL: return launch_silu_mul(to, a.binary);
    case HASS_CPU_ADD: return launch_add(to, a.binary);
    case HASS_CPU_MUL: return launch_mul(to, a.binary);
    case HASS_CPU_ROPE: return launch_rope(to, a.rope);
    case HASS_CPU_CACHE_WRITE: return launch_cache_write(to, a.cache_write);
    case HASS_CPU_QKV_FINISH: return launch_qkv_finish(to, a.qkv_finish);
    case HASS_CPU_TREE_ATTENTION: return launch_tree_attention(to, a.attention);
    case HASS_CPU_GATHER_ROWS: return launch_gather_rows(to, a.move_rows);
    case HASS_CPU_SCATTER_ROWS: return launch_scatter_rows(to, a.move_rows);
    case HASS_CPU_CONCAT_COLUMNS: return launch_concat_columns(to, a.concat);
    case HASS_CPU_SLICE_COLUMNS: return launch_slice_columns(to, a.slice);
    case HASS_CPU_ARG_MAX: return launch_arg_max(to, a.row_wise);
    case HASS_CPU_TOP_K: return launch_top_k(to, a.row_wise);
    case HASS_CPU_LOG_SOFTMAX: return launch_log_softmax(to, a.row_wise);
    case HASS_CPU_GUMBEL_ARG_MAX: return launch_gumbel_arg_max(to, a.gumbel);
    default: fail(HASS_STATUS_INTERNAL, "Stage %d was not refused when its program was made.", static_cast<int>(stage));
  }
}

}  // namespace hass::cuda
