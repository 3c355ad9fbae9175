// Attention over a range of slots and a few near ones, and its gradients, as products of a few rows with many slots.
//
// A unit's rows share the slots between the first that one of them sees and the last. What a row does not see weighs
// zero, and adds nothing to its sums, whose order follows the slots alone: so its bits do not depend on the unit.
#pragma once

#include "matrix_product.h"

namespace hass {
namespace {

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

inline std::int64_t whole_panels(std::int64_t columns) { return round_up(columns, product_panel); }

// Rows and slots of one unit. The slots begin on a panel and count as many as fill whole panels.
struct AlignedUnit {
  std::int64_t row, rows, kv_head, first_slot, slots;
};

inline AlignedUnit aligned_unit(const hass_cpu_aligned_args &a, std::int64_t unit) {
  const std::int64_t row = unit / a.kv_heads * aligned_rows;
  const std::int64_t rows = a.rows - row < aligned_rows ? a.rows - row : aligned_rows;
  std::int64_t first = a.slots, last = 0;
  for (std::int64_t r = row; r < row + rows; ++r) {
    if (a.begins[r] == a.ends[r]) continue;
    first = a.begins[r] < first ? a.begins[r] : first;
    last = a.ends[r] > last ? a.ends[r] : last;
  }
  first = first / product_panel * product_panel;
  return {row, rows, unit % a.kv_heads, first, last > first ? whole_panels(last - first) : 0};
}

// Zeros outside a row's range of slots.
inline void mask_row(float *weights, const AlignedUnit &unit, std::int64_t begin, std::int64_t end) {
  for (std::int64_t j = 0; j < begin - unit.first_slot && j < unit.slots; ++j) weights[j] = 0.0f;
  for (std::int64_t j = end > unit.first_slot ? end - unit.first_slot : 0; j < unit.slots; ++j) weights[j] = 0.0f;
}

// Scores become weights; returns what they were lowered by.
inline float weigh_row(const hass_cpu_aligned_args &a, const AlignedUnit &unit, std::int64_t row, float *scores,
                       float *near, std::int64_t near_count) {
  const std::int64_t begin = a.begins[row], end = a.ends[row];
  float largest = row_maximum(near, near_count);
  if (begin < end) {
    const float far = row_maximum(scores + (begin - unit.first_slot), end - begin) * a.scale;
    largest = far > largest ? far : largest;
  }
  each_eight(near_count, [&](std::int64_t j, std::int64_t count) {
    store_some(near + j, exponential(load_some(near + j, count) - splat(largest)), count);
  });
  Vec8 totals = splat(0.0f);
  for (std::int64_t j = 0; begin < end && j < unit.slots; j += 8) {
    store(scores + j, exponential(load(scores + j) * splat(a.scale) - splat(largest)));
  }
  mask_row(scores, unit, begin, end);
  for (std::int64_t j = 0; j < unit.slots; j += 8) totals = totals + load(scores + j);
  float total = sum(totals);
  for (std::int64_t j = 0; j < near_count; ++j) total += near[j];
  const float inverse = 1.0f / total;
  for (std::int64_t j = 0; j < unit.slots; j += 8) store(scores + j, load(scores + j) * splat(inverse));
  for (std::int64_t j = 0; j < near_count; ++j) near[j] *= inverse;
  return largest + logarithm(total);
}

inline void run_aligned_attention(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  auto *tiles = static_cast<float *>(scratch);
  float *near = tiles + aligned_rows * product_depth, *scores = near + 2 * round_up(a.max_near, 8);
  for (std::int64_t index = begin; index < end; ++index) {
    const AlignedUnit unit = aligned_unit(a, index);
    const Panels keys = {a.keys_transposed + unit.kv_head * whole_panels(a.slots) * a.size, a.size, 0};
    const Panels values = {a.values_panels + unit.kv_head * whole_panels(a.size) * a.slots, a.slots, unit.first_slot};
    for (std::int64_t head = unit.kv_head * group; head < (unit.kv_head + 1) * group; ++head) {
      const std::int64_t at = unit.row * width + head * a.size;
      product_block({a.q + at, width, 1}, unit.rows, a.size, keys, unit.first_slot, unit.slots, false, scores,
                    unit.slots, tiles);
      for (std::int64_t r = 0; r < unit.rows; ++r) {
        const std::int64_t row = unit.row + r;
        const float *q = a.q + at + r * width;
        float *y = a.y + at + r * width;
        for (std::int64_t i = 0; i < a.size; ++i) y[i] = 0.0f;
        const std::uint32_t *slots = a.near + a.near_offsets[row];
        const std::int64_t count = a.near_offsets[row + 1] - a.near_offsets[row];
        for (std::int64_t j = 0; j < count; ++j) {
          near[j] = dot(q, a.keys + slots[j] * kv_width + unit.kv_head * a.size, a.size) * a.scale;
        }
        float &shift = a.shift[row * a.heads + head];
        shift = 0.0f;
        if (count == 0 && a.begins[row] == a.ends[row]) {
          mask_row(scores + r * unit.slots, unit, unit.first_slot, unit.first_slot);
          continue;
        }
        shift = weigh_row(a, unit, row, scores + r * unit.slots, near, count);
        for (std::int64_t j = 0; j < count; ++j) {
          add_scaled(near[j], a.values + slots[j] * kv_width + unit.kv_head * a.size, a.size, y);
        }
      }
      // Slots behind the last one are in the panels of keys, not of values.
      const std::int64_t seen = a.slots - unit.first_slot < unit.slots ? a.slots - unit.first_slot : unit.slots;
      product_block({scores, unit.slots, 1}, unit.rows, seen, values, 0, a.size, true, a.y + at, width, tiles);
    }
  }
}

// A row's scores and the products of dy with values become weights and slopes: the gradients by the scores.
inline void slope_row(const hass_cpu_aligned_args &a, std::int64_t count, float shift, float pull, float *scores,
                      float *slopes) {
  each_eight(count, [&](std::int64_t j, std::int64_t number) {
    const Vec8 weight = exponential(load_some(scores + j, number) * splat(a.scale) - splat(shift));
    store_some(scores + j, weight, number);
    store_some(slopes + j, weight * (load_some(slopes + j, number) - splat(pull)) * splat(a.scale), number);
  });
}

inline void run_aligned_queries(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  const std::int64_t near_space = round_up(a.max_near, 8);
  auto *tiles = static_cast<float *>(scratch);
  float *near = tiles + aligned_rows * product_depth, *scores = near + 2 * near_space;
  for (std::int64_t index = begin; index < end; ++index) {
    const AlignedUnit unit = aligned_unit(a, index);
    float *slopes = scores + unit.rows * unit.slots;
    const std::int64_t transposed = unit.kv_head * whole_panels(a.slots) * a.size, kv_column = unit.kv_head * a.size;
    const Panels keys = {a.keys_panels + unit.kv_head * whole_panels(a.size) * a.slots, a.slots, unit.first_slot};
    for (std::int64_t head = unit.kv_head * group; head < (unit.kv_head + 1) * group; ++head) {
      const std::int64_t at = unit.row * width + head * a.size;
      product_block({a.q + at, width, 1}, unit.rows, a.size, {a.keys_transposed + transposed, a.size, 0},
                    unit.first_slot, unit.slots, false, scores, unit.slots, tiles);
      product_block({a.dy + at, width, 1}, unit.rows, a.size, {a.values_transposed + transposed, a.size, 0},
                    unit.first_slot, unit.slots, false, slopes, unit.slots, tiles);
      for (std::int64_t r = 0; r < unit.rows; ++r) {
        const std::int64_t row = unit.row + r, place = at + r * width;
        const float pull = dot(a.dy + place, a.y + place, a.size), shift = a.shift[row * a.heads + head];
        a.pulls[row * a.heads + head] = pull;
        slope_row(a, unit.slots, shift, pull, scores + r * unit.slots, slopes + r * unit.slots);
        mask_row(slopes + r * unit.slots, unit, a.begins[row], a.ends[row]);
        float *dq = a.dq + place;
        for (std::int64_t i = 0; i < a.size; ++i) dq[i] = 0.0f;
        const std::uint32_t *slots = a.near + a.near_offsets[row];
        const std::int64_t count = a.near_offsets[row + 1] - a.near_offsets[row];
        for (std::int64_t j = 0; j < count; ++j) {
          near[j] = dot(a.q + place, a.keys + slots[j] * kv_width + kv_column, a.size);
          near[near_space + j] = dot(a.dy + place, a.values + slots[j] * kv_width + kv_column, a.size);
        }
        slope_row(a, count, shift, pull, near, near + near_space);
        for (std::int64_t j = 0; j < count; ++j) {
          add_scaled(near[near_space + j], a.keys + slots[j] * kv_width + kv_column, a.size, dq);
        }
      }
      const std::int64_t seen = a.slots - unit.first_slot < unit.slots ? a.slots - unit.first_slot : unit.slots;
      product_block({slopes, unit.slots, 1}, unit.rows, seen, keys, 0, a.size, true, a.dq + at, width, tiles);
    }
  }
}

// One head's part of the gradients of the slots [first, last) of its kv head, rows ascending; all but the near slots.
inline void add_far_slots(const hass_cpu_aligned_args &a, std::int64_t head, std::int64_t first, std::int64_t last,
                          float *scratch) {
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, kv_head = head / (a.heads / a.kv_heads);
  const std::int64_t transposed = kv_head * whole_panels(a.slots) * a.size, columns = last - first;
  float *tiles = scratch, *weights = tiles + product_rows * product_depth, *slopes = weights + product_rows * aligned_slots;
  const auto sees = [&](std::int64_t row) { return a.begins[row] < last && a.ends[row] > first && a.begins[row] < a.ends[row]; };
  std::int64_t row_begin = 0, row_end = a.rows;
  while (row_begin < row_end && !sees(row_begin)) ++row_begin;
  while (row_end > row_begin && !sees(row_end - 1)) --row_end;
  for (std::int64_t row = row_begin; row < row_end; row += product_rows) {
    const std::int64_t rows = row_end - row < product_rows ? row_end - row : product_rows;
    const std::int64_t at = row * width + head * a.size;
    product_block({a.q + at, width, 1}, rows, a.size, {a.keys_transposed + transposed, a.size, 0}, first, columns, false,
                  weights, aligned_slots, tiles);
    product_block({a.dy + at, width, 1}, rows, a.size, {a.values_transposed + transposed, a.size, 0}, first, columns,
                  false, slopes, aligned_slots, tiles);
    for (std::int64_t r = 0; r < rows; ++r) {
      float *weight = weights + r * aligned_slots, *slope = slopes + r * aligned_slots;
      const std::int64_t place = (row + r) * a.heads + head;
      slope_row(a, columns, a.shift[place], a.pulls[place], weight, slope);
      for (std::int64_t j = 0; j < columns; ++j) {
        if (first + j >= a.begins[row + r] && first + j < a.ends[row + r]) continue;
        weight[j] = slope[j] = 0.0f;
      }
    }
    const std::int64_t target = first * kv_width + kv_head * a.size, panels = head * whole_panels(a.size) * a.rows;
    product_block({weights, 1, aligned_slots}, columns, rows, {a.dy_panels + panels, a.rows, row}, 0, a.size, true,
                  a.dvalues + target, kv_width, tiles);
    product_block({slopes, 1, aligned_slots}, columns, rows, {a.q_panels + panels, a.rows, row}, 0, a.size, true,
                  a.dkeys + target, kv_width, tiles);
  }
}

inline void add_near_slots(const hass_cpu_aligned_args &a, std::int64_t head, std::int64_t first, std::int64_t last) {
  const std::int64_t width = a.heads * a.size, kv_width = a.kv_heads * a.size, kv_head = head / (a.heads / a.kv_heads);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::uint32_t i = a.near_offsets[row]; i < a.near_offsets[row + 1]; ++i) {
      const std::int64_t slot = a.near[i];
      if (slot < first || slot >= last) continue;
      const std::int64_t at = row * width + head * a.size, place = slot * kv_width + kv_head * a.size;
      float weight = dot(a.q + at, a.keys + place, a.size), slope = dot(a.dy + at, a.values + place, a.size);
      slope_row(a, 1, a.shift[row * a.heads + head], a.pulls[row * a.heads + head], &weight, &slope);
      add_scaled(weight, a.dy + at, a.size, a.dvalues + place);
      add_scaled(slope, a.q + at, a.size, a.dkeys + place);
    }
  }
}

// A unit is a kv head's gradients of a few slots.
inline void run_aligned_keys(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_aligned_args *>(arguments);
  const std::int64_t kv_width = a.kv_heads * a.size, group = a.heads / a.kv_heads;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t kv_head = unit % a.kv_heads, first = unit / a.kv_heads * aligned_slots;
    const std::int64_t last = first + aligned_slots < a.slots ? first + aligned_slots : a.slots;
    for (std::int64_t slot = first; slot < last; ++slot) {
      const std::int64_t at = slot * kv_width + kv_head * a.size;
      for (std::int64_t i = 0; i < a.size; ++i) a.dkeys[at + i] = a.dvalues[at + i] = 0.0f;
    }
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      add_far_slots(a, head, first, last, static_cast<float *>(scratch));
      add_near_slots(a, head, first, last);
    }
  }
}

}  // namespace
}  // namespace hass
