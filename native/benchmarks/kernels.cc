// One thread, kernel by kernel: GMAC/s by number of rows, beside register peaks and read bandwidth of the same run.
// `node run.mjs` builds and runs it.
#include <cstdio>
#include <memory>
#include <random>

#include "../cpu/ops.h"
#include "peaks.h"

namespace {

using benchmark::Times;

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocate(std::size_t bytes) {
  const std::size_t whole = (bytes + 63) / 64 * 64;
  Memory memory(std::aligned_alloc(64, whole));
  std::memset(memory.get(), 0, whole);
  return memory;
}

std::vector<float> random_floats(std::int64_t count) {
  static std::minstd_rand engine(1);
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float &value : values) value = distribution(engine);
  return values;
}

void print_row(const char *name, std::int64_t rows, const Times &times, double macs, double peak, double bytes) {
  std::printf("%-28s rows %4lld   %9.1f %9.1f %9.1f us   %6.1f GMAC/s", name, static_cast<long long>(rows),
              times.min * 1e6, times.median * 1e6, times.max * 1e6, macs / times.min / 1e9);
  if (peak > 0) std::printf("   %3.0f %% of %.0f", 100 * macs / times.min / 1e9 / peak, peak);
  if (bytes > 0) std::printf("   %5.1f GB/s", bytes / times.min / 1e9);
  std::printf("\n");
}

void bench_linear(const hass_cpu_kernels &kernels, const char *name, std::int32_t dtype, std::int64_t out,
                  std::int64_t in, std::int32_t block, int repetitions) {
  const std::size_t weight_bytes = hass_cpu_packed_bytes(dtype, out, in);
  const Memory weight = allocate(weight_bytes);
  if (dtype == HASS_F16 || dtype == HASS_BF16) {
    const std::vector<std::uint16_t> values(static_cast<std::size_t>(out * in), 0x3c00);
    hass_cpu_pack(dtype, out, in, dtype == HASS_F16 ? HASS_FORMAT_F16 : HASS_FORMAT_BF16, 0, out, values.data(),
                  weight.get());
  } else {
    hass_cpu_pack(dtype, out, in, HASS_FORMAT_F32, 0, out, random_floats(out * in).data(), weight.get());
  }
  for (const std::int64_t rows : {1, 2, 3, 4, 6, 8, 16, 64}) {
    const std::vector<float> x = random_floats(rows * in);
    std::vector<float> y(static_cast<std::size_t>(rows * out));
    const Memory quantized = allocate(static_cast<std::size_t>(rows) * hass_cpu_quantized_row_bytes(in, 16));
    if (block != 0) {
      const hass_cpu_quantize_args args = {rows, in, block, x.data(), in, quantized.get()};
      kernels.run[HASS_CPU_QUANTIZE](&args, 0, rows, nullptr);
    }
    const hass_cpu_linear_args args = {rows, in,      out,     dtype, block,    weight.get(), quantized.get(), x.data(),
                                       in,   nullptr, nullptr, 0,     y.data(), out};
    const std::int64_t units = hass_cpu_units(HASS_CPU_LINEAR, &args);
    const double peak = block != 0 ? benchmark::int8_peak() : benchmark::fma_peak();
    const Times times =
        benchmark::time_of(repetitions, [&] { kernels.run[HASS_CPU_LINEAR](&args, 0, units, nullptr); });
    const double macs = static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
    print_row(name, rows, times, macs, peak, rows == 1 ? static_cast<double>(weight_bytes) : 0);
  }
}

// Or of a's transpose, on top of c, with b packed beforehand. Processor time.
void bench_product(const hass_cpu_kernels &kernels, const char *name, std::int64_t rows, std::int64_t columns,
                   std::int64_t inner, bool is_transposed) {
  const std::vector<float> a = random_floats(rows * inner), b = random_floats(inner * columns);
  std::vector<float> c(static_cast<std::size_t>(rows * columns));
  const Memory panels = allocate(static_cast<std::size_t>((columns + 15) / 16 * 16 * inner) * sizeof(float));
  const hass_cpu_panels_args pack = {inner, columns, columns, 1, b.data(), static_cast<float *>(panels.get())};
  kernels.run[HASS_CPU_PANELS](&pack, 0, hass_cpu_units(HASS_CPU_PANELS, &pack), nullptr);
  hass_cpu_product_args args = {};
  args.rows = rows;
  args.columns = args.c_stride = columns;
  args.inner = inner;
  args.a = a.data();
  args.a_row_stride = is_transposed ? 1 : inner;
  args.a_inner_stride = is_transposed ? rows : 1;
  args.panels = pack.panels;
  args.is_added = is_transposed;
  args.c = c.data();
  const Memory scratch = allocate(hass_cpu_scratch_bytes(HASS_CPU_PRODUCT, &args));
  const std::int64_t units = hass_cpu_units(HASS_CPU_PRODUCT, &args);
  const Times times =
      benchmark::processor_time_of(15, [&] { kernels.run[HASS_CPU_PRODUCT](&args, 0, units, scratch.get()); });
  const double macs = static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(inner);
  print_row(name, rows, times, macs, benchmark::fma_peak(), 0);
}

