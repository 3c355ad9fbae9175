// Tree attention. A unit is a few consecutive rows and one kv head: rows of one sequence read the part of the context
// that they share together. Sharing changes which key is loaded when, never the order of a row's additions.
#pragma once

#include "layout.h"
#include "ops.h"
#include "units.h"

namespace hass {
namespace {

// What one unit works on. Queries are (row, head) pairs, row-major; vectors are padded to `padded` floats.
struct AttentionUnit {
  const hass_cpu_attention_args &a;
  std::int64_t group, heads, padded, score_stride;
  float *scores, *queries, *sums, *tile, *divisors;

  AttentionUnit(const hass_cpu_attention_args &arguments, std::int64_t kv_head, void *scratch)
      : a(arguments), group(kv_head), heads(arguments.heads / arguments.kv_heads) {
    padded = round_up(a.size, 8);
    score_stride = round_up(a.max_context, 8);
    const std::int64_t num_queries = attention_rows * heads;
    scores = static_cast<float *>(scratch);
    queries = scores + num_queries * score_stride;
    sums = queries + num_queries * padded;
    tile = sums + num_queries * padded;
    divisors = tile + attention_tile * padded;
  }

  std::int64_t committed(std::int64_t row) const {
    const std::uint32_t sequence = a.row_sequence[row];
    return static_cast<std::int64_t>(a.sequence_offsets[sequence + 1]) - a.sequence_offsets[sequence];
  }
  std::int64_t ancestors(std::int64_t row) const {
    return static_cast<std::int64_t>(a.ancestor_offsets[row + 1]) - a.ancestor_offsets[row];
  }
  // Slots of positions [begin, begin + count) of a row's context, into `slots`.
  void find_slots(std::int64_t row, std::int64_t begin, std::int64_t count, std::uint32_t *slots) const {
    const std::int64_t before = committed(row);
    const std::uint32_t *shared = a.context_slots + a.sequence_offsets[a.row_sequence[row]];
    const std::uint32_t *own = a.ancestor_slots + a.ancestor_offsets[row];
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t position = begin + i;
      slots[i] = position < before ? shared[position] : own[position - before];
    }
  }

  // Positions, from the first, at which all of these rows of one sequence see the same slots.
  std::int64_t shared_context(std::int64_t begin, std::int64_t end) const {
    std::int64_t shared = ancestors(begin);
    for (std::int64_t r = begin + 1; r < end; ++r) {
      const std::int64_t limit = ancestors(r) < shared ? ancestors(r) : shared;
      const std::uint32_t *first = a.ancestor_slots + a.ancestor_offsets[begin];
      const std::uint32_t *other = a.ancestor_slots + a.ancestor_offsets[r];
      for (shared = 0; shared < limit && first[shared] == other[shared];) ++shared;
    }
    return committed(begin) + shared;
  }

  // rows[i]: `padded` floats of position begin + i of row r's context. Past `count` the last one again, so that eight
  // can always be read.
  void load_tile(const void *cache, std::int64_t r, std::int64_t begin, std::int64_t count, const float **rows) const {
    std::uint32_t slots[attention_tile];
    find_slots(r, begin, count, slots);
    const auto *floats = static_cast<const float *>(cache);
    const auto *halves = static_cast<const std::uint16_t *>(cache);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t offset = slots[i] * a.cache_stride + group * a.size;
      float *target = tile + i * padded;
      rows[i] = target;
      if (a.cache_dtype == HASS_F16) {
        widen(halves + offset, target, load_half, float_of_half);
      } else if (a.cache_dtype == HASS_BF16) {
        widen(halves + offset, target, load_bfloat, float_of_bfloat);
      } else if (padded == a.size) {
        rows[i] = floats + offset;
      } else {
        widen(floats + offset, target, load, [](float value) { return value; });
      }
    }
    for (std::int64_t i = count; i < attention_tile; ++i) rows[i] = rows[count - 1];
  }

  template <class Element, class LoadEight, class LoadOne>
  void widen(const Element *source, float *target, LoadEight load_eight, LoadOne load_one) const {
    std::int64_t d = 0;
    for (; d + 8 <= a.size; d += 8) store(target + d, load_eight(source + d));
    for (; d < a.size; ++d) target[d] = load_one(source[d]);
    for (; d < padded; ++d) target[d] = 0.0f;
  }

  // Scores of positions [begin, end) of row r's context for queries [first, last).
  void score(std::int64_t r, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) const {
    for (std::int64_t j = begin; j < end; j += attention_tile) {
      const float *keys[attention_tile];
      const std::int64_t count = end - j < attention_tile ? end - j : attention_tile;
      load_tile(a.keys, r, j, count, keys);
      for (std::int64_t i = 0; i < count; i += 8) {
        for (std::int64_t q = first; q < last; ++q) {
          const Vec8 products = dot_eight(queries + q * padded, keys + i) * splat(a.scale);
          store_some(scores + q * score_stride + j + i, products, count - i < 8 ? count - i : 8);
        }
      }
    }
  }

