// How many units a stage has, how much scratch memory it takes, how long.
#include <algorithm>

#include "layout.h"
#include "ops.h"
#include "training_extents.h"
#include "units.h"

namespace hass {
namespace {

std::int64_t blocks_of(std::int64_t size, std::int64_t block) { return (size + block - 1) / block; }

template <class Arguments>
const Arguments &as(const void *arguments) {
  return *static_cast<const Arguments *>(arguments);
}

std::int64_t linear_units(const hass_cpu_linear_args &a, std::int64_t columns) {
  return blocks_of(columns, linear_columns) * blocks_of(a.rows, linear_rows);
}

// Weights pass from memory, and meanwhile each row multiplies by them.
double linear_cost(const hass_cpu_linear_args &a) {
  constexpr double bytes_per_ns = 18;
  const double weights = static_cast<double>(a.in) * static_cast<double>(a.out);
  double products_per_ns = 40;
  if (a.activation_block != 0) products_per_ns = a.weight_dtype == HASS_Q8 ? 60 : 90;
  const double bytes = static_cast<double>(panel_bytes(a.weight_dtype, a.in)) / panel_width * static_cast<double>(a.out);
  return std::max(bytes / bytes_per_ns, weights * static_cast<double>(a.rows) / products_per_ns);
}

double attention_cost(const hass_cpu_attention_args &a) {
  const double queries = static_cast<double>(a.rows) * static_cast<double>(a.heads);
  return queries * static_cast<double>(a.max_context) * (2.0 * static_cast<double>(a.size) / 31 + 1);
}

}  // namespace
}  // namespace hass

int64_t hass_cpu_units(hass_cpu_stage stage, const void *args) {
  using namespace hass;
  switch (stage) {
    case HASS_CPU_QUANTIZE: return as<hass_cpu_quantize_args>(args).rows;
    case HASS_CPU_LINEAR: {
      const auto &a = as<hass_cpu_linear_args>(args);
      return linear_units(a, a.out);
    }
    case HASS_CPU_LINEAR_SILU_MUL: {
      const auto &a = as<hass_cpu_linear_args>(args);
      return linear_units(a, a.out / 2);
    }
    case HASS_CPU_EMBEDDING: return as<hass_cpu_embedding_args>(args).rows;
    case HASS_CPU_RMS_NORM: return as<hass_cpu_rms_norm_args>(args).rows;
    case HASS_CPU_SILU_MUL:
    case HASS_CPU_ADD:
    case HASS_CPU_MUL: return as<hass_cpu_binary_args>(args).rows;
    case HASS_CPU_ROPE: return as<hass_cpu_rope_args>(args).rows;
    case HASS_CPU_CACHE_WRITE: return as<hass_cpu_cache_write_args>(args).rows;
    case HASS_CPU_QKV_FINISH: return as<hass_cpu_qkv_finish_args>(args).rows;
    case HASS_CPU_TREE_ATTENTION: {
      const auto &a = as<hass_cpu_attention_args>(args);
      return blocks_of(a.rows, attention_rows_of(a.rows)) * a.kv_heads;
    }
    case HASS_CPU_GATHER_ROWS:
    case HASS_CPU_SCATTER_ROWS: return as<hass_cpu_move_rows_args>(args).count;
    case HASS_CPU_CONCAT_COLUMNS: return as<hass_cpu_concat_args>(args).rows;
    case HASS_CPU_SLICE_COLUMNS: return as<hass_cpu_slice_args>(args).rows;
    case HASS_CPU_ARG_MAX:
    case HASS_CPU_TOP_K:
    case HASS_CPU_LOG_SOFTMAX: return as<hass_cpu_rows_args>(args).rows;
    case HASS_CPU_GUMBEL_ARG_MAX: return as<hass_cpu_gumbel_args>(args).rows;
    default: return training_units(stage, args);
  }
}

