// The linear stages: units of columns and rows, bias, residual and silu * mul; panels are computed elsewhere.
#pragma once

#include "layout.h"
#include "ops.h"
#include "units.h"

namespace hass {
namespace {

struct LinearUnit {
  std::int64_t row_begin, row_end, column_begin, column_end;
};

// Units of neighbouring numbers share their columns, so a thread that takes a few reads its weights once.
inline LinearUnit linear_unit(std::int64_t unit, std::int64_t rows, std::int64_t columns) {
  const std::int64_t row_blocks = (rows + linear_rows - 1) / linear_rows;
  LinearUnit result;
  result.row_begin = unit % row_blocks * linear_rows;
  result.row_end = result.row_begin + linear_rows < rows ? result.row_begin + linear_rows : rows;
  result.column_begin = unit / row_blocks * linear_columns;
  result.column_end = result.column_begin + linear_columns < columns ? result.column_begin + linear_columns : columns;
  return result;
}

// Columns [begin, end) of rows, with bias, into tile; returns where column `begin` is in the tile.
inline float *linear_columns_into(const hass_cpu_linear_args &a, const LinearUnit &unit, std::int64_t begin,
                                  std::int64_t end, float *tile) {
  const std::int64_t origin = begin / panel_width * panel_width;
  for (std::int64_t column = origin; column < end; column += panel_width) {
    const auto *panel =
        static_cast<const std::uint8_t *>(a.weight) + column / panel_width * panel_bytes(a.weight_dtype, a.in);
    float *target = tile + (column - origin);
    if (a.activation_block == 0) {
      float_panel_rows(a, panel, unit.row_begin, unit.row_end, target);
    } else if (a.activation_block == block_size) {
      quantized_panel_rows<1>(a, panel, unit.row_begin, unit.row_end, target);
    } else {
      quantized_panel_rows<2>(a, panel, unit.row_begin, unit.row_end, target);
    }
  }
  float *first = tile + (begin - origin);
  if (a.bias) {
    for (std::int64_t r = 0; r < unit.row_end - unit.row_begin; ++r) {
      for (std::int64_t i = 0; i < end - begin; ++i) first[r * tile_stride + i] += a.bias[begin + i];
    }
  }
  return first;
}

inline void run_linear(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_linear_args *>(arguments);
  alignas(64) float tile[linear_rows * tile_stride];
  for (std::int64_t index = begin; index < end; ++index) {
    const LinearUnit unit = linear_unit(index, a.rows, a.out);
    const std::int64_t columns = unit.column_end - unit.column_begin;
    const float *result = linear_columns_into(a, unit, unit.column_begin, unit.column_end, tile);
    for (std::int64_t r = unit.row_begin; r < unit.row_end; ++r, result += tile_stride) {
      float *y = a.y + r * a.y_stride + unit.column_begin;
      const float *residual = a.residual ? a.residual + r * a.residual_stride + unit.column_begin : nullptr;
      each_eight(columns, [&](std::int64_t i, std::int64_t count) {
        const Vec8 value = load(result + i);
        store_some(y + i, residual ? value + load_some(residual + i, count) : value, count);
      });
    }
  }
}

inline void run_linear_silu_mul(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_linear_args *>(arguments);
  const std::int64_t columns = a.out / 2;
  alignas(64) float gate_tile[linear_rows * tile_stride];
  alignas(64) float up_tile[linear_rows * tile_stride];
  for (std::int64_t index = begin; index < end; ++index) {
    const LinearUnit unit = linear_unit(index, a.rows, columns);
    const float *gate = linear_columns_into(a, unit, unit.column_begin, unit.column_end, gate_tile);
    const float *up = linear_columns_into(a, unit, columns + unit.column_begin, columns + unit.column_end, up_tile);
    for (std::int64_t r = unit.row_begin; r < unit.row_end; ++r, gate += tile_stride, up += tile_stride) {
      float *y = a.y + r * a.y_stride + unit.column_begin;
      each_eight(unit.column_end - unit.column_begin, [&](std::int64_t i, std::int64_t count) {
        store_some(y + i, silu(load_some(gate + i, count)) * load_some(up + i, count), count);
      });
    }
  }
}

}  // namespace
}  // namespace hass
