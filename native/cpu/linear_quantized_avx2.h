// Linear with int8 activations in AVX2: eight outputs in the lanes of a vector, a few rows per load of their weights.
//
// A product of a nibble (0 ... 15) and an integer (-127 ... 127) is at most 1905 in magnitude, so vpmaddubsw's sums of
// two never saturate and eight of those sums fit into 16 bits: a block of 32 needs one widening.
#pragma once

#include "quantize.h"
#include "units.h"

namespace hass {
namespace {

// Four integers of an activation row in every lane.
inline __m256i four_integers(const std::int8_t *source) {
  std::int32_t four;
  std::memcpy(&four, source, sizeof four);
  return _mm256_set1_epi32(four);
}

inline __m256i load_bytes(const std::uint8_t *source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source));
}

// What will be read some blocks later. An address past the weights does no harm.
template <std::int64_t bytes>
inline void prefetch(const std::uint8_t *current) {
  constexpr std::int64_t distance = 1280;
  for (std::int64_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char *>(reinterpret_cast<std::uintptr_t>(current) + distance + i), _MM_HINT_T0);
  }
}

// Sums of 16 bits -> the eight outputs' sums, each times `factor`.
inline __m256i widen_sums(__m256i sums, int factor) {
  return _mm256_madd_epi16(sums, _mm256_set1_epi16(static_cast<short>(factor)));
}

inline Vec8 to_float(__m256i integers) { return {_mm256_cvtepi32_ps(integers)}; }

// Adds here and now: compilers that reassociate integer sums keep all products alive and spill them.
inline void add_words(__m256i &sum, __m256i products) {
  sum = _mm256_add_epi16(sum, products);
  asm("" : "+x"(sum));
}

inline __m256i low_nibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i bytes) { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }

// 16-bit sums of the products of one part of a block, vectors [begin, end) of a nibble plane, with each row's integers.
template <int rows, int parts>
inline void nibble_products(const std::uint8_t *plane, int begin, int end, const QuantizedBlock<parts> *const *blocks,
                            __m256i *sums) {
#pragma GCC unroll 4
  for (int v = begin; v < end; ++v) {
    const __m256i bytes = load_bytes(plane + 32 * v);
    const __m256i low = low_nibbles(bytes), high = high_nibbles(bytes);
    for (int r = 0; r < rows; ++r) {
      const std::int8_t *integers = blocks[r]->integers + 8 * v;
      const __m256i products = _mm256_maddubs_epi16(low, four_integers(integers));
      if (v == begin) {
        sums[r] = products;
      } else {
        add_words(sums[r], products);
      }
      add_words(sums[r], _mm256_maddubs_epi16(high, four_integers(integers + 4)));
    }
  }
}

// The same of two planes at once: each row's integers are loaded for both.
template <int rows, int parts>
inline void byte_products(const std::uint8_t *high_plane, const std::uint8_t *low_plane, int begin, int end,
                          const QuantizedBlock<parts> *const *blocks, __m256i *high_sums, __m256i *low_sums) {
#pragma GCC unroll 4
  for (int v = begin; v < end; ++v) {
    const __m256i high_bytes = load_bytes(high_plane + 32 * v), low_bytes = load_bytes(low_plane + 32 * v);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i high = half == 0 ? low_nibbles(high_bytes) : high_nibbles(high_bytes);
      const __m256i low = half == 0 ? low_nibbles(low_bytes) : high_nibbles(low_bytes);
      for (int r = 0; r < rows; ++r) {
        const __m256i integers = four_integers(blocks[r]->integers + 8 * v + 4 * half);
        if (v == begin && half == 0) {
          high_sums[r] = _mm256_maddubs_epi16(high, integers);
          low_sums[r] = _mm256_maddubs_epi16(low, integers);
        } else {
          add_words(high_sums[r], _mm256_maddubs_epi16(high, integers));
          add_words(low_sums[r], _mm256_maddubs_epi16(low, integers));
        }
      }
    }
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
      __m256i sums[rows];
      nibble_products<rows>(panel + q4_nibbles_offset, 4 / parts * p, 4 / parts * (p + 1), blocks, sums);
      for (int r = 0; r < rows; ++r) {
        totals[r] = totals[r] + (scale * splat(blocks[r]->scales[p])) * to_float(widen_sums(sums[r], 1));
      }
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
      __m256i high[rows], low[rows];
      byte_products<rows>(high_plane + nibble_plane_bytes * b, low_plane + nibble_plane_bytes * b, 4 / parts * p,
                          4 / parts * (p + 1), blocks, high, low);
      for (int r = 0; r < rows; ++r) {
        const __m256i sum = _mm256_add_epi32(widen_sums(high[r], 16), widen_sums(low[r], 1));
        const __m256i products = _mm256_add_epi32(sum, _mm256_set1_epi32(blocks[r]->offsets[p]));
        totals[r] = totals[r] + (scale * splat(blocks[r]->scales[p])) * to_float(products);
      }
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
