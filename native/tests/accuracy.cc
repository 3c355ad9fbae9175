// Against plain float64 formulas: that the bits, which other tests compare, are the right ones.
#include "cases.h"

namespace {

using test::Aligned;
using test::Random;
using test::Report;
using Kernels = hass_cpu_kernels;

bool is_near(double actual, double expected, double tolerance) {
  return std::isfinite(actual) && std::fabs(actual - expected) <= tolerance;  // a NaN is near nothing
}

double silu(double x) { return x / (1 + std::exp(-x)); }

std::vector<float> unpack(const Kernels &kernels, std::int32_t dtype, std::int64_t out, std::int64_t in,
                          const void *weight) {
  std::vector<std::uint32_t> tokens;
  for (std::int64_t o = 0; o < out; ++o) tokens.push_back(static_cast<std::uint32_t>(o));
  std::vector<float> values(static_cast<std::size_t>(out * in));
  const hass_cpu_embedding_args args = {out, in, out, dtype, weight, tokens.data(), values.data(), in};
  test::execute(kernels, HASS_CPU_EMBEDDING, &args, test::whole);
  return values;
}

void check_linear(const Kernels &kernels, Random &random, Report &report, std::int32_t dtype) {
  const bool takes_integers = dtype == HASS_Q4 || dtype == HASS_Q8 || dtype == HASS_Q4K;
  const std::int32_t block = takes_integers ? random.pick({0, 16, 32}) : 0;
  const std::int64_t rows = random.integer(1, 9), in = test::inputs_of(random, dtype, 640), out = random.integer(1, 70);
  const Aligned weight = test::random_weight(random, dtype, out, in, 0);
  const std::vector<float> w = unpack(kernels, dtype, out, in, weight.get());
  const std::vector<float> x = random.floats(rows * in), bias = random.floats(out), residual = random.floats(rows * out);
  const Aligned quantized(static_cast<std::size_t>(rows) * hass_cpu_quantized_row_bytes(in, block == 0 ? 32 : block));
  if (block != 0) {
    const hass_cpu_quantize_args args = {rows, in, block, x.data(), in, quantized.get()};
    test::execute(kernels, HASS_CPU_QUANTIZE, &args, test::whole);
  }
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  const hass_cpu_linear_args args = {rows,     in,  out,         dtype,           block, weight.get(), quantized.get(),
                                     x.data(), in,  bias.data(), residual.data(), out,   y.data(),     out};
  test::execute(kernels, HASS_CPU_LINEAR, &args, test::whole);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = 0, magnitude = 0, rounding = 0;
      for (std::int64_t b = 0; b < in; b += block == 0 ? 32 : block) {
        double largest = 0, weights = 0;
        for (std::int64_t i = b; i < b + (block == 0 ? 32 : block); ++i) {
          const double xi = x[static_cast<std::size_t>(r * in + i)], wi = w[static_cast<std::size_t>(o * in + i)];
          sum += xi * wi;
          magnitude += std::fabs(xi * wi);
          largest = std::fmax(largest, std::fabs(xi));
          weights += std::fabs(wi);
        }
        // Half a step of the activation's grid for each weight.
        rounding += block == 0 ? 0 : 0.5001 * largest / 127 * weights;
      }
      const double expected = sum + bias[static_cast<std::size_t>(o)] + residual[static_cast<std::size_t>(r * out + o)];
      report.check(is_near(y[static_cast<std::size_t>(r * out + o)], expected, rounding + 1e-5 * (magnitude + 1)),
                   "linear dtype " + std::to_string(dtype) + " block " + std::to_string(block));
    }
  }
}