  Vec8 dot_eight(const float *query, const float *const *keys) const {
    Vec8 totals[8];
    for (int i = 0; i < 8; ++i) totals[i] = splat(0.0f);
    for (std::int64_t d = 0; d < padded; d += 8) {
      const Vec8 x = load(query + d);
      for (int i = 0; i < 8; ++i) totals[i] = totals[i] + x * load(keys[i] + d);
    }
    return hass::sums(totals);
  }

  // Scores become exp(score - maximum); returns their sum.
  float exponentiate(float *row, std::int64_t size) const {
    const Vec8 maximum = splat(row_maximum(row, size));
    Vec8 total = splat(0.0f);
    each_eight(size, [&](std::int64_t j, std::int64_t count) {
      const Vec8 terms = exponential(load_some(row + j, count) - maximum);
      store_some(row + j, terms, count);
      total = total + select(first_lanes(count), terms, splat(0.0f));
    });
    return sum(total);
  }

  // Adds positions [begin, end) of row r's context to the sums of queries [first, last).
  void accumulate(std::int64_t r, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) const {
    for (std::int64_t j = begin; j < end; j += attention_tile) {
      const float *values[attention_tile];
      const std::int64_t count = end - j < attention_tile ? end - j : attention_tile;
      load_tile(a.values, r, j, count, values);
      for (std::int64_t q = first; q < last; ++q) {
        const float *weights = scores + q * score_stride + j;
        std::int64_t d = 0;
        for (; d + 64 <= padded; d += 64) add_weighted<8>(sums + q * padded + d, weights, values, count, d);
        for (; d < padded; d += 8) add_weighted<1>(sums + q * padded + d, weights, values, count, d);
      }
    }
  }

  template <int vectors>
  void add_weighted(float *target, const float *weights, const float *const *values, std::int64_t count,
                    std::int64_t d) const {
    Vec8 totals[vectors];
    for (int i = 0; i < vectors; ++i) totals[i] = load(target + 8 * i);
    for (std::int64_t j = 0; j < count; ++j) {
      const Vec8 weight = splat(weights[j]);
      for (int i = 0; i < vectors; ++i) totals[i] = totals[i] + weight * load(values[j] + d + 8 * i);
    }
    for (int i = 0; i < vectors; ++i) store(target + 8 * i, totals[i]);
  }

  void prepare(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::int64_t h = 0; h < heads; ++h) {
        const std::int64_t query = ((r - begin) * heads + h) * padded;
        const float *source = a.q + r * a.q_stride + (group * heads + h) * a.size;
        for (std::int64_t d = 0; d < padded; ++d) {
          queries[query + d] = d < a.size ? source[d] : 0.0f;
          sums[query + d] = 0.0f;
        }
      }
    }
  }

  // Rows [begin, end) of one sequence.
  void run(std::int64_t begin, std::int64_t end) const {
    const std::int64_t shared = shared_context(begin, end);
    const std::int64_t num_queries = (end - begin) * heads;
    prepare(begin, end);
    score(begin, 0, shared, 0, num_queries);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t context = committed(r) + ancestors(r), first = (r - begin) * heads;
      score(r, shared, context, first, first + heads);
      for (std::int64_t q = first; q < first + heads; ++q) {
        divisors[q] = exponentiate(scores + q * score_stride, context);
      }
    }
    accumulate(begin, 0, shared, 0, num_queries);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t context = committed(r) + ancestors(r), first = (r - begin) * heads;
      accumulate(r, shared, context, first, first + heads);
      for (std::int64_t h = 0; h < heads; ++h) {
        const float *total = sums + (first + h) * padded;
        float *y = a.y + r * a.y_stride + (group * heads + h) * a.size;
        const float divisor = context > 0 ? divisors[first + h] : 1.0f;
        each_eight(a.size, [&](std::int64_t d, std::int64_t count) {
          store_some(y + d, load(total + d) / splat(divisor), count);
        });
      }
    }
  }
};

inline void run_tree_attention(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_attention_args *>(arguments);
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const AttentionUnit work(a, unit % a.kv_heads, scratch);
    const std::int64_t first = unit / a.kv_heads * attention_rows;
    const std::int64_t last = first + attention_rows < a.rows ? first + attention_rows : a.rows;
    for (std::int64_t r = first; r < last;) {
      std::int64_t next = r + 1;
      while (next < last && a.row_sequence[next] == a.row_sequence[r]) ++next;
      work.run(r, next);
      r = next;
    }
  }
}

}  // namespace
}  // namespace hass