size_t hass_cpu_scratch_bytes(hass_cpu_stage stage, const void *args) {
  using namespace hass;
  if (stage != HASS_CPU_TREE_ATTENTION) return training_scratch_bytes(stage, args);
  const auto &a = as<hass_cpu_attention_args>(args);
  const std::int64_t queries = attention_rows * (a.heads / a.kv_heads), padded = round_up(a.size, 8);
  const std::int64_t floats =
      queries * (score_floats(a.max_context) + 2 * padded + 1) + attention_tile * padded;
  return static_cast<size_t>(round_up(floats * 4, 64));
}

double hass_cpu_cost(hass_cpu_stage stage, const void *args) {
  using namespace hass;
  const auto size_cost = [](std::int64_t rows, std::int64_t columns, double nanoseconds) {
    return static_cast<double>(rows) * static_cast<double>(columns) * nanoseconds;
  };
  switch (stage) {
    case HASS_CPU_QUANTIZE: {
      const auto &a = as<hass_cpu_quantize_args>(args);
      return size_cost(a.rows, a.in, 0.25);
    }
    case HASS_CPU_LINEAR:
    case HASS_CPU_LINEAR_SILU_MUL: return linear_cost(as<hass_cpu_linear_args>(args));
    case HASS_CPU_EMBEDDING: {
      const auto &a = as<hass_cpu_embedding_args>(args);
      return size_cost(a.rows, a.in, 2.0);
    }
    case HASS_CPU_RMS_NORM: {
      const auto &a = as<hass_cpu_rms_norm_args>(args);
      return size_cost(a.rows, a.groups * a.size, 0.2);
    }
    case HASS_CPU_SILU_MUL: {
      const auto &a = as<hass_cpu_binary_args>(args);
      return size_cost(a.rows, a.columns, 0.8);
    }
    case HASS_CPU_ADD:
    case HASS_CPU_MUL: {
      const auto &a = as<hass_cpu_binary_args>(args);
      return size_cost(a.rows, a.columns, 0.1);
    }
    case HASS_CPU_ROPE: {
      const auto &a = as<hass_cpu_rope_args>(args);
      return size_cost(a.rows, a.groups * a.size, 0.3);
    }
    case HASS_CPU_CACHE_WRITE: {
      const auto &a = as<hass_cpu_cache_write_args>(args);
      return size_cost(a.rows, a.columns, 0.1);
    }
    case HASS_CPU_QKV_FINISH: {
      const auto &a = as<hass_cpu_qkv_finish_args>(args);
      return size_cost(a.rows, (a.heads + 2 * a.kv_heads) * a.size, 0.2);
    }
    case HASS_CPU_TREE_ATTENTION: return attention_cost(as<hass_cpu_attention_args>(args));
    case HASS_CPU_GATHER_ROWS:
    case HASS_CPU_SCATTER_ROWS: {
      const auto &a = as<hass_cpu_move_rows_args>(args);
      return size_cost(a.count, a.row_bytes, 0.03);
    }
    case HASS_CPU_CONCAT_COLUMNS: {
      const auto &a = as<hass_cpu_concat_args>(args);
      return size_cost(a.rows, a.a_columns + a.b_columns, 0.1);
    }
    case HASS_CPU_SLICE_COLUMNS: {
      const auto &a = as<hass_cpu_slice_args>(args);
      return size_cost(a.rows, a.columns, 0.1);
    }
    case HASS_CPU_ARG_MAX: {
      const auto &a = as<hass_cpu_rows_args>(args);
      return size_cost(a.rows, a.columns, 0.1);
    }
    case HASS_CPU_TOP_K: {
      const auto &a = as<hass_cpu_rows_args>(args);
      return size_cost(a.rows, a.columns, 0.2);
    }
    case HASS_CPU_LOG_SOFTMAX: {
      const auto &a = as<hass_cpu_rows_args>(args);
      return size_cost(a.rows, a.columns, 1.5);
    }
    case HASS_CPU_GUMBEL_ARG_MAX: {
      const auto &a = as<hass_cpu_gumbel_args>(args);
      return size_cost(a.rows, a.columns, 30.0);
    }
    default: return training_cost(stage, args);
  }
}

size_t hass_cpu_quantized_row_bytes(int64_t in, int32_t block) {
  return static_cast<size_t>(hass::quantized_row_bytes(in, block));
}