void bench_distillation(const hass_cpu_kernels &kernels, std::int64_t rows, std::int64_t columns, std::int64_t tokens) {
  const std::vector<float> prediction = random_floats(rows * columns), target = random_floats(rows * columns);
  const std::vector<float> probs(static_cast<std::size_t>(rows * tokens), 1.0f / static_cast<float>(tokens));
  const std::vector<float> weights(static_cast<std::size_t>(rows), 1.0f), head = random_floats(columns * tokens);
  std::vector<float> losses(static_cast<std::size_t>(rows * 4)), gradient(prediction.size());
  const hass_cpu_distillation_args args = {rows,           columns,        tokens,       10,          1.0f,
                                           0.1f,           1.0f,           prediction.data(), target.data(),
                                           probs.data(),   head.data(),    head.data(),  weights.data(),
                                           weights.data(), losses.data(),  gradient.data()};
  const Memory scratch = allocate(hass_cpu_scratch_bytes(HASS_CPU_DISTILLATION, &args));
  const std::int64_t units = hass_cpu_units(HASS_CPU_DISTILLATION, &args);
  const Times times =
      benchmark::processor_time_of(9, [&] { kernels.run[HASS_CPU_DISTILLATION](&args, 0, units, scratch.get()); });
  const double macs = 2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(tokens);
  print_row("distillation over 8192", rows, times, macs, benchmark::fma_peak(), 0);
}

void bench_attention(const hass_cpu_kernels &kernels, std::int32_t dtype, std::int64_t rows, std::int64_t committed) {
  const std::int64_t heads = 9, kv_heads = 3, size = 64, slots = committed + rows, columns = kv_heads * size;
  const std::vector<float> q = random_floats(rows * heads * size), source = random_floats(slots * columns);
  const Memory cache = allocate(static_cast<std::size_t>(slots * columns) * 4);
  std::vector<std::uint32_t> all, sequence(static_cast<std::size_t>(rows)), ancestor_offsets = {0}, ancestors;
  for (std::uint32_t s = 0; s < slots; ++s) all.push_back(s);
  const std::uint32_t offsets[2] = {0, static_cast<std::uint32_t>(committed)};
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t a = 0; a <= r; ++a) ancestors.push_back(static_cast<std::uint32_t>(committed + a));
    ancestor_offsets.push_back(static_cast<std::uint32_t>(ancestors.size()));
  }
  const hass_cpu_cache_write_args write = {slots, columns, dtype, all.data(), source.data(), columns, cache.get(), columns};
  kernels.run[HASS_CPU_CACHE_WRITE](&write, 0, slots, nullptr);
  std::vector<float> y(q.size());
  const hass_cpu_attention_args args = {rows,     heads,      kv_heads,   size,        0.125f,          dtype,
                                        slots,    q.data(),   heads * size, cache.get(), cache.get(),   columns,
                                        sequence.data(), offsets, all.data(), ancestor_offsets.data(), ancestors.data(),
                                        y.data(), heads * size};
  const Memory scratch = allocate(hass_cpu_scratch_bytes(HASS_CPU_TREE_ATTENTION, &args));
  const std::int64_t units = hass_cpu_units(HASS_CPU_TREE_ATTENTION, &args);
  const double peak = benchmark::fma_peak();
  const Times times = benchmark::time_of(
      60, [&] { kernels.run[HASS_CPU_TREE_ATTENTION](&args, 0, units, scratch.get()); });
  const double context = static_cast<double>(committed) + static_cast<double>(rows + 1) / 2;
  const double macs = 2.0 * static_cast<double>(rows * heads * size) * context;
  print_row(dtype == HASS_F32 ? "attention f32 cache" : "attention f16 cache", rows, times, macs, peak, 0);
}

template <class Arguments>
void bench_rows(const hass_cpu_kernels &kernels, const char *name, hass_cpu_stage stage, const Arguments &args,
                std::int64_t elements) {
  const std::int64_t units = hass_cpu_units(stage, &args);
  const Times times = benchmark::time_of(200, [&] { kernels.run[stage](&args, 0, units, nullptr); });
  std::printf("%-28s rows %4lld   %9.2f %9.2f %9.2f us   %6.3f ns an element\n", name, static_cast<long long>(units),
              times.min * 1e6, times.median * 1e6, times.max * 1e6, times.min * 1e9 / static_cast<double>(elements));
}

}  // namespace