// A NaN or an infinity makes its row NaN, and no other.
void check_poison(const Kernels &kernels, Random &random, Report &report) {
  const std::int32_t block = random.pick({16, 32}), dtype = random.pick({HASS_Q4, HASS_Q8, HASS_Q4K});
  const std::int64_t rows = random.integer(2, 9), in = test::inputs_of(random, dtype, 512), out = random.integer(1, 40);
  const Aligned weight = test::random_weight(random, dtype, out, in, 0);
  std::vector<float> x = random.floats(rows * in), y(static_cast<std::size_t>(rows * out));
  const std::int64_t poisoned = random.integer(0, rows - 1);
  x[static_cast<std::size_t>(poisoned * in + random.integer(0, in - 1))] = random.pick<float>({NAN, INFINITY, -INFINITY});
  const Aligned quantized(static_cast<std::size_t>(rows) * hass_cpu_quantized_row_bytes(in, block));
  const hass_cpu_quantize_args quantize = {rows, in, block, x.data(), in, quantized.get()};
  test::execute(kernels, HASS_CPU_QUANTIZE, &quantize, test::whole);
  const hass_cpu_linear_args args = {rows,    in, out,     dtype,   block, weight.get(), quantized.get(),
                                     nullptr, 0,  nullptr, nullptr, 0,     y.data(),     out};
  test::execute(kernels, HASS_CPU_LINEAR, &args, test::whole);
  for (std::int64_t i = 0; i < rows * out; ++i) {
    const float value = y[static_cast<std::size_t>(i)];
    report.check(i / out == poisoned ? std::isnan(value) : std::isfinite(value), "a poisoned row");
  }
}

void check_norm_and_silu(const Kernels &kernels, Random &random, Report &report) {
  const std::int64_t size = random.integer(1, 700);
  const auto x = random.floats(size, 0, 5), weight = random.floats(size);
  std::vector<float> y(static_cast<std::size_t>(size));
  const hass_cpu_rms_norm_args norm = {1,    1,       size, 1e-5f,         x.data(), size,    nullptr,
                                       size, nullptr, size, weight.data(), y.data(), size};
  test::execute(kernels, HASS_CPU_RMS_NORM, &norm, test::whole);
  double squares = 0;
  for (const float value : x) squares += double(value) * value;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + double(1e-5f));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double expected = x[i] * scale * weight[i];
    report.check(is_near(y[i], expected, 1e-5 * std::fabs(expected) + 1e-12), "rms norm");
  }
  const hass_cpu_binary_args product = {1, size, x.data(), size, weight.data(), size, y.data(), size};
  test::execute(kernels, HASS_CPU_SILU_MUL, &product, test::whole);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double expected = silu(x[i]) * weight[i];
    report.check(is_near(y[i], expected, 1e-6 * std::fabs(expected) + 1e-35), "silu mul");
  }
}

// exp over its whole range, through silu(-x) = -x / (1 + exp(x)).
void check_exponential(const Kernels &kernels, Report &report) {
  std::vector<float> x, ones, y;
  for (float value = -100.0f; value < 88.0f; value += 0.00731f) x.push_back(-value);
  ones.assign(x.size(), 1.0f);
  y.resize(x.size());
  const auto size = static_cast<std::int64_t>(x.size());
  const hass_cpu_binary_args args = {1, size, x.data(), size, ones.data(), size, y.data(), size};
  test::execute(kernels, HASS_CPU_SILU_MUL, &args, test::whole);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = silu(x[i]);
    report.check(is_near(y[i], expected, 4e-7 * std::fabs(expected)), "silu of " + std::to_string(x[i]));
  }
}

void check_log_softmax(const Kernels &kernels, Random &random, Report &report) {
  const std::int64_t columns = random.integer(1, 5000);
  auto x = random.floats(columns, 0, random.pick({0.1f, 4.0f, 30.0f}));
  const auto source = x;
  hass_cpu_rows_args args = {};
  args.rows = 1;
  args.columns = args.x_stride = args.y_stride = columns;
  args.x = args.y = x.data();
  test::execute(kernels, HASS_CPU_LOG_SOFTMAX, &args, test::whole);
  double largest = -INFINITY, total = 0;
  for (const float value : source) largest = std::fmax(largest, value);
  for (const float value : source) total += std::exp(value - largest);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = source[i] - largest - std::log(total);
    report.check(is_near(x[i], expected, 1e-6 * std::fabs(expected) + 1e-6), "log softmax");
  }
}

