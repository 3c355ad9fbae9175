// Cases of the linear stages and the embedding.
#include "case_groups.h"

namespace test {

Aligned random_weight(Random &random, std::int32_t dtype, std::int64_t out, std::int64_t in, double hostility) {
  Aligned packed(hass_cpu_packed_bytes(dtype, out, in));
  const hass_format format = dtype == HASS_F32    ? HASS_FORMAT_F32
                             : dtype == HASS_F16  ? HASS_FORMAT_F16
                             : dtype == HASS_BF16 ? HASS_FORMAT_BF16
                             : dtype == HASS_Q4   ? HASS_FORMAT_Q4_1
                             : dtype == HASS_Q4K  ? HASS_FORMAT_Q4_K
                             : dtype == HASS_F8   ? HASS_FORMAT_F8_128
                                                  : HASS_FORMAT_Q8_0;
  Bytes source(hass_cpu_format_row_bytes(format, in) * static_cast<std::size_t>(out));
  // Random bytes are every nibble, integer and exponent; the exponents of 16-bit floats are then kept in bounds.
  for (std::uint8_t &byte : source) byte = static_cast<std::uint8_t>(random.integer(0, 255));
  const auto tame = [&](std::size_t at) {
    if (random.chance(hostility)) return;
    const std::uint8_t exponent = static_cast<std::uint8_t>(dtype == HASS_BF16 ? 0x3f : random.integer(0x20, 0x2b));
    source[at + 1] = static_cast<std::uint8_t>((source[at + 1] & 0x80) | exponent);
  };
  if (dtype == HASS_F32) {
    const std::vector<float> values = random.floats(out * in, hostility);
    std::memcpy(source.data(), values.data(), source.size());
  } else if (dtype == HASS_F16 || dtype == HASS_BF16) {
    for (std::size_t i = 0; i < source.size(); i += 2) tame(i);
  } else if (dtype == HASS_F8) {
    for (std::size_t i = 0; i < source.size(); i += 132) {
      const float scale = random.chance(hostility) ? random.hostile() : std::fabs(random.normal()) / 64;
      std::memcpy(source.data() + i, &scale, sizeof scale);
      for (std::size_t j = i + 4; j < i + 132; ++j) {
        if ((source[j] & 0x7f) == 0x7f && !random.chance(hostility)) source[j] ^= 1;
      }
    }
  } else {
    const std::size_t block = dtype == HASS_Q4 ? 20 : dtype == HASS_Q8 ? 34 : 144;
    for (std::size_t i = 0; i < source.size(); i += block) {
      tame(i);
      if (dtype != HASS_Q8) tame(i + 2);
    }
  }
  if (hass_cpu_pack(dtype, out, in, format, 0, out, source.data(), packed.get()) != HASS_STATUS_OK) std::abort();
  return packed;
}

std::int64_t inputs_of(Random &random, std::int32_t dtype, std::int64_t most) {
  const std::int64_t block = dtype == HASS_Q4K ? 256 : dtype == HASS_F8 ? 128 : 32;
  return block * random.integer(1, (most + block - 1) / block);
}

namespace {

struct LinearInputs {
  std::int64_t rows, in, out, x_stride, residual_stride;
  std::int32_t dtype, block;
  std::vector<float> x, bias, residual;
  std::shared_ptr<Aligned> weight;
};

LinearInputs linear_inputs(Random &random, double hostility, std::int32_t block, bool has_residual) {
  LinearInputs i;
  i.rows = random.integer(1, 33);
  i.block = block;
  i.dtype = block != 0 ? random.pick({HASS_Q4, HASS_Q8, HASS_Q4K})
                         : random.pick({HASS_F32, HASS_F16, HASS_BF16, HASS_Q4, HASS_Q8, HASS_Q4K, HASS_F8});
  i.in = i.dtype >= HASS_Q4 ? inputs_of(random, i.dtype, i.dtype == HASS_Q4K ? 600 : 288) : random.integer(1, 300);
  i.out = random.integer(1, 90);
  i.x_stride = i.in + random.integer(0, 3);
  i.residual_stride = i.out + random.integer(0, 3);
  i.x = random.floats(i.rows * i.x_stride, hostility / 20, random.pick({1.0f, 100.0f, 1e-3f, 1e-38f}));
  if (random.chance(0.5)) i.bias = random.floats(i.out, hostility / 20);
  if (has_residual && random.chance(0.5)) i.residual = random.floats(i.rows * i.residual_stride, hostility / 20);
  i.weight = std::make_shared<Aligned>(random_weight(random, i.dtype, i.out, i.in, hostility / 20));
  return i;
}

std::vector<Bytes> run_linear(const LinearInputs &i, hass_cpu_stage stage, const hass_cpu_kernels &kernels,
                              const std::vector<std::int64_t> &rows, Split split) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t columns = stage == HASS_CPU_LINEAR ? i.out : i.out / 2, y_stride = columns + 1;
  std::vector<float> x, residual, y(static_cast<std::size_t>(count * y_stride), NAN);
  for (const std::int64_t r : rows) {
    x.insert(x.end(), i.x.begin() + r * i.x_stride, i.x.begin() + (r + 1) * i.x_stride);
    if (!i.residual.empty()) {
      residual.insert(residual.end(), i.residual.begin() + r * i.residual_stride,
                      i.residual.begin() + (r + 1) * i.residual_stride);
    }
  }
  const Aligned quantized(
      i.block != 0 ? hass_cpu_quantized_row_bytes(i.in, i.block) * static_cast<std::size_t>(count) : 0, 0xff);
  if (i.block != 0) {
    const hass_cpu_quantize_args args = {count, i.in, i.block, x.data(), i.x_stride, quantized.get()};
    execute(kernels, HASS_CPU_QUANTIZE, &args, split);
  }
  hass_cpu_linear_args args = {};
  args.rows = count;
  args.in = i.in;
  args.out = i.out;
  args.weight_dtype = i.dtype;
  args.activation_block = i.block;
  args.weight = i.weight->get();
  args.quantized = quantized.get();
  args.x = x.data();
  args.x_stride = i.x_stride;
  args.bias = i.bias.empty() ? nullptr : i.bias.data();
  args.residual = residual.empty() ? nullptr : residual.data();
  args.residual_stride = i.residual_stride;
  args.y = y.data();
  args.y_stride = y_stride;
  execute(kernels, stage, &args, split);
  std::vector<Bytes> result;
  for (std::int64_t r = 0; r < count; ++r) result.push_back(bytes_of_floats(y.data() + r * y_stride, columns));
  return result;
}

std::string linear_name(const LinearInputs &i, const char *name) {
  return std::string(name) + " dtype " + std::to_string(i.dtype) + " block " + std::to_string(i.block) + " [" +
         std::to_string(i.rows) + ", " + std::to_string(i.in) + "] -> " + std::to_string(i.out);
}

}  // namespace

