// Arg max, top-k, log-softmax; a unit is a row.
#pragma once

#include "ops.h"

namespace hass {
namespace {

inline float row_maximum(const float *x, std::int64_t size) {
  Vec8 best[4] = {splat(-infinity), splat(-infinity), splat(-infinity), splat(-infinity)};
  std::int64_t i = 0;
  for (; i + 32 <= size; i += 32) {
    for (int j = 0; j < 4; ++j) best[j] = larger(best[j], load(x + i + 8 * j));
  }
  float lanes[8];
  store(lanes, larger(larger(best[0], best[1]), larger(best[2], best[3])));
  float result = -infinity;
  for (const float lane : lanes) result = lane > result ? lane : result;
  for (; i < size; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

inline std::uint32_t row_arg_max(const float *x, std::int64_t size) {
  const float best = row_maximum(x, size);
  std::int64_t i = 0;
  if (!(best > -infinity)) return 0;
  while (i + 8 <= size && !any(equal(load(x + i), splat(best)))) i += 8;
  while (!(x[i] == best)) ++i;
  return static_cast<std::uint32_t>(i);
}

inline void run_arg_max(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rows_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) a.token[r] = row_arg_max(a.x + r * a.x_stride, a.columns);
}

// A heap of the k best, the worst at its root, in the output itself: x is better than y if it is larger, or has the
// lower id. Ids arrive rising, so an equal never replaces.
struct TopHeap {
  float *values;
  std::uint32_t *ids;

  bool is_worse(std::int64_t i, std::int64_t j) const {
    return values[i] < values[j] || (values[i] == values[j] && ids[i] > ids[j]);
  }
  void swap(std::int64_t i, std::int64_t j) {
    const float value = values[i];
    const std::uint32_t id = ids[i];
    values[i] = values[j];
    ids[i] = ids[j];
    values[j] = value;
    ids[j] = id;
  }
  void sink(std::int64_t i, std::int64_t size) {
    for (;;) {
      std::int64_t worst = i;
      const std::int64_t left = 2 * i + 1, right = left + 1;
      if (left < size && is_worse(left, worst)) worst = left;
      if (right < size && is_worse(right, worst)) worst = right;
      if (worst == i) return;
      swap(i, worst);
      i = worst;
    }
  }
};

inline void row_top_k(const float *x, std::int64_t size, std::int64_t k, std::uint32_t *ids, float *values) {
  if (k <= 0) return;
  TopHeap heap{values, ids};
  for (std::int64_t i = 0; i < k; ++i) {
    values[i] = x[i] == x[i] ? x[i] : -infinity;
    ids[i] = static_cast<std::uint32_t>(i);
  }
  for (std::int64_t i = k / 2; i-- > 0;) heap.sink(i, k);
  const auto offer = [&](std::int64_t i) {
    if (!(x[i] > values[0])) return;
    values[0] = x[i];
    ids[0] = static_cast<std::uint32_t>(i);
    heap.sink(0, k);
  };
  std::int64_t i = k;
  for (; i + 8 <= size; i += 8) {
    if (!any(greater(load(x + i), splat(values[0])))) continue;
    for (std::int64_t j = i; j < i + 8; ++j) offer(j);
  }
  for (; i < size; ++i) offer(i);
  for (std::int64_t rest = k - 1; rest > 0; --rest) {
    heap.swap(0, rest);
    heap.sink(0, rest);
  }
}

inline void run_top_k(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rows_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    row_top_k(a.x + r * a.x_stride, a.columns, a.k, a.ids + r * a.k, a.values + r * a.k);
  }
}

inline void row_log_softmax(const float *x, std::int64_t size, float *y) {
  const float maximum = row_maximum(x, size);
  double lanes[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (std::int64_t i = 0; i < size; i += 8) {
    const std::int64_t count = size - i < 8 ? size - i : 8;
    float terms[8];
    store(terms, exponential(load_some(x + i, count) - splat(maximum)));
    for (std::int64_t j = 0; j < count; ++j) lanes[j] += static_cast<double>(terms[j]);
  }
  const double total =
      ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  const float shift = logarithm(static_cast<float>(total));
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    store_some(y + i, (load_some(x + i, count) - splat(maximum)) - splat(shift), count);
  });
}

inline void run_log_softmax(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rows_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    row_log_softmax(a.x + r * a.x_stride, a.columns, a.y + r * a.y_stride);
  }
}

}  // namespace
}  // namespace hass
