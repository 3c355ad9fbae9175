// Linear with float32 activations: one multiply-add per input, inputs ascending, whatever the rows and tiles are.
#pragma once

#include "layout.h"
#include "ops.h"
#include "packed_weight.h"
#include "units.h"

namespace hass {
namespace {

constexpr std::int64_t widened_inputs = 256;

struct FloatWeights {
  const float *row;
  Vec8 at(std::int64_t index) const { return load(row + index); }
};
struct HalfWeights {
  const std::uint16_t *row;
  Vec8 at(std::int64_t index) const { return load_half(row + index); }
};
struct BfloatWeights {
  const std::uint16_t *row;
  Vec8 at(std::int64_t index) const { return load_bfloat(row + index); }
};

// Inputs [begin, end) of `rows` rows and sixteen outputs, on top of what the tile holds. weights begin at input `begin`.
template <int rows, class Weights>
inline void float_tile(const float *x, std::int64_t x_stride, Weights weights, std::int64_t begin, std::int64_t end,
                       float *tile) {
  Vec8 totals[rows][2];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < 2; ++v) totals[r][v] = load(tile + r * tile_stride + 8 * v);
  }
  for (std::int64_t k = begin; k < end; ++k) {
    const Vec8 left = weights.at((k - begin) * panel_width), right = weights.at((k - begin) * panel_width + 8);
    for (int r = 0; r < rows; ++r) {
      const Vec8 value = splat(x[r * x_stride + k]);
      totals[r][0] = multiply_add(value, left, totals[r][0]);
      totals[r][1] = multiply_add(value, right, totals[r][1]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < 2; ++v) store(tile + r * tile_stride + 8 * v, totals[r][v]);
  }
}

template <class Weights>
inline void float_rows(const hass_cpu_linear_args &a, Weights weights, std::int64_t row_begin, std::int64_t row_end,
                       std::int64_t begin, std::int64_t end, float *tile) {
  std::int64_t r = row_begin;
  const auto step = [&](auto rows) {
    constexpr int count = decltype(rows)::value;
    float_tile<count>(a.x + r * a.x_stride, a.x_stride, weights, begin, end, tile + (r - row_begin) * tile_stride);
    r += count;
  };
  // Six rows fill the registers; of seven and eight, four come first, since one or two would wait for their sums.
  while (row_end - r > 8 || row_end - r == 6) step(RowCount<6>());
  if (row_end - r >= 7) step(RowCount<4>());
  switch (row_end - r) {
    case 5: return step(RowCount<5>());
    case 4: return step(RowCount<4>());
    case 3: return step(RowCount<3>());
    case 2: return step(RowCount<2>());
    case 1: return step(RowCount<1>());
    default: return;
  }
}

// The scales and minima of outputs o ... o + 7: packed_scale and packed_minimum.
inline Vec8 load_scales(const PackedBlock &block, std::int64_t o) {
  const Vec8 scales = load_half(block.scales + o);
  return block.factors ? scales * load_signed_bytes(block.factors + 4 * o, 0) : scales;
}
inline Vec8 load_minima(const PackedBlock &block, std::int64_t o) {
  const Vec8 minima = load_half(block.minima + o);
  return block.factors ? minima * load_signed_bytes(block.factors + 4 * o, 8) : minima;
}

// Inputs [begin, end) of a packed panel, whole blocks -> [end - begin][16].
inline void widen_panel(std::int32_t dtype, const void *panel, std::int64_t begin, std::int64_t end, float *weights) {
  for (std::int64_t b = begin / block_size; b < end / block_size; ++b) {
    const PackedBlock block = packed_block(dtype, panel, b);
    for (std::int64_t element = 0; element < block_size; ++element, weights += panel_width) {
      const std::int64_t word = element & ~std::int64_t{3};
      const int shift = static_cast<int>(8 * (element & 3));
      for (std::int64_t o = 0; o < panel_width; o += 8) {
        const Vec8 integers = block.minima ? load_nibbles(block.integers + q4_byte(o, word), shift + q4_shift(element))
                                           : load_signed_bytes(block.integers + q8_byte(o, word), shift);
        const Vec8 products = load_scales(block, o) * integers;
        store(weights + o, block.minima ? products + load_minima(block, o) : products);
      }
    }
  }
}

inline void clear_tile(float *tile, std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < panel_width; ++i) tile[r * tile_stride + i] = 0.0f;
  }
}

// Of F8: a block's codes are summed before their scale comes, so that no weight is rounded.
inline void f8_panel_rows(const hass_cpu_linear_args &a, const std::uint8_t *panel, std::int64_t row_begin,
                          std::int64_t row_end, float *tile) {
  alignas(64) float codes[f8_inputs * panel_width], sums[linear_rows * tile_stride];
  alignas(64) std::uint16_t halves[f8_inputs * panel_width];
  const std::int64_t rows = row_end - row_begin;
  clear_tile(tile, rows);
  for (std::int64_t k = 0; k < a.in; k += f8_inputs, panel += f8_bytes) {
    const auto *scales = reinterpret_cast<const float *>(panel);
    for (std::int64_t i = 0; i < f8_inputs * panel_width; ++i) halves[i] = half_of_f8(panel[f8_codes_offset + i]);
    for (std::int64_t i = 0; i < f8_inputs * panel_width; i += 8) store(codes + i, load_half(halves + i) * splat(256.0f));
    clear_tile(sums, rows);
    float_rows(a, FloatWeights{codes}, row_begin, row_end, k, k + f8_inputs, sums);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < panel_width; o += 8) {
        float *total = tile + r * tile_stride + o;
        store(total, load(total) + load(scales + o) * load(sums + r * tile_stride + o));
      }
    }
  }
}

// Tile: the panel's outputs of each row, [rows][tile_stride].
inline void float_panel_rows(const hass_cpu_linear_args &a, const void *panel, std::int64_t row_begin,
                             std::int64_t row_end, float *tile) {
  if (a.weight_dtype == HASS_F8) {
    return f8_panel_rows(a, static_cast<const std::uint8_t *>(panel), row_begin, row_end, tile);
  }
  clear_tile(tile, row_end - row_begin);
  const auto *halves = static_cast<const std::uint16_t *>(panel);
  alignas(64) float widened[widened_inputs * panel_width];
  // Weights of 256 inputs stay in the first-level cache while all rows pass.
  for (std::int64_t k = 0; k < a.in; k += widened_inputs) {
    const std::int64_t end = k + widened_inputs < a.in ? k + widened_inputs : a.in;
    switch (a.weight_dtype) {
      case HASS_F32:
        float_rows(a, FloatWeights{static_cast<const float *>(panel) + k * panel_width}, row_begin, row_end, k, end,
                   tile);
        break;
      case HASS_F16: float_rows(a, HalfWeights{halves + k * panel_width}, row_begin, row_end, k, end, tile); break;
      case HASS_BF16: float_rows(a, BfloatWeights{halves + k * panel_width}, row_begin, row_end, k, end, tile); break;
      default:
        widen_panel(a.weight_dtype, panel, k, end, widened);
        float_rows(a, FloatWeights{widened}, row_begin, row_end, k, end, tile);
    }
  }
}

}  // namespace
}  // namespace hass