void check_rope(const Kernels &kernels, Random &random, Report &report) {
  const std::int64_t size = 2 * random.integer(1, 40);
  const std::int32_t pairing = random.pick({0, 1});
  const auto x = random.floats(size), table = random.floats(2 * size);
  const std::uint32_t position = 1;
  std::vector<float> y(x.size());
  const hass_cpu_rope_args args = {1, 1, size, pairing, &position, table.data(), x.data(), size, y.data(), size};
  test::execute(kernels, HASS_CPU_ROPE, &args, test::whole);
  for (std::int64_t i = 0; i < size / 2; ++i) {
    const auto first = static_cast<std::size_t>(pairing == 0 ? i : 2 * i);
    const auto second = static_cast<std::size_t>(pairing == 0 ? i + size / 2 : 2 * i + 1);
    const double c = table[static_cast<std::size_t>(size + i)], s = table[static_cast<std::size_t>(size + size / 2 + i)];
    report.check(is_near(y[first], x[first] * c - x[second] * s, 2e-6) &&
                     is_near(y[second], x[second] * c + x[first] * s, 2e-6),
                 "rope");
  }
}

void check_attention(const Kernels &kernels, Random &random, Report &report) {
  const std::int64_t kv_heads = random.integer(1, 3), heads = kv_heads * random.integer(1, 4);
  const std::int64_t size = random.integer(1, 72), committed = random.integer(0, 40), rows = random.integer(1, 9);
  const std::int64_t slots = committed + rows, columns = kv_heads * size, width = heads * size;
  const auto keys = random.floats(slots * columns), values = random.floats(slots * columns);
  const auto q = random.floats(rows * width);
  std::vector<std::uint32_t> sequence(static_cast<std::size_t>(rows)), offsets = {0, static_cast<std::uint32_t>(committed)};
  std::vector<std::uint32_t> context, ancestor_offsets = {0}, ancestors;
  for (std::int64_t s = 0; s < committed; ++s) context.push_back(static_cast<std::uint32_t>(slots - 1 - s));
  for (std::int64_t r = 0; r < rows; ++r) {  // a chain
    for (std::int64_t a = 0; a <= r; ++a) ancestors.push_back(static_cast<std::uint32_t>(a));
    ancestor_offsets.push_back(static_cast<std::uint32_t>(ancestors.size()));
  }
  std::vector<float> y(q.size());
  const float scale = 0.2f;
  const hass_cpu_attention_args args = {rows,     heads,           kv_heads,       size,           scale,
                                        HASS_F32, slots,           q.data(),       width,          keys.data(),
                                        values.data(), columns,    sequence.data(), offsets.data(), context.data(),
                                        ancestor_offsets.data(),   ancestors.data(), y.data(),     width};
  test::execute(kernels, HASS_CPU_TREE_ATTENTION, &args, test::whole);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<std::uint32_t> path = context;
    for (std::int64_t a = 0; a <= r; ++a) path.push_back(static_cast<std::uint32_t>(a));
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t group = h / (heads / kv_heads) * size;
      std::vector<double> weights, sums(static_cast<std::size_t>(size));
      double total = 0;
      for (const std::uint32_t slot : path) {
        double score = 0;
        for (std::int64_t d = 0; d < size; ++d) {
          score += double(q[static_cast<std::size_t>(r * width + h * size + d)]) *
                   keys[static_cast<std::size_t>(slot * columns + group + d)];
        }
        weights.push_back(std::exp(score * scale));
        total += weights.back();
      }
      for (std::int64_t d = 0; d < size; ++d) {
        double expected = 0;
        for (std::size_t j = 0; j < path.size(); ++j) {
          expected += weights[j] / total * values[static_cast<std::size_t>(path[j] * columns + group + d)];
        }
        report.check(is_near(y[static_cast<std::size_t>(r * width + h * size + d)], expected, 1e-5), "tree attention");
      }
    }
  }
}

