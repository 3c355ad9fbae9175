// File formats -> packed weights. Runs once per weight: plain code, with four bytes to a word where that is easy.
#include <cmath>

#include "half.h"
#include "layout.h"
#include "ops.h"

namespace hass {
namespace {

constexpr std::uint16_t half_nan = 0x7e00;

// Of a block in a file.
constexpr std::int64_t q4k_file_bytes = 144;
constexpr std::int64_t f8_file_bytes = 4 + f8_inputs;

struct Block {
  std::uint16_t scale, minimum;
  std::uint8_t values[block_size];  // q; of Q8 in two's complement
};

std::uint16_t read_half(const std::uint8_t *bytes) { return static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8); }

float read_float(hass_format format, const std::uint8_t *row, std::int64_t index) {
  if (format == HASS_FORMAT_F32) {
    float value;
    std::memcpy(&value, row + 4 * index, sizeof value);
    return value;
  }
  const std::uint16_t half = read_half(row + 2 * index);
  return format == HASS_FORMAT_F16 ? float_of_half(half) : float_of_bfloat(half);
}

void read_nibbles(const std::uint8_t *bytes, Block &block) {
  for (int j = 0; j < 16; ++j) {
    block.values[j] = bytes[j] & 15;
    block.values[j + 16] = bytes[j] >> 4;
  }
}

// Clamped, then rounded to nearest, ties to even: the sum's last place is a whole number.
std::uint8_t quantize(float quotient, float low, float high) {
  const float bounded = quotient >= low ? (quotient > high ? high : quotient) : low;
  return static_cast<std::uint8_t>(bits_of(bounded + 0x1.8p23f) & 0xff);
}

void quantize_block(const float *values, std::int32_t dtype, Block &block) {
  float low = values[0], high = values[0];
  bool is_finite = true;
  for (int i = 0; i < block_size; ++i) {
    is_finite = is_finite && std::isfinite(values[i]);
    low = values[i] < low ? values[i] : low;
    high = values[i] > high ? values[i] : high;
  }
  block.scale = block.minimum = 0;
  std::memset(block.values, 0, sizeof block.values);
  if (!is_finite) {
    block.scale = half_nan;
    return;
  }
  if (dtype == HASS_Q8) {
    block.scale = half_of_float((high > -low ? high : -low) / 127.0f);
  } else {
    block.minimum = half_of_float(low);
    block.scale = half_of_float((high - float_of_half(block.minimum)) / 15.0f);
  }
  const float scale = float_of_half(block.scale);
  if (scale == 0.0f) return;
  const float minimum = float_of_half(block.minimum);
  for (int i = 0; i < block_size; ++i) {
    block.values[i] = dtype == HASS_Q8 ? quantize(values[i] / scale, -127.0f, 127.0f)
                                       : quantize((values[i] - minimum) / scale, 0.0f, 15.0f);
  }
}

// False: the block has no equal in the packed layout.
bool read_block(hass_format format, std::int32_t dtype, const std::uint8_t *row, std::int64_t index, Block &block) {
  switch (format) {
    case HASS_FORMAT_Q4_0: {
      const std::uint8_t *bytes = row + index * 18;
      const float minimum = -8.0f * float_of_half(read_half(bytes));
      block.scale = read_half(bytes);
      block.minimum = half_of_float(minimum);
      read_nibbles(bytes + 2, block);
      return !std::isfinite(minimum) || float_of_half(block.minimum) == minimum;
    }
    case HASS_FORMAT_Q4_1: {
      const std::uint8_t *bytes = row + index * 20;
      block.scale = read_half(bytes);
      block.minimum = read_half(bytes + 2);
      read_nibbles(bytes + 4, block);
      return true;
    }
    case HASS_FORMAT_Q8_0: {
      const std::uint8_t *bytes = row + index * 34;
      block.scale = read_half(bytes);
      std::memcpy(block.values, bytes + 2, block_size);
      return true;
    }
    default: {
      float values[block_size];
      for (int j = 0; j < block_size; ++j) values[j] = read_float(format, row, index * block_size + j);
      quantize_block(values, dtype, block);
      return true;
    }
  }
}

void write_nibbles(const std::uint8_t *bytes, std::int64_t output, std::uint8_t *vectors) {
  for (std::int64_t i = 0; i < block_size; i += 8) {
    std::uint32_t low, high;
    std::memcpy(&low, bytes + i, 4);
    std::memcpy(&high, bytes + i + 4, 4);
    const std::uint32_t both = low | high << 4;
    std::memcpy(vectors + q4_byte(output, i), &both, 4);
  }
}

void write_block(std::int32_t dtype, std::int64_t index, std::int64_t output, const Block &block, std::uint8_t *panel) {
  if (dtype == HASS_Q4) {
    std::uint8_t *target = panel + index * q4_block_bytes;
    std::memcpy(target + 2 * output, &block.scale, 2);
    std::memcpy(target + q4_minima_offset + 2 * output, &block.minimum, 2);
    write_nibbles(block.values, output, target + q4_integers_offset);
    return;
  }
  std::uint8_t *target = panel + index * q8_block_bytes;
  std::memcpy(target + 2 * output, &block.scale, 2);
  for (std::int64_t i = 0; i < block_size; i += 4) {
    std::memcpy(target + q8_integers_offset + q8_byte(output, i), block.values + i, 4);
  }
}

// The six-bit scale and minimum of 32 inputs, of the eight pairs in the twelve bytes of a Q4_K block.
void read_factors(const std::uint8_t *bytes, int j, std::uint8_t *factors) {
  if (j < 4) {
    factors[0] = bytes[j] & 63;
    factors[1] = bytes[j + 4] & 63;
  } else {
    factors[0] = static_cast<std::uint8_t>((bytes[j + 4] & 15) | bytes[j - 4] >> 6 << 4);
    factors[1] = static_cast<std::uint8_t>(bytes[j + 4] >> 4 | bytes[j] >> 6 << 4);
  }
}

// Blocks of 256: d, dmin, the factors of eight times 32 inputs, of which two neighbours share 32 bytes of nibbles.
void pack_q4k_row(std::int64_t in, const std::uint8_t *row, std::int64_t output, std::uint8_t *panel) {
  for (std::int64_t b = 0; b < in / q4k_inputs; ++b, row += q4k_file_bytes, panel += q4k_bytes) {
    const std::uint16_t minimum = read_half(row + 2) ^ 0x8000u;
    std::memcpy(panel + 2 * output, row, 2);
    std::memcpy(panel + q4k_minima_offset + 2 * output, &minimum, 2);
    for (int j = 0; j < q4k_inputs / block_size; ++j) {
      read_factors(row + 4, j, panel + q4k_factors_offset + j / 2 * vector_bytes + 4 * output + j % 2 * 2);
      std::uint8_t values[block_size];
      for (int i = 0; i < block_size; ++i) values[i] = row[16 + j / 2 * 32 + i] >> j % 2 * 4 & 15;
      write_nibbles(values, output, panel + q4k_integers_offset + j * 4 * vector_bytes);
    }
  }
}

void pack_f8_row(std::int64_t in, const std::uint8_t *row, std::int64_t output, std::uint8_t *panel) {
  for (std::int64_t b = 0; b < in / f8_inputs; ++b, row += f8_file_bytes, panel += f8_bytes) {
    std::memcpy(panel + 4 * output, row, 4);
    for (std::int64_t i = 0; i < f8_inputs; ++i) panel[f8_codes_offset + i * panel_width + output] = row[4 + i];
  }
}

hass_status pack_quantized_row(std::int32_t dtype, std::int64_t in, hass_format format, const std::uint8_t *row,
                               std::int64_t output, std::uint8_t *panel) {
  for (std::int64_t b = 0; b < in / block_size; ++b) {
    Block block;
    if (!read_block(format, dtype, row, b, block)) return HASS_STATUS_INVALID_ARGUMENT;
    write_block(dtype, b, output, block, panel);
  }
  return HASS_STATUS_OK;
}

void pack_float_row(std::int32_t dtype, std::int64_t in, hass_format format, const std::uint8_t *row,
                    std::int64_t output, std::uint8_t *panel) {
  for (std::int64_t i = 0; i < in; ++i) {
    const std::int64_t index = i * panel_width + output;
    if (dtype == HASS_F32) {
      const float value = read_float(format, row, i);
      std::memcpy(panel + 4 * index, &value, sizeof value);
    } else {
      std::memcpy(panel + 2 * index, row + 2 * i, 2);
    }
  }
}

bool is_float_format(hass_format format) {
  return format == HASS_FORMAT_F32 || format == HASS_FORMAT_F16 || format == HASS_FORMAT_BF16;
}

bool is_convertible(std::int32_t dtype, hass_format format) {
  switch (dtype) {
    case HASS_F32: return is_float_format(format);
    case HASS_F16: return format == HASS_FORMAT_F16;
    case HASS_BF16: return format == HASS_FORMAT_BF16;
    case HASS_Q4: return is_float_format(format) || format == HASS_FORMAT_Q4_0 || format == HASS_FORMAT_Q4_1;
    case HASS_Q8: return is_float_format(format) || format == HASS_FORMAT_Q8_0;
    case HASS_Q4K: return format == HASS_FORMAT_Q4_K;
    case HASS_F8: return format == HASS_FORMAT_F8_128;
    default: return false;
  }
}

bool is_packable(std::int32_t dtype, std::int64_t in) {
  const bool is_float = dtype == HASS_F32 || dtype == HASS_F16 || dtype == HASS_BF16;
  return in > 0 && (is_float || is_quantized(dtype) || dtype == HASS_F8) && in % inputs_of_block(dtype) == 0;
}

}  // namespace
}  // namespace hass

