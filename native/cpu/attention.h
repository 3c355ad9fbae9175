// Tree attention. A unit is a few consecutive rows and one kv head: rows of one sequence read the part of the context
// that they share together. Sharing changes which key is loaded when, never the order of a row's additions.
#pragma once

#include "layout.h"
#include "ops.h"
#include "units.h"

namespace hass {
namespace {

// Two sums each are under way at a time: sixteen registers hold these, and as many hide how long an addition takes.
constexpr int most_queries = 6;

// function(RowCount<n>(), q) for a few queries at a time, as evenly as can be.
template <class Function>
inline void each_few(std::int64_t first, std::int64_t last, Function function) {
  const std::int64_t groups = (last - first + most_queries - 1) / most_queries;
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t q = first + (last - first) * group / groups;
    switch (first + (last - first) * (group + 1) / groups - q) {
      case 6: function(RowCount<6>(), q); break;
      case 5: function(RowCount<5>(), q); break;
      case 4: function(RowCount<4>(), q); break;
      case 3: function(RowCount<3>(), q); break;
      case 2: function(RowCount<2>(), q); break;
      default: function(RowCount<1>(), q); break;
    }
  }
}

inline std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// What one unit works on. Queries are (row, head) pairs, row-major; vectors are padded to `padded` floats.
struct AttentionUnit {
  const hass_cpu_attention_args &a;
  std::int64_t group, heads, padded, score_stride;
  float *scores, *queries, *sums, *tile, *divisors;