void check_choices(const Kernels &kernels, Random &random, Report &report) {
  const std::int64_t columns = random.integer(1, 300), k = random.integer(1, columns);
  auto x = random.floats(columns);
  for (float &value : x) value = random.chance(0.05) ? NAN : std::nearbyint(value * 2);
  std::vector<std::uint32_t> order, ids(static_cast<std::size_t>(k));
  const auto value_of = [&](std::uint32_t id) { return std::isnan(x[id]) ? -INFINITY : x[id]; };
  for (std::int64_t i = 0; i < columns; ++i) {  // insertion sort: stable, so equals stay by rising id
    std::size_t at = order.size();
    while (at > 0 && value_of(order[at - 1]) < value_of(static_cast<std::uint32_t>(i))) --at;
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint32_t>(i));
  }
  std::vector<float> values(ids.size());
  std::uint32_t token = 0;
  hass_cpu_rows_args args = {1, columns, k, x.data(), columns, &token, ids.data(), values.data(), nullptr, 0};
  test::execute(kernels, HASS_CPU_ARG_MAX, &args, test::whole);
  test::execute(kernels, HASS_CPU_TOP_K, &args, test::whole);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    report.check(ids[i] == order[i] && values[i] == value_of(order[i]), "top k");
  }
  report.check(token == (value_of(order[0]) == -INFINITY ? 0 : order[0]), "arg max");

  const double temperature = random.pick({0.4f, 1.0f, 2.0f});
  const std::uint32_t position = 77, seed[2] = {5, 6};
  const hass_cpu_gumbel_args gumbel = {1, columns, x.data(), columns, &temperature, &position, seed, &token};
  test::execute(kernels, HASS_CPU_GUMBEL_ARG_MAX, &gumbel, test::whole);
  // Without screening: the key of each token alone, two at a time, against the winner.
  for (std::uint32_t v = 0; v < static_cast<std::uint32_t>(columns); ++v) {
    if (v == token || std::isnan(x[token])) continue;
    std::vector<float> pair(static_cast<std::size_t>(columns), -INFINITY);
    pair[v] = x[v];
    pair[token] = x[token];
    std::uint32_t winner = 0;
    const hass_cpu_gumbel_args duel = {1, columns, pair.data(), columns, &temperature, &position, seed, &winner};
    test::execute(kernels, HASS_CPU_GUMBEL_ARG_MAX, &duel, test::whole);
    report.check(winner == token, "gumbel arg max");
  }
}

// The Gumbel-max method draws from the softmax: frequencies over many positions.
void check_gumbel_distribution(const Kernels &kernels, Report &report) {
  const float x[4] = {0.0f, 1.0f, -1.0f, 0.5f};
  const double temperature = 1.25;
  const int draws = 20000;
  double weights[4], total = 0, squares = 0;
  int counts[4] = {0, 0, 0, 0};
  for (int v = 0; v < 4; ++v) total += weights[v] = std::exp(double(x[v]) / temperature);
  for (std::uint32_t position = 0; position < draws; ++position) {
    const std::uint32_t seed[2] = {123, 456};
    std::uint32_t token = 0;
    const hass_cpu_gumbel_args args = {1, 4, x, 4, &temperature, &position, seed, &token};
    test::execute(kernels, HASS_CPU_GUMBEL_ARG_MAX, &args, test::whole);
    ++counts[token];
  }
  for (int v = 0; v < 4; ++v) {
    const double expected = draws * weights[v] / total;
    squares += (counts[v] - expected) * (counts[v] - expected) / expected;
  }
  report.check(squares < 21.1, "gumbel distribution, chi-square " + std::to_string(squares));  // p = 1e-4, 3 degrees
}

}  // namespace

int main() {
  const char *names[8];
  Report report;
  for (std::int32_t i = 0, count = hass_cpu_isa_names(names, 8); i < count; ++i) {
    const Kernels &kernels = *hass_cpu_select(names[i]);
    Random random(3);
    for (int round = 0; round < 40; ++round) {
      for (const std::int32_t dtype : {HASS_F32, HASS_F16, HASS_BF16, HASS_Q4, HASS_Q8, HASS_Q4K, HASS_F8}) {
        check_linear(kernels, random, report, dtype);
      }
      check_poison(kernels, random, report);
      check_norm_and_silu(kernels, random, report);
      check_log_softmax(kernels, random, report);
      check_rope(kernels, random, report);
      check_attention(kernels, random, report);
      check_choices(kernels, random, report);
    }
    check_exponential(kernels, report);
    check_gumbel_distribution(kernels, report);
  }
  return report.finish("accuracy");
}
