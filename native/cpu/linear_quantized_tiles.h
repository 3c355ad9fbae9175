// Linear with int8 activations in SIMD: the sixteen outputs of a panel in the lanes of two vectors, a few rows per load
// of their weights.
//
// Included after the header of an instruction set, which sums integers:
//
//   nibble_products   of one part of a Q4 or Q4K block: sum of q . a of sixteen outputs, for each row
//   byte_products     of one part of a Q8 block, likewise
//
// Those sums are exact, so it is of no consequence for the bits how they are made.
#pragma once

#include "linear_float.h"
#include "quantize.h"
#include "units.h"

namespace hass {
namespace {

// What will be read some blocks later. An address past the weights does no harm.
template <std::int64_t bytes>
inline void prefetch(const std::uint8_t *current) {
  constexpr std::int64_t distance = 2560;
  for (std::int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(reinterpret_cast<const void *>(reinterpret_cast<std::uintptr_t>(current) + distance + i));
  }
}

template <std::int32_t dtype, int rows, int parts>
inline void quantized_tile(const std::uint8_t *panel, std::int64_t num_blocks,
                           const QuantizedBlock<parts> *const *first, float *tile) {
  constexpr bool has_minima = dtype != HASS_Q8;
  constexpr std::int64_t bytes = dtype == HASS_Q4   ? q4_block_bytes
                                 : dtype == HASS_Q8 ? q8_block_bytes
                                                    : q4k_bytes * block_size / q4k_inputs;
  const QuantizedBlock<parts> *blocks[rows];
  alignas(64) float totals[rows][panel_width] = {};
  for (int r = 0; r < rows; ++r) blocks[r] = first[r];
  for (std::int64_t b = 0; b < num_blocks; ++b) {
    prefetch<bytes>(panel + b * bytes);
    const PackedBlock block = packed_block(dtype, panel, b);
    for (int p = 0; p < parts; ++p) {
      Vec8 products[rows][2];
      if constexpr (has_minima) {
        nibble_products<rows>(block.integers, p, blocks, products);
      } else {
        byte_products<rows>(block.integers, p, blocks, products);
      }
      for (int half = 0; half < 2; ++half) {
        const Vec8 scale = load_scales(block, 8 * half);
        for (int r = 0; r < rows; ++r) {
          float *total = totals[r] + 8 * half;
          store(total, load(total) + (scale * splat(blocks[r]->scales[p])) * products[r][half]);
        }
      }
    }
    if constexpr (has_minima) {
      for (int half = 0; half < 2; ++half) {
        const Vec8 minimum = load_minima(block, 8 * half);
        for (int r = 0; r < rows; ++r) {
          float *total = totals[r] + 8 * half;
          store(total, load(total) + minimum * splat(blocks[r]->sum));
        }
      }
    }
    for (int r = 0; r < rows; ++r) ++blocks[r];
  }
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) store(tile + r * tile_stride + 8 * half, load(totals[r] + 8 * half));
  }
}

// Tile: the panel's outputs of each row, [rows][tile_stride].
template <int parts>
inline void quantized_panel_rows(const hass_cpu_linear_args &a, const std::uint8_t *panel, std::int64_t row_begin,
                                 std::int64_t row_end, float *tile) {
  std::int64_t r = row_begin;
  const auto step = [&](auto count) {
    constexpr int rows = decltype(count)::value;
    const QuantizedBlock<parts> *blocks[rows];
    for (int i = 0; i < rows; ++i) blocks[i] = quantized_row<parts>(a, r + i);
    float *target = tile + (r - row_begin) * tile_stride;
    if (a.weight_dtype == HASS_Q4) {
      quantized_tile<HASS_Q4, rows>(panel, a.in / block_size, blocks, target);
    } else if (a.weight_dtype == HASS_Q4K) {
      quantized_tile<HASS_Q4K, rows>(panel, a.in / block_size, blocks, target);
    } else {
      quantized_tile<HASS_Q8, rows>(panel, a.in / block_size, blocks, target);
    }
    r += rows;
  };
  while (row_end - r > 8) step(RowCount<8>());
  switch (row_end - r) {
    case 8: return step(RowCount<8>());
    case 7: return step(RowCount<7>());
    case 6: return step(RowCount<6>());
    case 5: return step(RowCount<5>());
    case 4: return step(RowCount<4>());
    case 3: return step(RowCount<3>());
    case 2: return step(RowCount<2>());
    case 1: return step(RowCount<1>());
    default: return;
  }
}

}  // namespace
}  // namespace hass
