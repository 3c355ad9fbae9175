#include "training_extents.h"

#include "layout.h"
#include "training_units.h"

namespace hass {
namespace {

std::int64_t blocks_of(std::int64_t size, std::int64_t block) { return (size + block - 1) / block; }

template <class Arguments>
const Arguments &as(const void *arguments) {
  return *static_cast<const Arguments *>(arguments);
}

double area(std::int64_t rows, std::int64_t columns) { return static_cast<double>(rows) * static_cast<double>(columns); }

std::int64_t packed_block(std::int64_t rows) {
  return round_up(rows, product_tile_rows) * product_depth;
}

}  // namespace

std::int64_t training_units(hass_cpu_stage stage, const void *arguments) {
  switch (stage) {
    case HASS_CPU_PANELS: return blocks_of(as<hass_cpu_panels_args>(arguments).columns, product_panel);
    case HASS_CPU_PRODUCT: {
      const auto &a = as<hass_cpu_product_args>(arguments);
      return blocks_of(a.rows, product_rows) * blocks_of(a.columns, product_columns);
    }
    case HASS_CPU_ADD_COLUMN_SUMS:
    case HASS_CPU_RMS_NORM_WEIGHT_GRADIENT:
      return blocks_of(as<hass_cpu_column_sums_args>(arguments).columns, column_block);
    case HASS_CPU_RMS_NORM_GRADIENT: return as<hass_cpu_norm_gradient_args>(arguments).rows;
    case HASS_CPU_SILU_MUL_GRADIENT: return as<hass_cpu_silu_gradient_args>(arguments).rows;
    case HASS_CPU_ROPE_GRADIENT: return as<hass_cpu_rope_args>(arguments).rows;
    case HASS_CPU_SCATTER_ADD_ROWS: return blocks_of(as<hass_cpu_scatter_args>(arguments).columns, column_block);
    case HASS_CPU_PAD_COLUMNS: return as<hass_cpu_pad_args>(arguments).rows;
    case HASS_CPU_COPY_ROWS: return as<hass_cpu_copy_args>(arguments).rows;
    case HASS_CPU_ALIGNED_ATTENTION:
    case HASS_CPU_ALIGNED_QUERIES: {
      const auto &a = as<hass_cpu_aligned_args>(arguments);
      return blocks_of(a.rows, aligned_rows) * a.kv_heads;
    }
    case HASS_CPU_ALIGNED_KEYS: {
      const auto &a = as<hass_cpu_aligned_args>(arguments);
      return blocks_of(a.slots, aligned_slots) * a.kv_heads;
    }
    case HASS_CPU_DISTILLATION: {
      const std::int64_t rows = as<hass_cpu_distillation_args>(arguments).rows;
      return blocks_of(rows, distillation_unit_rows(rows));
    }
    case HASS_CPU_GRADIENT_FACTS: return as<hass_cpu_gradient_facts_args>(arguments).rows;
    case HASS_CPU_ADAM_W: return as<hass_cpu_adam_args>(arguments).rows;
    case HASS_CPU_SOFTMAX: return as<hass_cpu_softmax_args>(arguments).rows;
    default: return 0;
  }
}

std::size_t training_scratch_bytes(hass_cpu_stage stage, const void *arguments) {
  std::int64_t floats = 0;
  switch (stage) {
    case HASS_CPU_PRODUCT: floats = packed_block(product_rows); break;
    case HASS_CPU_ALIGNED_ATTENTION:
    case HASS_CPU_ALIGNED_QUERIES: {
      const auto &a = as<hass_cpu_aligned_args>(arguments);
      floats = packed_block(aligned_rows) + 2 * aligned_rows * (round_up(a.slots, product_panel) + product_panel) +
               2 * round_up(a.max_near, 8);
      break;
    }
    case HASS_CPU_ALIGNED_KEYS: floats = packed_block(product_rows) + 2 * product_rows * aligned_slots; break;
    case HASS_CPU_DISTILLATION: {
      const auto &a = as<hass_cpu_distillation_args>(arguments);
      floats = packed_block(distillation_rows) + distillation_rows * a.vocabulary + 2 * a.k;
      break;
    }
    default: break;
  }
  return static_cast<std::size_t>(round_up(floats * 4, 64));
}

double training_cost(hass_cpu_stage stage, const void *arguments) {
  constexpr double product = 1.0 / 35;  // nanoseconds of a multiply-add
  switch (stage) {
    case HASS_CPU_PANELS: {
      const auto &a = as<hass_cpu_panels_args>(arguments);
      return area(a.inner, a.columns) * 0.5;
    }
    case HASS_CPU_PRODUCT: {
      const auto &a = as<hass_cpu_product_args>(arguments);
      return area(a.rows, a.columns) * static_cast<double>(a.inner) * product;
    }
    case HASS_CPU_ADD_COLUMN_SUMS: {
      const auto &a = as<hass_cpu_column_sums_args>(arguments);
      return area(a.rows, a.columns * a.groups) * 0.1;
    }
    case HASS_CPU_RMS_NORM_WEIGHT_GRADIENT: {
      const auto &a = as<hass_cpu_column_sums_args>(arguments);
      return area(a.rows, a.columns * a.groups) * 0.5;
    }
    case HASS_CPU_RMS_NORM_GRADIENT: {
      const auto &a = as<hass_cpu_norm_gradient_args>(arguments);
      return area(a.rows, a.groups * a.size) * 0.4;
    }
    case HASS_CPU_SILU_MUL_GRADIENT: {
      const auto &a = as<hass_cpu_silu_gradient_args>(arguments);
      return area(a.rows, a.columns) * 1.2;
    }
    case HASS_CPU_ROPE_GRADIENT: {
      const auto &a = as<hass_cpu_rope_args>(arguments);
      return area(a.rows, a.groups * a.size) * 0.3;
    }
    case HASS_CPU_SCATTER_ADD_ROWS: {
      const auto &a = as<hass_cpu_scatter_args>(arguments);
      return area(a.rows + a.count, a.columns) * 0.1;
    }
    case HASS_CPU_PAD_COLUMNS: {
      const auto &a = as<hass_cpu_pad_args>(arguments);
      return area(a.rows, a.y_columns) * 0.1;
    }
    case HASS_CPU_COPY_ROWS: {
      const auto &a = as<hass_cpu_copy_args>(arguments);
      return area(a.rows, a.columns) * 0.1;
    }
    case HASS_CPU_ALIGNED_ATTENTION:
    case HASS_CPU_ALIGNED_QUERIES:
    case HASS_CPU_ALIGNED_KEYS: {
      const auto &a = as<hass_cpu_aligned_args>(arguments);
      return area(a.rows, a.heads) * area(a.slots, a.size) * 0.1;
    }
    case HASS_CPU_DISTILLATION: {
      const auto &a = as<hass_cpu_distillation_args>(arguments);
      return area(a.rows, a.vocabulary) * (2 * static_cast<double>(a.columns) * product + 2);
    }
    case HASS_CPU_GRADIENT_FACTS: {
      const auto &a = as<hass_cpu_gradient_facts_args>(arguments);
      return area(a.rows, a.columns) * 0.4;
    }
    case HASS_CPU_ADAM_W: {
      const auto &a = as<hass_cpu_adam_args>(arguments);
      return area(a.rows, a.columns) * 1.5;
    }
    case HASS_CPU_SOFTMAX: {
      const auto &a = as<hass_cpu_softmax_args>(arguments);
      return area(a.rows, a.columns) * 1.0;
    }
    default: return 0;
  }
}

}  // namespace hass