void add_linear_cases(Random &random, double hostility, std::vector<Case> &cases) {
  for (const std::int32_t block : {0, 16, 32}) {
    for (const hass_cpu_stage stage : {HASS_CPU_LINEAR, HASS_CPU_LINEAR_SILU_MUL}) {
      const bool is_plain = stage == HASS_CPU_LINEAR;
      auto inputs = std::make_shared<LinearInputs>(linear_inputs(random, hostility, block, is_plain));
      if (!is_plain) {
        inputs->out = inputs->out / 2 * 2 + 2;
        if (!inputs->bias.empty()) inputs->bias = random.floats(inputs->out);
        inputs->weight =
            std::make_shared<Aligned>(random_weight(random, inputs->dtype, inputs->out, inputs->in, hostility / 20));
      }
      cases.push_back({linear_name(*inputs, is_plain ? "linear" : "linear silu mul"), inputs->rows, block != 0,
                       [=](const hass_cpu_kernels &kernels, const std::vector<std::int64_t> &rows, Split split) {
                         return run_linear(*inputs, stage, kernels, rows, split);
                       }});
    }
  }

  const std::int32_t dtype = random.pick({HASS_F32, HASS_F16, HASS_BF16, HASS_Q4, HASS_Q8, HASS_Q4K, HASS_F8});
  const std::int64_t in = inputs_of(random, dtype, dtype < HASS_Q4K ? 160 : 512), out = random.integer(1, 40), count = random.integer(1, 9);
  const auto weight = std::make_shared<Aligned>(random_weight(random, dtype, out, in, hostility));
  std::vector<std::uint32_t> tokens;
  for (std::int64_t r = 0; r < count; ++r) tokens.push_back(static_cast<std::uint32_t>(random.integer(0, out - 1)));
  cases.push_back({"embedding dtype " + std::to_string(dtype), count, true,
                   [=](const hass_cpu_kernels &kernels, const std::vector<std::int64_t> &rows, Split split) {
                     std::vector<std::uint32_t> chosen;
                     for (const std::int64_t r : rows) chosen.push_back(tokens[static_cast<std::size_t>(r)]);
                     std::vector<float> y(rows.size() * static_cast<std::size_t>(in));
                     const hass_cpu_embedding_args args = {static_cast<std::int64_t>(rows.size()), in, out, dtype,
                                                           weight->get(), chosen.data(), y.data(), in};
                     execute(kernels, HASS_CPU_EMBEDDING, &args, split);
                     std::vector<Bytes> result;
                     for (std::size_t r = 0; r < rows.size(); ++r) {
                       result.push_back(bytes_of_floats(y.data() + r * static_cast<std::size_t>(in), in));
                     }
                     return result;
                   }});
}

}  // namespace test
