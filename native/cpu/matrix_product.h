// Products of plain float32 matrices: the inner index ascends in every element, fused where the instruction set has it,
// whatever the rows, blocks and threads are.
#pragma once

#include <cstring>

#include "ops.h"
#include "training_units.h"

namespace hass {
namespace {

inline void run_panels(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_panels_args *>(arguments);
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t first = p * product_panel;
    const std::int64_t width = a.columns - first < product_panel ? a.columns - first : product_panel;
    float *panel = a.panels + first * a.inner;
    const float *source = a.b + first * a.column_stride;
    if (width < product_panel) std::memset(panel, 0, static_cast<std::size_t>(a.inner * product_panel) * sizeof(float));
    if (a.column_stride == 1) {
      for (std::int64_t i = 0; i < a.inner; ++i) {
        for (std::int64_t c = 0; c < width; ++c) panel[i * product_panel + c] = source[i * a.inner_stride + c];
      }
      continue;
    }
    // A few inner indices at a time, so that what is written stays near.
    for (std::int64_t i = 0; i < a.inner; i += 64) {
      const std::int64_t last = i + 64 < a.inner ? i + 64 : a.inner;
      for (std::int64_t c = 0; c < width; ++c) {
        const float *column = source + c * a.column_stride;
        for (std::int64_t j = i; j < last; ++j) panel[j * product_panel + c] = column[j * a.inner_stride];
      }
    }
  }
}

struct Rows {
  const float *data;
  std::int64_t row_stride, inner_stride;
};

// Inner indices [begin, end) of `count` rows as tiles [tile][inner][6], zeros behind the last row.
inline void pack_tiles(const Rows &rows, std::int64_t count, std::int64_t begin, std::int64_t end, float *tiles) {
  const std::int64_t depth = end - begin;
  for (std::int64_t first = 0; first < count; first += product_tile_rows, tiles += depth * product_tile_rows) {
    const std::int64_t height = count - first < product_tile_rows ? count - first : product_tile_rows;
    const float *source = rows.data + first * rows.row_stride + begin * rows.inner_stride;
    if (height < product_tile_rows) {
      std::memset(tiles, 0, static_cast<std::size_t>(depth * product_tile_rows) * sizeof(float));
    }
    if (rows.row_stride == 1 && height == product_tile_rows) {
      for (std::int64_t i = 0; i < depth; ++i) {
        for (std::int64_t r = 0; r < product_tile_rows; ++r) {
          tiles[i * product_tile_rows + r] = source[i * rows.inner_stride + r];
        }
      }
      continue;
    }
    for (std::int64_t r = 0; r < height; ++r) {
      const float *row = source + r * rows.row_stride;
      for (std::int64_t i = 0; i < depth; ++i) tiles[i * product_tile_rows + r] = row[i * rows.inner_stride];
    }
  }
}

// Six rows and sixteen columns on top of what c holds, or of zero.
inline void product_tile(const float *tile, const float *panel, std::int64_t depth, bool is_added, float *c,
                         std::int64_t stride) {
  Vec8 totals[product_tile_rows][2];
  for (int r = 0; r < product_tile_rows; ++r) {
    for (int v = 0; v < 2; ++v) totals[r][v] = is_added ? load(c + r * stride + 8 * v) : splat(0.0f);
  }
  for (std::int64_t i = 0; i < depth; ++i, tile += product_tile_rows, panel += product_panel) {
    const Vec8 left = load(panel), right = load(panel + 8);
    for (int r = 0; r < product_tile_rows; ++r) {
      const Vec8 value = splat(tile[r]);
      totals[r][0] = multiply_add(value, left, totals[r][0]);
      totals[r][1] = multiply_add(value, right, totals[r][1]);
    }
  }
  for (int r = 0; r < product_tile_rows; ++r) {
    for (int v = 0; v < 2; ++v) store(c + r * stride + 8 * v, totals[r][v]);
  }
}

// The same of a tile that is cut off at the matrix's end.
inline void product_edge(const float *tile, const float *panel, std::int64_t depth, bool is_added, std::int64_t rows,
                         std::int64_t columns, float *c, std::int64_t stride) {
  float whole[product_tile_rows * product_panel] = {};
  for (std::int64_t r = 0; is_added && r < rows; ++r) {
    for (std::int64_t i = 0; i < columns; ++i) whole[r * product_panel + i] = c[r * stride + i];
  }
  product_tile(tile, panel, depth, is_added, whole, product_panel);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < columns; ++i) c[r * stride + i] = whole[r * product_panel + i];
  }
}

// Panels of all inner indices of a matrix, and the first of those that a product takes.
struct Panels {
  const float *data;
  std::int64_t inner, begin;
};

// c [count, columns] of `count` rows, `inner` indices and the columns from `first` on, a multiple of sixteen.
// tiles: scratch memory, product_depth for each of the rows, rounded up to whole tiles.
inline void product_block(const Rows &rows, std::int64_t count, std::int64_t inner, const Panels &panels,
                          std::int64_t first, std::int64_t columns, bool is_added, float *c, std::int64_t stride,
                          float *tiles) {
  for (std::int64_t begin = 0; begin < inner; begin += product_depth) {
    const std::int64_t end = begin + product_depth < inner ? begin + product_depth : inner, depth = end - begin;
    const bool continues = is_added || begin > 0;
    pack_tiles(rows, count, begin, end, tiles);
    for (std::int64_t column = 0; column < columns; column += product_panel) {
      const float *panel = panels.data + (first + column) * panels.inner + (panels.begin + begin) * product_panel;
      const std::int64_t width = columns - column < product_panel ? columns - column : product_panel;
      for (std::int64_t row = 0; row < count; row += product_tile_rows) {
        const std::int64_t height = count - row < product_tile_rows ? count - row : product_tile_rows;
        const float *tile = tiles + row * depth;
        float *target = c + row * stride + column;
        if (width == product_panel && height == product_tile_rows) {
          product_tile(tile, panel, depth, continues, target, stride);
        } else {
          product_edge(tile, panel, depth, continues, height, width, target, stride);
        }
      }
    }
  }
}

inline void run_product(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_product_args *>(arguments);
  const std::int64_t row_blocks = (a.rows + product_rows - 1) / product_rows;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    // Neighbours share their columns.
    const std::int64_t row = unit % row_blocks * product_rows, column = unit / row_blocks * product_columns;
    const std::int64_t height = a.rows - row < product_rows ? a.rows - row : product_rows;
    const std::int64_t width = a.columns - column < product_columns ? a.columns - column : product_columns;
    float *c = a.c + row * a.c_stride + column;
    const Rows rows = {a.a + row * a.a_row_stride, a.a_row_stride, a.a_inner_stride};
    if (a.inner == 0 && !a.is_added) {
      for (std::int64_t r = 0; r < height; ++r) {
        for (std::int64_t i = 0; i < width; ++i) c[r * a.c_stride + i] = 0.0f;
      }
    }
    product_block(rows, height, a.inner, {a.panels, a.inner, 0}, column, width, a.is_added != 0, c, a.c_stride,
                  static_cast<float *>(scratch));
    if (!a.bias && !a.residual) continue;
    for (std::int64_t r = 0; r < height; ++r) {
      float *y = c + r * a.c_stride;
      const float *residual = a.residual ? a.residual + (row + r) * a.c_stride + column : nullptr;
      for (std::int64_t i = 0; a.bias && i < width; ++i) y[i] += a.bias[column + i];
      for (std::int64_t i = 0; residual && i < width; ++i) y[i] += residual[i];
    }
  }
}

}  // namespace
}  // namespace hass