int main(int argc, char **argv) {
  const hass_cpu_kernels *selected = hass_cpu_select(argc > 1 ? argv[1] : "auto");
  if (!selected) {
    std::fprintf(stderr, "instruction sets of this machine: ");
    const char *names[8];
    for (std::int32_t i = 0, count = hass_cpu_isa_names(names, 8); i < count; ++i) std::fprintf(stderr, "%s ", names[i]);
    std::fprintf(stderr, "\n");
    return 1;
  }
  const hass_cpu_kernels &kernels = *selected;
  std::printf("instruction set %s, one thread; times: minimum, median, maximum\n", kernels.isa);
  std::printf("read bandwidth %.1f GB/s, int8 peak %.0f GMAC/s, float32 peak %.0f GMAC/s\n", benchmark::read_bandwidth(),
              benchmark::int8_peak(), benchmark::fma_peak());
  bench_linear(kernels, "Q4 576 -> 1536", HASS_Q4, 1536, 576, 32, 100);
  bench_linear(kernels, "Q4 1536 -> 576", HASS_Q4, 576, 1536, 32, 100);
  bench_linear(kernels, "Q4 576 -> 1536, block 16", HASS_Q4, 1536, 576, 16, 100);
  bench_linear(kernels, "Q8 576 -> 49152", HASS_Q8, 49152, 576, 32, 9);
  bench_linear(kernels, "F32 576 -> 1536", HASS_F32, 1536, 576, 0, 40);
  bench_linear(kernels, "F16 576 -> 1536", HASS_F16, 1536, 576, 0, 40);
  bench_linear(kernels, "Q4 576 -> 1536, block 0", HASS_Q4, 1536, 576, 0, 10);
  for (const std::int32_t dtype : {HASS_F32, HASS_F16}) {
    bench_attention(kernels, dtype, 1, 256);
    bench_attention(kernels, dtype, 8, 256);
    bench_attention(kernels, dtype, 256, 0);
  }
  bench_product(kernels, "product 1152 -> 576", 512, 576, 1152, false);
  bench_product(kernels, "product 576 -> 1536", 512, 1536, 576, false);
  bench_product(kernels, "product 1536 -> 576", 512, 576, 1536, false);
  bench_product(kernels, "product 576 -> 8192", 512, 8192, 576, false);
  bench_product(kernels, "gradient [1536, 576] of 512", 1536, 576, 512, true);
  bench_product(kernels, "gradient [576, 1152] of 2000", 576, 1152, 2000, true);
  bench_distillation(kernels, 192, 576, 8192);
  const std::int64_t rows = 16, width = 1536, vocabulary = 49152;
  const std::vector<float> x = random_floats(rows * vocabulary), weight = random_floats(width);
  std::vector<float> y(x.size());
  std::vector<std::uint32_t> words(static_cast<std::size_t>(rows) * 64);
  const Memory quantized = allocate(static_cast<std::size_t>(rows) * hass_cpu_quantized_row_bytes(width, 32));
  const hass_cpu_quantize_args quantize = {rows, width, 32, x.data(), width, quantized.get()};
  bench_rows(kernels, "quantize 1536", HASS_CPU_QUANTIZE, quantize, rows * width);
  const hass_cpu_rms_norm_args norm = {rows,  1,       width, 1e-5f,         x.data(), width, nullptr,
                                       width, nullptr, width, weight.data(), y.data(), width};
  bench_rows(kernels, "rms norm 1536", HASS_CPU_RMS_NORM, norm, rows * width);
  const hass_cpu_binary_args silu = {rows, width, x.data(), width, x.data(), width, y.data(), width};
  bench_rows(kernels, "silu mul 1536", HASS_CPU_SILU_MUL, silu, rows * width);
  hass_cpu_rows_args choice = {1, vocabulary, 10, x.data(), vocabulary, words.data(), words.data(), y.data(), y.data(), vocabulary};
  bench_rows(kernels, "arg max 49152", HASS_CPU_ARG_MAX, choice, vocabulary);
  bench_rows(kernels, "top 10 of 49152", HASS_CPU_TOP_K, choice, vocabulary);
  bench_rows(kernels, "log softmax 49152", HASS_CPU_LOG_SOFTMAX, choice, vocabulary);
  const double temperature = 1.0;
  const std::uint32_t position = 3, seed[2] = {1, 2};
  const hass_cpu_gumbel_args gumbel = {1, vocabulary, x.data(), vocabulary, &temperature, &position, seed, words.data()};
  bench_rows(kernels, "gumbel arg max 49152", HASS_CPU_GUMBEL_ARG_MAX, gumbel, vocabulary);
  return 0;
}
