// Attention over a range of slots and a few near ones, and its gradients.
#pragma once

#include "ops.h"
#include "training_units.h"

namespace hass {
namespace {

// The slots of a row's context, in logical order; returns their number.
inline std::int64_t aligned_context(const hass_cpu_aligned_args &a, std::int64_t row, std::uint32_t *slots) {
  std::int64_t count = 0;
  for (std::uint32_t slot = a.begins[row]; slot < a.ends[row]; ++slot) slots[count++] = slot;
  for (std::uint32_t i = a.near_offsets[row]; i < a.near_offsets[row + 1]; ++i) slots[count++] = a.near[i];
  return count;
}

inline float dot(const float *a, const float *b, std::int64_t size) {
  Vec8 total = splat(0.0f);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    total = multiply_add(load_some(a + i, count), load_some(b + i, count), total);
  });
  return sum(total);
}

// y += factor * x
inline void add_scaled(float factor, const float *x, std::int64_t size, float *y) {
  const Vec8 wide = splat(factor);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    store_some(y + i, multiply_add(wide, load_some(x + i, count), load_some(y + i, count)), count);
  });
}

inline void run_aligned_attention(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  auto *weights = static_cast<float *>(scratch);
  auto *slots = reinterpret_cast<std::uint32_t *>(weights + round_up(a.max_context, 8) + 8);
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t count = aligned_context(a, row, slots);
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const float *q = a.q + row * width + head * a.size;
      const float *keys = a.keys + head / group * a.size, *values = a.values + head / group * a.size;
      float *y = a.y + row * width + head * a.size;
      for (std::int64_t i = 0; i < a.size; ++i) y[i] = 0.0f;
      a.shift[row * a.heads + head] = 0.0f;
      if (count == 0) continue;
      for (std::int64_t j = 0; j < count; ++j) weights[j] = dot(q, keys + slots[j] * kv_width, a.size) * a.scale;
      const float largest = row_maximum(weights, count);
      Vec8 totals = splat(0.0f);
      each_eight(count, [&](std::int64_t j, std::int64_t number) {
        const Vec8 terms = exponential(load_some(weights + j, number) - splat(largest));
        store_some(weights + j, terms, number);
        totals = totals + select(first_lanes(number), terms, splat(0.0f));
      });
      const float total = sum(totals);
      for (std::int64_t j = 0; j < count; ++j) add_scaled(weights[j], values + slots[j] * kv_width, a.size, y);
      for (std::int64_t i = 0; i < a.size; ++i) y[i] /= total;
      a.shift[row * a.heads + head] = largest + logarithm(total);
    }
  }
}

inline void run_aligned_queries(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  auto *weights = static_cast<float *>(scratch);
  float *slopes = weights + round_up(a.max_context, 8);
  auto *slots = reinterpret_cast<std::uint32_t *>(slopes + round_up(a.max_context, 8));
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t count = aligned_context(a, row, slots);
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const std::int64_t at = row * width + head * a.size;
      const float *keys = a.keys + head / group * a.size, *values = a.values + head / group * a.size;
      const float pull = dot(a.dy + at, a.y + at, a.size), shift = a.shift[row * a.heads + head];
      a.pulls[row * a.heads + head] = pull;
      for (std::int64_t j = 0; j < count; ++j) {
        weights[j] = dot(a.q + at, keys + slots[j] * kv_width, a.size) * a.scale - shift;
        slopes[j] = dot(a.dy + at, values + slots[j] * kv_width, a.size) - pull;
      }
      each_eight(count, [&](std::int64_t j, std::int64_t number) {
        const Vec8 weight = exponential(load_some(weights + j, number));
        store_some(slopes + j, weight * load_some(slopes + j, number) * splat(a.scale), number);
      });
      float *dq = a.dq + at;
      for (std::int64_t i = 0; i < a.size; ++i) dq[i] = 0.0f;
      for (std::int64_t j = 0; j < count; ++j) add_scaled(slopes[j], keys + slots[j] * kv_width, a.size, dq);
    }
  }
}

// A unit is a kv head's gradients of a few slots: every row that sees one of them is visited, rows ascending.
inline void run_aligned_keys(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t kv_head = unit % a.kv_heads, first = unit / a.kv_heads * aligned_slots;
    const std::int64_t last = first + aligned_slots < a.slots ? first + aligned_slots : a.slots;
    for (std::int64_t slot = first; slot < last; ++slot) {
      float *dkey = a.dkeys + slot * kv_width + kv_head * a.size, *dvalue = a.dvalues + slot * kv_width + kv_head * a.size;
      for (std::int64_t i = 0; i < a.size; ++i) dkey[i] = dvalue[i] = 0.0f;
    }
    for (std::int64_t row = 0; row < a.rows; ++row) {
      std::uint32_t slots[2 * aligned_slots];
      std::int64_t count = 0;
      const std::int64_t from = a.begins[row] > first ? a.begins[row] : first, to = a.ends[row] < last ? a.ends[row] : last;
      for (std::int64_t slot = from; slot < to; ++slot) slots[count++] = static_cast<std::uint32_t>(slot);
      for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const std::int64_t at = row * width + head * a.size;
        const float shift = a.shift[row * a.heads + head], pull = a.pulls[row * a.heads + head];
        const auto visit = [&](const std::uint32_t *list, std::int64_t number) {
          float weights[8] = {}, slopes[8] = {};
          for (std::int64_t j = 0; j < number; ++j) {
            const std::int64_t place = list[j] * kv_width + kv_head * a.size;
            weights[j] = dot(a.q + at, a.keys + place, a.size) * a.scale - shift;
            slopes[j] = dot(a.dy + at, a.values + place, a.size) - pull;
          }
          const Vec8 weight = exponential(load(weights));
          store(slopes, weight * load(slopes) * splat(a.scale));
          store(weights, weight);
          for (std::int64_t j = 0; j < number; ++j) {
            const std::int64_t place = list[j] * kv_width + kv_head * a.size;
            add_scaled(weights[j], a.dy + at, a.size, a.dvalues + place);
            add_scaled(slopes[j], a.q + at, a.size, a.dkeys + place);
          }
        };
        for (std::int64_t j = 0; j < count; j += 8) visit(slots + j, count - j < 8 ? count - j : 8);
        for (std::uint32_t i = a.near_offsets[row]; i < a.near_offsets[row + 1]; ++i) {
          if (a.near[i] >= first && a.near[i] < last) visit(a.near + i, 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hass
