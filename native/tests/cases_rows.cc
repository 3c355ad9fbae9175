// Cases of norms, rope, cache writes, elementwise operations, moves and choices.
#include "case_groups.h"

namespace test {
namespace {

using Rows = std::vector<std::int64_t>;

// Rows `rows` of x [.., stride].
std::vector<float> pick_rows(const std::vector<float> &x, std::int64_t stride, const Rows &rows) {
  std::vector<float> result;
  for (const std::int64_t r : rows) result.insert(result.end(), x.begin() + r * stride, x.begin() + (r + 1) * stride);
  return result;
}

template <class T>
std::vector<T> pick_items(const std::vector<T> &items, const Rows &rows, std::int64_t width = 1) {
  std::vector<T> result;
  for (const std::int64_t r : rows) {
    result.insert(result.end(), items.begin() + r * width, items.begin() + (r + 1) * width);
  }
  return result;
}

std::vector<Bytes> rows_of(const std::vector<float> &y, std::int64_t stride, std::int64_t columns) {
  std::vector<Bytes> result;
  for (std::size_t at = 0; at < y.size(); at += static_cast<std::size_t>(stride)) {
    result.push_back(bytes_of_floats(y.data() + at, columns));
  }
  return result;
}

std::vector<Bytes> rows_of(const std::vector<std::uint32_t> &words, std::int64_t columns) {
  std::vector<Bytes> result;
  for (std::size_t at = 0; at < words.size(); at += static_cast<std::size_t>(columns)) {
    const auto *bytes = reinterpret_cast<const std::uint8_t *>(words.data() + at);
    result.emplace_back(bytes, bytes + 4 * columns);
  }
  return result;
}

std::vector<std::uint32_t> random_words(Random &random, std::int64_t count, std::int64_t below) {
  std::vector<std::uint32_t> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(static_cast<std::uint32_t>(random.integer(0, below - 1)));
  return result;
}

void add_norm(Random &random, double hostility, std::vector<Case> &cases) {
  const std::int64_t rows = random.integer(1, 7), groups = random.integer(1, 3), size = random.integer(1, 70);
  const std::int64_t width = groups * size, stride = width + random.integer(0, 2);
  const auto x = random.floats(rows * stride, hostility / 20), residual = random.floats(rows * width, hostility / 20);
  const auto weight = random.floats(size, hostility / 20);
  const bool has_residual = random.chance(0.5);
  cases.push_back({"rms norm [" + std::to_string(rows) + ", " + std::to_string(groups) + " x " + std::to_string(size) +
                       (has_residual ? "] + residual" : "]"),
                   rows, true, [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto count = static_cast<std::int64_t>(chosen.size());
                     const auto xs = pick_rows(x, stride, chosen), residuals = pick_rows(residual, width, chosen);
                     std::vector<float> y(static_cast<std::size_t>(count * width)), hidden(y.size(), 7.0f);
                     const hass_cpu_rms_norm_args args = {
                         count, groups, size, 1e-5f, xs.data(), stride, has_residual ? residuals.data() : nullptr, width,
                         has_residual ? hidden.data() : nullptr, width, weight.data(), y.data(), width};
                     execute(kernels, HASS_CPU_RMS_NORM, &args, split);
                     auto result = rows_of(y, width, width);
                     const auto second = rows_of(hidden, width, width);
                     for (std::size_t r = 0; r < result.size(); ++r) {
                       result[r].insert(result[r].end(), second[r].begin(), second[r].end());
                     }
                     return result;
                   }});
}

void add_binaries(Random &random, double hostility, std::vector<Case> &cases) {
  for (const hass_cpu_stage stage : {HASS_CPU_SILU_MUL, HASS_CPU_ADD, HASS_CPU_MUL}) {
    const std::int64_t rows = random.integer(1, 5), columns = random.integer(1, 70);
    const float deviation = random.pick({1.0f, 30.0f});
    const auto a = random.floats(rows * columns, hostility, deviation), b = random.floats(rows * columns, hostility);
    cases.push_back({"binary stage " + std::to_string(stage) + " columns " + std::to_string(columns), rows, true,
                     [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                       auto left = pick_rows(a, columns, chosen);
                       const auto right = pick_rows(b, columns, chosen);
                       const hass_cpu_binary_args args = {static_cast<std::int64_t>(chosen.size()), columns, left.data(),
                                                          columns, right.data(), columns, left.data(), columns};
                       execute(kernels, stage, &args, split);  // in place
                       return rows_of(left, columns, columns);
                     }});
  }
}

void add_rope(Random &random, double hostility, std::vector<Case> &cases) {
  const std::int64_t rows = random.integer(1, 6), groups = random.integer(1, 3), size = 2 * random.integer(1, 35);
  const std::int64_t width = groups * size;
  const std::int32_t pairing = random.pick({0, 1});
  const auto x = random.floats(rows * width, hostility / 20), table = random.floats(9 * size);
  const auto positions = random_words(random, rows, 9);
  cases.push_back({"rope size " + std::to_string(size) + " pairing " + std::to_string(pairing), rows, true,
                   [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto xs = pick_rows(x, width, chosen);
                     const auto places = pick_items(positions, chosen);
                     std::vector<float> y(xs.size());
                     const hass_cpu_rope_args args = {static_cast<std::int64_t>(chosen.size()), groups, size, pairing,
                                                      places.data(), table.data(), xs.data(), width, y.data(), width};
                     execute(kernels, HASS_CPU_ROPE, &args, split);
                     return rows_of(y, width, width);
                   }});
}

void add_qkv(Random &random, double hostility, std::vector<Case> &cases) {
  const std::int64_t rows = random.integer(1, 6), kv_heads = random.integer(1, 3);
  const std::int64_t heads = kv_heads * random.integer(1, 3), size = 2 * random.integer(1, 20);
  const std::int64_t width = (heads + 2 * kv_heads) * size, columns = kv_heads * size, q_width = heads * size;
  const std::int32_t pairing = random.pick({0, 1}), dtype = random.pick({HASS_F32, HASS_F16, HASS_BF16});
  const auto x = random.floats(rows * width, hostility / 20), table = random.floats(9 * size);
  const auto q_norm = random.floats(size), k_norm = random.floats(size);
  const bool has_norms = random.chance(0.5);
  const auto positions = random_words(random, rows, 9);
  cases.push_back({"qkv finish size " + std::to_string(size) + " dtype " + std::to_string(dtype), rows, true,
                   [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     auto qkv = pick_rows(x, width, chosen);
                     const auto places = pick_items(positions, chosen);
                     std::vector<std::uint32_t> slots;
                     for (const std::int64_t r : chosen) slots.push_back(static_cast<std::uint32_t>(rows - 1 - r));
                     std::vector<float> q(chosen.size() * static_cast<std::size_t>(q_width));
                     const std::size_t row_bytes = static_cast<std::size_t>(columns) * (dtype == HASS_F32 ? 4 : 2);
                     const Aligned keys(row_bytes * static_cast<std::size_t>(rows)), values(keys.size());
                     const hass_cpu_qkv_finish_args args = {static_cast<std::int64_t>(chosen.size()),
                                                            heads,
                                                            kv_heads,
                                                            size,
                                                            pairing,
                                                            dtype,
                                                            1e-6f,
                                                            qkv.data(),
                                                            width,
                                                            has_norms ? q_norm.data() : nullptr,
                                                            has_norms ? k_norm.data() : nullptr,
                                                            places.data(),
                                                            table.data(),
                                                            slots.data(),
                                                            q.data(),
                                                            q_width,
                                                            keys.get(),
                                                            values.get(),
                                                            columns};
                     execute(kernels, HASS_CPU_QKV_FINISH, &args, split);
                     auto result = rows_of(q, q_width, q_width);
                     for (std::size_t r = 0; r < chosen.size(); ++r) {
                       for (const Aligned *cache : {&keys, &values}) {
                         const char *row = static_cast<const char *>(cache->get()) + slots[r] * row_bytes;
                         const Bytes bytes = bytes_of_cache(row, columns, dtype);
                         result[r].insert(result[r].end(), bytes.begin(), bytes.end());
                       }
                     }
                     return result;
                   }});
}

void add_choices(Random &random, double hostility, std::vector<Case> &cases) {
  const std::int64_t rows = random.integer(1, 5), columns = random.integer(1, 200);
  const std::int64_t k = random.integer(1, columns < 20 ? columns : 20);
  // Few distinct values: ties.
  auto x = random.floats(rows * columns, hostility);
  if (random.chance(0.5)) {
    for (float &value : x) value = std::nearbyint(value);
  }
  if (hostility > 0) {
    // Without an infinity, which would hide what a NaN does to the maximum; the first row has no maximum at all.
    for (float &value : x) value = random.chance(0.2) ? NAN : std::isinf(value) ? random.normal() : value;
    for (std::int64_t i = 0; i < columns; ++i) x[static_cast<std::size_t>(i)] = random.chance(0.5) ? NAN : -INFINITY;
  }
  const std::string name = " of [" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
  cases.push_back({"arg max" + name, rows, true, [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto xs = pick_rows(x, columns, chosen);
                     std::vector<std::uint32_t> token(chosen.size());
                     hass_cpu_rows_args args = {};
                     args.rows = static_cast<std::int64_t>(chosen.size());
                     args.columns = args.x_stride = columns;
                     args.x = xs.data();
                     args.token = token.data();
                     execute(kernels, HASS_CPU_ARG_MAX, &args, split);
                     return rows_of(token, 1);
                   }});
  cases.push_back({"top k " + std::to_string(k) + name, rows, true,
                   [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto xs = pick_rows(x, columns, chosen);
                     std::vector<std::uint32_t> ids(chosen.size() * static_cast<std::size_t>(k));
                     std::vector<float> values(ids.size());
                     hass_cpu_rows_args args = {};
                     args.rows = static_cast<std::int64_t>(chosen.size());
                     args.columns = args.x_stride = columns;
                     args.k = k;
                     args.x = xs.data();
                     args.ids = ids.data();
                     args.values = values.data();
                     execute(kernels, HASS_CPU_TOP_K, &args, split);
                     auto result = rows_of(ids, k);
                     const auto second = rows_of(values, k, k);
                     for (std::size_t r = 0; r < result.size(); ++r) {
                       result[r].insert(result[r].end(), second[r].begin(), second[r].end());
                     }
                     return result;
                   }});
  cases.push_back({"log softmax" + name, rows, true,
                   [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     auto xs = pick_rows(x, columns, chosen);
                     hass_cpu_rows_args args = {};
                     args.rows = static_cast<std::int64_t>(chosen.size());
                     args.columns = args.x_stride = args.y_stride = columns;
                     args.x = args.y = xs.data();
                     execute(kernels, HASS_CPU_LOG_SOFTMAX, &args, split);
                     return rows_of(xs, columns, columns);
                   }});
  const auto positions = random_words(random, rows, 1000), seeds = random_words(random, 2 * rows, 1ll << 32);
  std::vector<double> temperatures;
  for (std::int64_t r = 0; r < rows; ++r) temperatures.push_back(random.pick({0.0, 0.01, 0.7, 1.0, 2.0}));
  cases.push_back({"gumbel arg max" + name, rows, true,
                   [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto xs = pick_rows(x, columns, chosen);
                     const auto row_temperatures = pick_items(temperatures, chosen);
                     const auto places = pick_items(positions, chosen), keys = pick_items(seeds, chosen, 2);
                     std::vector<std::uint32_t> token(chosen.size());
                     const hass_cpu_gumbel_args args = {static_cast<std::int64_t>(chosen.size()),
                                                        columns,
                                                        xs.data(),
                                                        columns,
                                                        row_temperatures.data(),
                                                        places.data(),
                                                        keys.data(),
                                                        token.data()};
                     execute(kernels, HASS_CPU_GUMBEL_ARG_MAX, &args, split);
                     return rows_of(token, 1);
                   }});
}

void add_moves(Random &random, std::vector<Case> &cases) {
  const std::int64_t rows = random.integer(1, 6), a_columns = random.integer(0, 9), b_columns = random.integer(1, 9);
  const auto a = random.floats(rows * a_columns), b = random.floats(rows * b_columns);
  const std::int64_t width = a_columns + b_columns, from = random.integer(0, width - 1), kept = width - from;
  const std::vector<std::uint32_t> order = [&] {
    std::vector<std::uint32_t> result;
    for (std::int64_t r = 0; r < rows; ++r) result.push_back(static_cast<std::uint32_t>(rows - 1 - r));
    return result;
  }();
  // Concatenated, scattered in reverse order, gathered back, sliced: the end of each row.
  cases.push_back({"moves", rows, true, [=](const hass_cpu_kernels &kernels, const Rows &chosen, Split split) {
                     const auto count = static_cast<std::int64_t>(chosen.size());
                     const auto as = pick_rows(a, a_columns, chosen), bs = pick_rows(b, b_columns, chosen);
                     std::vector<float> joined(static_cast<std::size_t>(count * width)), spread(joined.size());
                     std::vector<float> gathered(joined.size()), y(static_cast<std::size_t>(count * kept));
                     const hass_cpu_concat_args concat = {count, a_columns, b_columns, as.data(), a_columns, bs.data(),
                                                          b_columns, joined.data(), width};
                     execute(kernels, HASS_CPU_CONCAT_COLUMNS, &concat, split);
                     const std::uint32_t *rows_of_order = order.data() + (order.size() - chosen.size());
                     const hass_cpu_move_rows_args scatter = {count, width * 4, rows_of_order, joined.data(), width * 4,
                                                              spread.data(), width * 4};
                     execute(kernels, HASS_CPU_SCATTER_ROWS, &scatter, split);
                     const hass_cpu_move_rows_args gather = {count, width * 4, rows_of_order, spread.data(), width * 4,
                                                             gathered.data(), width * 4};
                     execute(kernels, HASS_CPU_GATHER_ROWS, &gather, split);
                     const hass_cpu_slice_args slice = {count, kept, from, gathered.data(), width, y.data(), kept};
                     execute(kernels, HASS_CPU_SLICE_COLUMNS, &slice, split);
                     return rows_of(y, kept, kept);
                   }});
}

}  // namespace

void add_row_cases(Random &random, double hostility, std::vector<Case> &cases) {
  add_norm(random, hostility, cases);
  add_binaries(random, hostility, cases);
  add_rope(random, hostility, cases);
  add_qkv(random, hostility, cases);
  add_choices(random, hostility, cases);
  add_moves(random, cases);
}

std::vector<Case> make_cases(Random &random, double hostility) {
  std::vector<Case> cases;
  add_linear_cases(random, hostility, cases);
  add_attention_cases(random, hostility, cases);
  add_row_cases(random, hostility, cases);
  return cases;
}

}  // namespace test
