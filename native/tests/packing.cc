// File formats and 16-bit floats: what was packed is what is read back.
#include "cases.h"

namespace {

using test::Aligned;
using test::Bytes;
using test::Random;
using test::Report;

// Written apart from the kernels' own conversions.
double value_of_half(std::uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double magnitude = exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

// Float8 e4m3: sign, 4 bits of exponent with bias 7, 3 of fraction; no infinities, all ones is NaN.
double value_of_f8(std::uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude = exponent == 15 && mantissa == 7 ? NAN
                           : exponent == 0                 ? std::ldexp(mantissa, -9)
                                                           : std::ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

std::uint16_t half_at(const Bytes &bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

double value_in_file(hass_format format, const Bytes &row, std::size_t i) {
  const std::size_t block = i / 32, j = i % 32;
  const auto nibble = [&](std::size_t at) { return j < 16 ? row[at + j] & 15 : row[at + j - 16] >> 4; };
  switch (format) {
    case HASS_FORMAT_F32: {
      float value;
      std::memcpy(&value, row.data() + 4 * i, 4);
      return value;
    }
    case HASS_FORMAT_F16: return value_of_half(half_at(row, 2 * i));
    case HASS_FORMAT_BF16: {
      const std::uint32_t bits = static_cast<std::uint32_t>(half_at(row, 2 * i)) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    case HASS_FORMAT_Q4_0: return value_of_half(half_at(row, block * 18)) * (nibble(block * 18 + 2) - 8);
    case HASS_FORMAT_Q4_1:
      return value_of_half(half_at(row, block * 20)) * nibble(block * 20 + 4) + value_of_half(half_at(row, block * 20 + 2));
    case HASS_FORMAT_Q8_0:
      return value_of_half(half_at(row, block * 34)) * static_cast<std::int8_t>(row[block * 34 + 2 + j]);
    case HASS_FORMAT_Q4_K: {
      const std::size_t at = i / 256 * 144, group = i % 256 / 32;
      // Low bits of scale and minimum are in bytes of their own, the upper two of the later four beside the earlier's.
      const auto bits = [&](std::size_t byte, int shift, int count) { return row[at + 4 + byte] >> shift & ((1 << count) - 1); };
      const int scale = group < 4 ? bits(group, 0, 6) : bits(group + 4, 0, 4) + 16 * bits(group - 4, 6, 2);
      const int minimum = group < 4 ? bits(group + 4, 0, 6) : bits(group + 4, 4, 4) + 16 * bits(group, 6, 2);
      const int q = row[at + 16 + group / 2 * 32 + j] >> (group % 2 == 0 ? 0 : 4) & 15;
      return value_of_half(half_at(row, at)) * scale * q - value_of_half(half_at(row, at + 2)) * minimum;
    }
    case HASS_FORMAT_F8_128: {
      float scale;
      std::memcpy(&scale, row.data() + i / 128 * 132, sizeof scale);
      return double(scale) * value_of_f8(row[i / 128 * 132 + 4 + i % 128]);
    }
  }
  return NAN;
}

std::vector<float> unpack(const hass_cpu_kernels &kernels, std::int32_t dtype, std::int64_t out, std::int64_t in,
                          const void *packed) {
  std::vector<std::uint32_t> tokens;
  for (std::int64_t o = 0; o < out; ++o) tokens.push_back(static_cast<std::uint32_t>(o));
  std::vector<float> values(static_cast<std::size_t>(out * in));
  const hass_cpu_embedding_args args = {out, in, out, dtype, packed, tokens.data(), values.data(), in};
  test::execute(kernels, HASS_CPU_EMBEDDING, &args, test::whole);
  return values;
}

// tolerance: in steps of the block's grid for floats that are quantized, else 0.
void check_format(const hass_cpu_kernels &kernels, Random &random, Report &report, std::int32_t dtype,
                  hass_format format) {
  const std::int64_t out = random.integer(1, 20), in = test::inputs_of(random, dtype, dtype < HASS_Q4K ? 128 : 512);
  const auto row_bytes = static_cast<std::ptrdiff_t>(hass_cpu_format_row_bytes(format, in));
  Bytes file(static_cast<std::size_t>(out * row_bytes));
  for (std::size_t i = 0; i < file.size(); ++i) {
    file[i] = static_cast<std::uint8_t>(random.integer(0, 255));
  }
  const bool is_float = format == HASS_FORMAT_F32 || format == HASS_FORMAT_F16 || format == HASS_FORMAT_BF16;
  const bool is_rounded = is_float && (dtype == HASS_Q4 || dtype == HASS_Q8);
  if (is_rounded || format == HASS_FORMAT_F32) {
    const std::vector<float> values = random.floats(out * in);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, &values[i], 4);
      if (format == HASS_FORMAT_F32) std::memcpy(file.data() + 4 * i, &bits, 4);
      if (format == HASS_FORMAT_BF16) std::memcpy(file.data() + 2 * i, reinterpret_cast<const char *>(&bits) + 2, 2);
      if (format == HASS_FORMAT_F16) file[2 * i + 1] = static_cast<std::uint8_t>((file[2 * i + 1] & 0x83) | 0x38);
    }
  }
  const auto block_bytes = static_cast<std::size_t>(format == HASS_FORMAT_Q4_0   ? 18
                                                    : format == HASS_FORMAT_Q4_1   ? 20
                                                    : format == HASS_FORMAT_Q4_K   ? 144
                                                    : format == HASS_FORMAT_F8_128 ? 132
                                                                                   : 34);
  for (std::size_t i = 0; !is_float && i < file.size(); i += block_bytes) {
    if (format == HASS_FORMAT_F8_128) {
      const float scale = random.normal();
      std::memcpy(file.data() + i, &scale, sizeof scale);
      continue;
    }
    file[i + 1] = static_cast<std::uint8_t>((file[i + 1] & 0x83) | random.integer(0, 12) << 2);
    if (format == HASS_FORMAT_Q4_1 || format == HASS_FORMAT_Q4_K) file[i + 3] = static_cast<std::uint8_t>((file[i + 3] & 0x83) | 0x30);
  }
  const Aligned packed(hass_cpu_packed_bytes(dtype, out, in));
  // In two ranges, the second first, from an odd address.
  const std::int64_t first = random.integer(0, out);
  Bytes shifted(file.size() + 1);
  std::memcpy(shifted.data() + 1, file.data(), file.size());
  report.check(hass_cpu_pack(dtype, out, in, format, first, out - first, shifted.data() + 1 + first * row_bytes,
                             packed.get()) == HASS_STATUS_OK &&
                   hass_cpu_pack(dtype, out, in, format, 0, first, shifted.data() + 1, packed.get()) == HASS_STATUS_OK,
               "pack");
  const std::vector<float> values = unpack(kernels, dtype, out, in, packed.get());
  for (std::int64_t o = 0; o < out; ++o) {
    const Bytes row(file.begin() + o * row_bytes, file.begin() + (o + 1) * row_bytes);
    for (std::int64_t i = 0; i < in; ++i) {
      double step = 0, low = INFINITY, high = -INFINITY;
      for (std::int64_t j = i / 32 * 32; is_rounded && j < i / 32 * 32 + 32; ++j) {
        const double value = value_in_file(format, row, static_cast<std::size_t>(j));
        low = std::fmin(low, value);
        high = std::fmax(high, value);
      }
      if (is_rounded) step = dtype == HASS_Q8 ? std::fmax(high, -low) / 127 : (high - low) / 15;
      // Of a rounded grid: half a step, and what rounding its scale and minimum to float16 moves.
      const double tolerance = is_rounded ? 0.5 * step + 0x1p-10 * std::fmax(high, -low) + 1e-12 : 0;
      const double expected = value_in_file(format, row, static_cast<std::size_t>(i));
      const float actual = values[static_cast<std::size_t>(o * in + i)];
      const bool is_equal = std::isnan(expected) ? std::isnan(actual)
                            : tolerance > 0      ? std::fabs(actual - expected) <= tolerance
                                                 : actual == static_cast<float>(expected);
      report.check(is_equal, "format " + std::to_string(format) + " -> dtype " + std::to_string(dtype) + ": " +
                                 std::to_string(actual) + ", expected " + std::to_string(expected));
    }
  }
}

void check_refusals(Report &report) {
  const Aligned packed(hass_cpu_packed_bytes(HASS_Q4, 8, 32));
  Bytes block(20, 0);
  block[0] = 0xff;
  block[1] = 0x7b;  // 65504: eight times that is no float16
  report.check(hass_cpu_pack(HASS_Q4, 8, 32, HASS_FORMAT_Q4_0, 0, 1, block.data(), packed.get()) ==
                   HASS_STATUS_INVALID_ARGUMENT,
               "a Q4_0 scale that is too large");
  report.check(hass_cpu_pack(HASS_Q8, 8, 32, HASS_FORMAT_Q4_0, 0, 1, block.data(), packed.get()) ==
                   HASS_STATUS_UNSUPPORTED,
               "Q4_0 into Q8");
  report.check(hass_cpu_pack(HASS_Q4, 8, 32, HASS_FORMAT_Q4_1, 8, 1, block.data(), packed.get()) ==
                   HASS_STATUS_INVALID_ARGUMENT,
               "a row past the end");
  report.check(hass_cpu_packed_bytes(HASS_Q4, 8, 33) == 0 && hass_cpu_packed_bytes(HASS_I32, 8, 32) == 0 &&
                   hass_cpu_packed_bytes(HASS_F32, 0, 32) == 0,
               "sizes that do not fit");
  report.check(hass_cpu_select("mmx") == nullptr && hass_cpu_select(nullptr) != nullptr, "instruction sets");
}

// Every float16 widened; float32 values around every border between two float16 or bfloat16 narrowed.
void check_halves(const hass_cpu_kernels &kernels, Report &report) {
  const std::int64_t in = 1 << 16;
  std::vector<std::uint16_t> all(static_cast<std::size_t>(in));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<float> borders;
  for (std::int64_t i = 0; i < in; ++i) {
    const double value = value_of_half(static_cast<std::uint16_t>(i));
    const double next = value_of_half(static_cast<std::uint16_t>(i + 1));
    const float middle = static_cast<float>((i & 0x7fff) == 0x7bff ? (value < 0 ? -65520.0 : 65520.0) : (value + next) / 2);
    for (const float border : {middle, std::nextafterf(middle, INFINITY), std::nextafterf(middle, -INFINITY)}) {
      borders.push_back(border);
    }
    const std::uint32_t bits = static_cast<std::uint32_t>(i) << 16 | 0x8000u;
    for (const std::uint32_t near : {bits - 1, bits, bits + 1}) {
      float border;
      std::memcpy(&border, &near, 4);
      borders.push_back(border);
    }
  }
  const auto count = static_cast<std::int64_t>(borders.size());
  const std::uint32_t slot = 0;
  for (const std::int32_t dtype : {HASS_F16, HASS_BF16}) {
    std::vector<std::uint16_t> cache(borders.size());
    const hass_cpu_cache_write_args args = {1, count, dtype, &slot, borders.data(), count, cache.data(), count};
    test::execute(kernels, HASS_CPU_CACHE_WRITE, &args, test::whole);
    for (std::size_t i = 0; i < borders.size(); ++i) {
      const auto widen = [&](std::uint16_t half) {
        if (dtype == HASS_F16) return value_of_half(half);
        const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
        float value;
        std::memcpy(&value, &bits, 4);
        return double(value);
      };
      const double x = borders[i], actual = widen(cache[i]);
      bool is_right = std::isnan(x) ? std::isnan(actual) : std::signbit(actual) == std::signbit(x);
      if (!std::isnan(x)) {
        // Neither neighbour is nearer; of two that are as near, the even one is taken. Infinity counts as 2^16 or 2^128.
        const double largest = dtype == HASS_F16 ? 65536.0 : 0x1p128;
        const auto bounded = [&](double value) { return std::isinf(value) ? std::copysign(largest, value) : value; };
        const double distance = std::fabs(bounded(actual) - bounded(x));
        for (const int step : {-1, 1}) {
          const auto other = static_cast<std::uint16_t>(cache[i] + step);
          if ((other ^ cache[i]) & 0x8000 || std::isnan(widen(other)) || std::isinf(x)) continue;
          const double other_distance = std::fabs(bounded(widen(other)) - x);
          is_right = is_right && (distance < other_distance || (distance == other_distance && cache[i] % 2 == 0));
        }
      }
      report.check(is_right, "narrowing " + std::to_string(x) + " to dtype " + std::to_string(dtype));
    }
  }
}

// Every code, as a table's numbers and as a linear sees them: in each of a block's places.
void check_f8_codes(const hass_cpu_kernels &kernels, Report &report) {
  const std::int64_t out = 256, in = 128;
  Bytes file(static_cast<std::size_t>(out * 132));
  const float scale = 0.75f;
  for (std::size_t o = 0; o < 256; ++o) {
    std::memcpy(file.data() + o * 132, &scale, sizeof scale);
    for (std::size_t i = 0; i < 128; ++i) file[o * 132 + 4 + i] = static_cast<std::uint8_t>(o ^ i);
  }
  const Aligned packed(hass_cpu_packed_bytes(HASS_F8, out, in));
  report.check(hass_cpu_pack(HASS_F8, out, in, HASS_FORMAT_F8_128, 0, out, file.data(), packed.get()) == HASS_STATUS_OK,
               "pack float8");
  const std::vector<float> values = unpack(kernels, HASS_F8, out, in, packed.get());
  // Row i is one at input i: the weights of that input, and a NaN wherever its output has a code that is none.
  std::vector<float> x(static_cast<std::size_t>(in * in)), y(static_cast<std::size_t>(in * out));
  for (std::int64_t i = 0; i < in; ++i) x[static_cast<std::size_t>(i * in + i)] = 1;
  hass_cpu_linear_args args = {};
  args.rows = in, args.in = in, args.out = out, args.weight_dtype = HASS_F8, args.weight = packed.get();
  args.x = x.data(), args.x_stride = in, args.y = y.data(), args.y_stride = out;
  test::execute(kernels, HASS_CPU_LINEAR, &args, test::whole);
  for (std::size_t o = 0; o < 256; ++o) {
    // Codes o ^ 0 ... o ^ 127 are all with o's upper bit, so every output has its NaN.
    for (std::size_t i = 0; i < 128; ++i) {
      const double expected = double(scale) * value_of_f8(static_cast<std::uint8_t>(o ^ i));
      const float actual = values[o * 128 + i];
      const bool is_same = std::isnan(expected) ? std::isnan(actual)
                                                : actual == expected && std::signbit(actual) == std::signbit(expected);
      report.check(is_same, "float8 code " + std::to_string(o ^ i));
      report.check(std::isnan(y[i * 256 + o]), "a NaN among float8 codes");
    }
  }
}

}  // namespace

int main() {
  const char *names[8];
  Report report;
  check_refusals(report);
  for (std::int32_t i = 0, count = hass_cpu_isa_names(names, 8); i < count; ++i) {
    const hass_cpu_kernels &kernels = *hass_cpu_select(names[i]);
    Random random(9);
    for (int round = 0; round < 20; ++round) {
      for (const hass_format format : {HASS_FORMAT_F32, HASS_FORMAT_F16, HASS_FORMAT_BF16}) {
        check_format(kernels, random, report, HASS_F32, format);
        check_format(kernels, random, report, HASS_Q4, format);
        check_format(kernels, random, report, HASS_Q8, format);
      }
      check_format(kernels, random, report, HASS_F16, HASS_FORMAT_F16);
      check_format(kernels, random, report, HASS_BF16, HASS_FORMAT_BF16);
      check_format(kernels, random, report, HASS_Q4, HASS_FORMAT_Q4_0);
      check_format(kernels, random, report, HASS_Q4, HASS_FORMAT_Q4_1);
      check_format(kernels, random, report, HASS_Q8, HASS_FORMAT_Q8_0);
      check_format(kernels, random, report, HASS_Q4K, HASS_FORMAT_Q4_K);
      check_format(kernels, random, report, HASS_F8, HASS_FORMAT_F8_128);
    }
    check_halves(kernels, report);
    check_f8_codes(kernels, report);
  }
  return report.finish("packing");
}