size_t hass_cpu_packed_bytes(int32_t dtype, int64_t out, int64_t in) {
  using namespace hass;
  if (out <= 0 || !is_packable(dtype, in)) return 0;
  return static_cast<size_t>((out + panel_width - 1) / panel_width * panel_bytes(dtype, in));
}

size_t hass_cpu_format_row_bytes(hass_format format, int64_t in) {
  if (in <= 0) return 0;
  const size_t blocks = in % hass::block_size == 0 ? static_cast<size_t>(in / hass::block_size) : 0;
  switch (format) {
    case HASS_FORMAT_F32: return static_cast<size_t>(in) * 4;
    case HASS_FORMAT_F16:
    case HASS_FORMAT_BF16: return static_cast<size_t>(in) * 2;
    case HASS_FORMAT_Q4_0: return blocks * 18;
    case HASS_FORMAT_Q4_1: return blocks * 20;
    case HASS_FORMAT_Q8_0: return blocks * 34;
    case HASS_FORMAT_Q4_K:
      return in % hass::q4k_inputs == 0 ? static_cast<size_t>(in / hass::q4k_inputs * hass::q4k_file_bytes) : 0;
    case HASS_FORMAT_F8_128:
      return in % hass::f8_inputs == 0 ? static_cast<size_t>(in / hass::f8_inputs * hass::f8_file_bytes) : 0;
  }
  return 0;
}