  AttentionUnit(const hass_cpu_attention_args &arguments, std::int64_t kv_head, void *scratch)
      : a(arguments), group(kv_head), heads(arguments.heads / arguments.kv_heads) {
    padded = round_up(a.size, 8);
    score_stride = score_floats(a.max_context);
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
  // Positions, from the first, at which all of these rows of one sequence see the same slots.
  std::int64_t shared_context(std::int64_t begin, std::int64_t end) const {
    std::int64_t shared = ancestors(begin);
    for (std::int64_t r = begin + 1; r < end; ++r) {
      const std::int64_t limit = least(ancestors(r), shared);
      const std::uint32_t *first = a.ancestor_slots + a.ancestor_offsets[begin];
      const std::uint32_t *other = a.ancestor_slots + a.ancestor_offsets[r];
      for (shared = 0; shared < limit && first[shared] == other[shared];) ++shared;
    }
    return committed(begin) + shared;
  }

  // rows[i]: position begin + i of row r's context. Past `count` the last one again, so that eight can always be read.
  template <class Cache>
  void find_rows(const void *cache, std::int64_t r, std::int64_t begin, std::int64_t count,
                 const typename Cache::Element **rows) const {
    const std::int64_t before = committed(r) - begin;
    const std::uint32_t *shared = a.context_slots + a.sequence_offsets[a.row_sequence[r]];
    const std::uint32_t *own = a.ancestor_slots + a.ancestor_offsets[r];
    const auto *elements = static_cast<const typename Cache::Stored *>(cache) + group * a.size;
    std::int64_t i = 0;
    for (; i < count && i < before; ++i) rows[i] = Cache::row(*this, elements + shared[begin + i] * a.cache_stride, i);
    for (; i < count; ++i) rows[i] = Cache::row(*this, elements + own[i - before] * a.cache_stride, i);
    for (; i < attention_tile; ++i) rows[i] = rows[count - 1];
  }

  // Asks for `count` positions of row r's context from `first` on, as far as they are before `end`: a processor cannot
  // guess which slots come next. Inlined in any case, since GCC takes a function that does nothing else for one without
  // effect, and leaves its calls out.
  template <class Cache>
  __attribute__((always_inline)) void prefetch_rows(const void *cache, std::int64_t r, std::int64_t first,
                                                    std::int64_t count, std::int64_t end) const {
    constexpr int second_level = 2;
    const std::int64_t before = committed(r), last = least(first + count, end);
    const std::uint32_t *shared = a.context_slots + a.sequence_offsets[a.row_sequence[r]];
    const std::uint32_t *own = a.ancestor_slots + a.ancestor_offsets[r];
    const auto *elements = static_cast<const typename Cache::Stored *>(cache) + group * a.size;
    for (std::int64_t j = first; j < last; ++j) {
      const auto *row = elements + (j < before ? shared[j] : own[j - before]) * a.cache_stride;
      for (std::int64_t d = 0; d < a.size; d += 64 / sizeof *row) __builtin_prefetch(row + d, 0, second_level);
    }
  }

  // Scores of positions [begin, end) of row r's context for queries [first, last).
  template <class Cache>
  void score(std::int64_t r, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) const {
    for (std::int64_t j = begin; j < end; j += attention_tile) {
      const typename Cache::Element *keys[attention_tile];
      const std::int64_t count = least(end - j, attention_tile);
      find_rows<Cache>(a.keys, r, j, count, keys);
      for (std::int64_t i = 0; i < count; i += 8) {
        // What comes a tile later; behind the last keys, the first values.
        const std::int64_t ahead = j + i + attention_tile, beyond = ahead - begin - round_up(end - begin, 8);
        const void *cache = ahead < end ? a.keys : a.values;
        const std::int64_t next = ahead < end ? ahead : beyond >= 0 ? begin + beyond : end;
        each_few(first, last, [&](auto few, std::int64_t q) {
          constexpr int number = decltype(few)::value;
          Vec8 folds[number][4];
          for (int k = 0; k < 4; ++k) {
            // Two at a time: many would hold up the loads behind them.
            if (q == first) prefetch_rows<Cache>(cache, r, next + 2 * k, 2, end);
            multiply_two<Cache, number>(q, keys[i + k], keys[i + k + 4], folds, k);
          }
          for (int n = 0; n < number; ++n) {
            store(scores + (q + n) * score_stride + j + i, lanes_of_folds(folds[n], add_lanes) * splat(a.scale));
          }
        });
      }
    }
  }

  // Queries [first, first + number) times two keys.
  template <class Cache, int number>
  void multiply_two(std::int64_t first, const typename Cache::Element *left, const typename Cache::Element *right,
                    Vec8 (*folds)[4], int at) const {
    Vec8 totals[number][2];
    for (int n = 0; n < number; ++n) totals[n][0] = totals[n][1] = splat(0.0f);
    const float *query = queries + first * padded;
    for (std::int64_t d = 0; d < padded; d += 8) {
      for (int i = 0; i < 2; ++i) {
        const Vec8 key = Cache::load_eight((i == 0 ? left : right) + d);
        for (int n = 0; n < number; ++n) totals[n][i] = totals[n][i] + load(query + n * padded + d) * key;
      }
    }
    for (int n = 0; n < number; ++n) folds[n][at] = fold(totals[n][0], totals[n][1], add_lanes);
  }

  // Scores become exp(score - maximum), to the end of the last vector; returns the sum of the first `size`.
  float exponentiate(float *row, std::int64_t size) const {
    const Vec8 maximum = splat(row_maximum(row, size));
    Vec8 total = splat(0.0f);
    for (std::int64_t j = 0; j < size; j += 8) {
      const Vec8 terms = exponential(load(row + j) - maximum);
      store(row + j, terms);
      total = total + select(first_lanes(size - j), terms, splat(0.0f));
    }
    return sum(total);
  }

  // Adds positions [begin, end) of row r's context to the sums of queries [first, last).
  template <class Cache>
  void accumulate(std::int64_t r, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) const {
    // Values of the next tile that are asked for with each sixteen dimensions of this one.
    const std::int64_t at_once = (16 * attention_tile + padded - 1) / padded;
    for (std::int64_t j = begin; j < end; j += attention_tile) {
      const typename Cache::Element *values[attention_tile];
      const std::int64_t count = least(end - j, attention_tile);
      find_rows<Cache>(a.values, r, j, count, values);
      each_few(first, last, [&](auto few, std::int64_t q) {
        constexpr int number = decltype(few)::value;
        std::int64_t d = 0;
        for (; d + 16 <= padded; d += 16) {
          if (q == first) prefetch_rows<Cache>(a.values, r, j + attention_tile + d / 16 * at_once, at_once, end);
          add_weighted<Cache, number, 2>(q, j, values, count, d);
        }
        for (; d < padded; d += 8) add_weighted<Cache, number, 1>(q, j, values, count, d);
      });
    }
  }

  template <class Cache, int number, int vectors>
  void add_weighted(std::int64_t first, std::int64_t position, const typename Cache::Element *const *values,
                    std::int64_t count, std::int64_t d) const {
    Vec8 totals[number][vectors];
    float *target = sums + first * padded + d;
    const float *weights = scores + first * score_stride + position;
    for (int n = 0; n < number; ++n) {
      for (int i = 0; i < vectors; ++i) totals[n][i] = load(target + n * padded + 8 * i);
    }
    for (std::int64_t j = 0; j < count; ++j) {
      Vec8 value[vectors];
      for (int i = 0; i < vectors; ++i) value[i] = Cache::load_eight(values[j] + d + 8 * i);
      for (int n = 0; n < number; ++n) {
        const Vec8 weight = splat(weights[n * score_stride + j]);
        for (int i = 0; i < vectors; ++i) totals[n][i] = totals[n][i] + weight * value[i];
      }
    }
    for (int n = 0; n < number; ++n) {
      for (int i = 0; i < vectors; ++i) store(target + n * padded + 8 * i, totals[n][i]);
    }
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
  template <class Cache>
  void run(std::int64_t begin, std::int64_t end) const {
    const std::int64_t shared = shared_context(begin, end);
    const std::int64_t num_queries = (end - begin) * heads;
    prefetch_rows<Cache>(a.keys, begin, 0, attention_tile, shared);
    prepare(begin, end);
    score<Cache>(begin, 0, shared, 0, num_queries);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t context = committed(r) + ancestors(r), first = (r - begin) * heads;
      score<Cache>(r, shared, context, first, first + heads);
      for (std::int64_t q = first; q < first + heads; ++q) {
        divisors[q] = exponentiate(scores + q * score_stride, context);
      }
    }
    accumulate<Cache>(begin, 0, shared, 0, num_queries);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t context = committed(r) + ancestors(r), first = (r - begin) * heads;
      accumulate<Cache>(r, shared, context, first, first + heads);
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

// How keys and values are read: as they are stored, or widened beforehand where heads end within a vector.
struct FloatCache {
  using Stored = float;
  using Element = float;
  static const float *row(const AttentionUnit &, const float *stored, std::int64_t) { return stored; }
  static Vec8 load_eight(const float *source) { return load(source); }
  static float load_one(float value) { return value; }
};
struct HalfCache {
  using Stored = std::uint16_t;
  using Element = std::uint16_t;
  static const std::uint16_t *row(const AttentionUnit &, const std::uint16_t *stored, std::int64_t) { return stored; }
  static Vec8 load_eight(const std::uint16_t *source) { return load_half(source); }
  static float load_one(std::uint16_t value) { return float_of_half(value); }
};
struct BfloatCache {
  using Stored = std::uint16_t;
  using Element = std::uint16_t;
  static const std::uint16_t *row(const AttentionUnit &, const std::uint16_t *stored, std::int64_t) { return stored; }
  static Vec8 load_eight(const std::uint16_t *source) { return load_bfloat(source); }
  static float load_one(std::uint16_t value) { return float_of_bfloat(value); }
};
template <class Cache>
struct PaddedCache {
  using Stored = typename Cache::Stored;
  using Element = float;
  static const float *row(const AttentionUnit &unit, const Stored *stored, std::int64_t index) {
    float *target = unit.tile + index * unit.padded;
    for (std::int64_t d = 0; d < unit.padded; ++d) target[d] = d < unit.a.size ? Cache::load_one(stored[d]) : 0.0f;
    return target;
  }
  static Vec8 load_eight(const float *source) { return load(source); }
};

template <class Cache>
inline void run_attention_units(const hass_cpu_attention_args &a, std::int64_t begin, std::int64_t end, void *scratch) {
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t rows = attention_rows_of(a.rows), row_blocks = (a.rows + rows - 1) / rows;
    // Units of one kv head are neighbours: most often one thread reads its keys and values, from memory once.
    const AttentionUnit work(a, unit / row_blocks, scratch);
    const std::int64_t first = unit % row_blocks * rows;
    const std::int64_t last = least(first + rows, a.rows);
    for (std::int64_t r = first; r < last;) {
      std::int64_t next = r + 1;
      while (next < last && a.row_sequence[next] == a.row_sequence[r]) ++next;
      work.run<Cache>(r, next);
      r = next;
    }
  }
}

template <class Cache>
inline void run_attention_of(const hass_cpu_attention_args &a, std::int64_t begin, std::int64_t end, void *scratch) {
  if (a.size % 8 == 0) {
    run_attention_units<Cache>(a, begin, end, scratch);
  } else {
    run_attention_units<PaddedCache<Cache>>(a, begin, end, scratch);
  }
}

inline void run_tree_attention(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_attention_args *>(arguments);
  switch (a.cache_dtype) {
    case HASS_F16: return run_attention_of<HalfCache>(a, begin, end, scratch);
    case HASS_BF16: return run_attention_of<BfloatCache>(a, begin, end, scratch);
    default: return run_attention_of<FloatCache>(a, begin, end, scratch);
  }
}

}  // namespace
}  // namespace hass
