// Activations -> int8 with a scale per block; a unit is a row.
#pragma once

#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

// Blocks of smaller numbers become zeros.
constexpr float least_maximum = 0x1p-100f;

// One part, whatever is in it: its integers and scale; returns the sum of the integers.
template <int size>
inline float quantize_part(const float *x, std::int8_t *integers, float *scale) {
  Vec8 largest = splat(0.0f);
  bool is_finite = true;
  for (int i = 0; i < size; i += 8) {
    const Vec8 magnitude = absolute(load(x + i));
    largest = larger(largest, magnitude);
    is_finite = is_finite && !any(is_nan(magnitude));
  }
  float lanes[8], maximum = 0.0f;
  store(lanes, largest);
  for (const float lane : lanes) maximum = lane > maximum ? lane : maximum;
  is_finite = is_finite && maximum < infinity;
  if (!is_finite || maximum < least_maximum) {
    for (int i = 0; i < size; i += 16) store_int8(integers + i, splat(0.0f), splat(0.0f));
    *scale = is_finite ? 0.0f : __builtin_nanf("");
    return 0.0f;
  }
  const float inverse = 127.0f / maximum;
  Vec8 total = splat(0.0f);
  for (int i = 0; i < size; i += 16) {
    const Vec8 left = round_to_even(load(x + i) * splat(inverse));
    const Vec8 right = round_to_even(load(x + i + 8) * splat(inverse));
    store_int8(integers + i, left, right);
    total = total + left + right;
  }
  *scale = maximum / 127.0f;
  return sum(total);
}

// Eight parts, or the `count` that are left: what is one number of each is computed in a lane of its own.
struct QuantizedParts {
  float scales[8], totals[8];
};

// false: there is a part among them that quantize_part has to see, and all may be wrong.
template <int parts>
inline bool quantize_parts(const float *x, int count, QuantizedBlock<parts> *blocks, QuantizedParts &result) {
  constexpr int size = block_size / parts;
  Vec8 vectors[8], folds[4];
  for (int p = 0; p < 8; ++p) {
    const float *part = x + (p < count ? p : count - 1) * size;
    vectors[p] = absolute(load(part));
    for (int i = 8; i < size; i += 8) vectors[p] = larger(vectors[p], absolute(load(part + i)));
  }
  for (int p = 0; p < 4; ++p) folds[p] = fold(vectors[p], vectors[p + 4], larger_lanes);
  const Vec8 maxima = lanes_of_folds(folds, larger_lanes);
  if (any(greater(splat(least_maximum), maxima)) || any(equal(maxima, splat(infinity)))) return false;
  float inverses[8];
  store(inverses, splat(127.0f) / maxima);
  store(result.scales, maxima / splat(127.0f));
  for (int p = 0; p < 8; ++p) {
    vectors[p] = splat(0.0f);
    if (p >= count) continue;
    for (int i = 0; i < size; i += 16) {
      const Vec8 left = round_to_even(load(x + p * size + i) * splat(inverses[p]));
      const Vec8 right = round_to_even(load(x + p * size + i + 8) * splat(inverses[p]));
      store_int8(blocks[p / parts].integers + p % parts * size + i, left, right);
      vectors[p] = vectors[p] + left + right;
    }
  }
  for (int p = 0; p < 4; ++p) folds[p] = fold(vectors[p], vectors[p + 4], add_lanes);
  const Vec8 totals = lanes_of_folds(folds, add_lanes);
  store(result.totals, totals);
  // A maximum does not show a NaN, a sum does.
  return !any(is_nan(totals));
}

template <int parts>
inline void quantize_row(const float *x, std::int64_t in, QuantizedBlock<parts> *row) {
  constexpr int size = block_size / parts;
  for (std::int64_t begin = 0; begin < in; begin += 8 * size) {
    const int count = in - begin < 8 * size ? static_cast<int>((in - begin) / size) : 8;
    QuantizedBlock<parts> *blocks = row + begin / block_size;
    QuantizedParts result;
    if (!quantize_parts(x + begin, count, blocks, result)) {
      for (int p = 0; p < count; ++p) {
        std::int8_t *integers = blocks[p / parts].integers + p % parts * size;
        result.totals[p] = quantize_part<size>(x + begin + p * size, integers, &result.scales[p]);
      }
    }
    for (int p = 0; p < count; ++p) {
      QuantizedBlock<parts> &block = blocks[p / parts];
      const float scale = result.scales[p], total = result.totals[p];
      block.scales[p % parts] = scale;
      block.offsets[p % parts] = -128 * static_cast<std::int32_t>(total);
      block.sum = p % parts == 0 ? scale * total : block.sum + scale * total;
    }
  }
}

inline void run_quantize(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_quantize_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    void *row = static_cast<char *>(a.quantized) + r * quantized_row_bytes(a.in, a.block);
    if (a.block == 32) {
      quantize_row(a.x + r * a.x_stride, a.in, static_cast<QuantizedBlock<1> *>(row));
    } else {
      quantize_row(a.x + r * a.x_stride, a.in, static_cast<QuantizedBlock<2> *>(row));
    }
  }
}

template <int parts>
inline const QuantizedBlock<parts> *quantized_row(const hass_cpu_linear_args &a, std::int64_t index) {
  const char *row = static_cast<const char *>(a.quantized) + index * quantized_row_bytes(a.in, a.activation_block);
  return reinterpret_cast<const QuantizedBlock<parts> *>(row);
}

}  // namespace
}  // namespace hass