hass_status hass_cpu_pack(int32_t dtype, int64_t out, int64_t in, hass_format format, int64_t first_row,
                          int64_t num_rows, const void *source, void *packed) {
  using namespace hass;
  if (!is_packable(dtype, in) || !is_convertible(dtype, format)) return HASS_STATUS_UNSUPPORTED;
  if (first_row < 0 || num_rows < 0 || first_row > out || num_rows > out - first_row) {
    return HASS_STATUS_INVALID_ARGUMENT;
  }
  const size_t row_bytes = hass_cpu_format_row_bytes(format, in);
  for (std::int64_t r = 0; r < num_rows; ++r) {
    const auto *row = static_cast<const std::uint8_t *>(source) + static_cast<size_t>(r) * row_bytes;
    const std::int64_t output = first_row + r;
    auto *panel = static_cast<std::uint8_t *>(packed) + output / panel_width * panel_bytes(dtype, in);
    if (dtype == HASS_Q4K) {
      pack_q4k_row(in, row, output % panel_width, panel);
    } else if (dtype == HASS_F8) {
      pack_f8_row(in, row, output % panel_width, panel);
    } else if (!is_quantized(dtype)) {
      pack_float_row(dtype, in, format, row, output % panel_width, panel);
    } else if (const hass_status status = pack_quantized_row(dtype, in, format, row, output % panel_width, panel)) {
      return status;
    }
  }
  return HASS_STATUS_OK;
}
