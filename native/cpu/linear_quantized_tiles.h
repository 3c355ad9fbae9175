// Linear with int8 activations in SIMD: eight outputs in the lanes of a vector, a few rows per load of their weights.
//
// Included after the header of an instruction set, which sums integers:
//
//   most_tile_rows    4 or 8: rows whose sums fit into the registers
//   nibble_products   of one part of a Q4 block: sum of q . a of eight outputs, for each row
//   byte_products     of one part of a Q8 block, likewise
//
// Those sums are exact, so it is of no consequence for the bits how they are made.
#pragma once

#include "quantize.h"
#include "units.h"

namespace hass {
namespace {

// What will be read some blocks later. An address past the weights does no harm.
template <std::int64_t bytes>
inline void prefetch(const std::uint8_t *current) {
  constexpr std::int64_t distance = 1280;
  for (std::int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(reinterpret_cast<const void *>(reinterpret_cast<std::uintptr_t>(current) + distance + i));
  }
}

template <int rows, int parts>
inline void q4_tile(const std::uint8_t *panel, std::int64_t num_blocks, const QuantizedBlock<parts> *const *first,
                    float *tile) {
  const QuantizedBlock<parts> *blocks[rows];
  Vec8 totals[rows];
  for (int r = 0; r < rows; ++r) {
    blocks[r] = first[r];
    totals[r] = splat(0.0f);
  }
  for (std::int64_t b = 0; b < num_blocks; ++b, panel += q4_block_bytes) {
    prefetch<q4_block_bytes>(panel);
    const Vec8 scale = load_half(reinterpret_cast<const std::uint16_t *>(panel));
    for (int p = 0; p < parts; ++p) {
      Vec8 products[rows];
      nibble_products<rows>(panel + q4_nibbles_offset, p, blocks, products);
      for (int r = 0; r < rows; ++r) totals[r] = totals[r] + (scale * splat(blocks[r]->scales[p])) * products[r];
    }
    const Vec8 minimum = load_half(reinterpret_cast<const std::uint16_t *>(panel + q4_minima_offset));
    for (int r = 0; r < rows; ++r) {
      totals[r] = totals[r] + minimum * splat(blocks[r]->sum);
      ++blocks[r];
    }
  }
  for (int r = 0; r < rows; ++r) store(tile + r * tile_stride, totals[r]);
}

template <int rows, int parts>
inline void q8_tile(const std::uint8_t *panel, std::int64_t num_blocks, const QuantizedBlock<parts> *const *first,
                    float *tile) {
  const QuantizedBlock<parts> *blocks[rows];
  Vec8 totals[rows];
  for (int r = 0; r < rows; ++r) {
    blocks[r] = first[r];
    totals[r] = splat(0.0f);
  }
  const std::uint8_t *high_plane = panel + q8_high_offset(num_blocks * block_size);
  const std::uint8_t *low_plane = panel + q8_low_offset(num_blocks * block_size);
  for (std::int64_t b = 0; b < num_blocks; ++b) {
    // Past its end, the high plane is followed by the low one, and that by the next panel.
    prefetch<nibble_plane_bytes>(high_plane + nibble_plane_bytes * b);
    prefetch<nibble_plane_bytes>(low_plane + nibble_plane_bytes * b);
    const Vec8 scale = load_half(reinterpret_cast<const std::uint16_t *>(panel + 16 * b));
    for (int p = 0; p < parts; ++p) {
      Vec8 products[rows];
      byte_products<rows>(high_plane + nibble_plane_bytes * b, low_plane + nibble_plane_bytes * b, p, blocks, products);
      for (int r = 0; r < rows; ++r) totals[r] = totals[r] + (scale * splat(blocks[r]->scales[p])) * products[r];
    }
    for (int r = 0; r < rows; ++r) ++blocks[r];
  }
  for (int r = 0; r < rows; ++r) store(tile + r * tile_stride, totals[r]);
}

template <int parts>
inline void quantized_panel(const hass_cpu_linear_args &a, const std::uint8_t *panel, std::int64_t row_begin,
                            std::int64_t row_end, float *tile) {
  std::int64_t r = row_begin;
  const auto step = [&](auto count) {
    constexpr int rows = decltype(count)::value;
    const QuantizedBlock<parts> *blocks[rows];
    for (int i = 0; i < rows; ++i) blocks[i] = quantized_row<parts>(a, r + i);
    float *target = tile + (r - row_begin) * tile_stride;
    if (a.weight_dtype == HASS_Q4) {
      q4_tile<rows>(panel, a.in / block_size, blocks, target);
    } else {
      q8_tile<rows>(panel, a.in / block_size, blocks, target);
    }
    r += rows;
  };
  if constexpr (most_tile_rows == 8) {
    while (r + 8 <= row_end) step(RowCount<8>());
  }
  while (r + 4 <= row_end) step(RowCount<4>());
  if (r + 3 == row_end) step(RowCount<3>());
  if (r + 2 == row_end) step(RowCount<2>());
  if (r + 1 == row_end) step(RowCount<1>());
}

// Tile: the panel's outputs of each row, [rows][tile_stride].
inline void quantized_panel_rows(const hass_cpu_linear_args &a, const void *panel, std::int64_t row_begin,
                                 std::int64_t row_end, float *tile) {
  const auto *bytes = static_cast<const std::uint8_t *>(panel);
  if (a.activation_block == 32) {
    quantized_panel<1>(a, bytes, row_begin, row_end, tile);
  } else {
    quantized_panel<2>(a, bytes, row_begin, row_end, tile);
  }
}

}  // namespace
}  // namespace hass
