#include "backend_checks.h"

#include "../cpu/ops.h"
#include "failure.h"

namespace hass {

void check_plain_range(const hass_buffer_facts &buffer, std::uint64_t offset, std::uint64_t bytes) {
  if (buffer.dtype >= 0) fail(HASS_STATUS_INVALID_ARGUMENT, "A weight is kept in the kernels' layout, not as plain bytes.");
  if (offset > buffer.bytes || bytes > buffer.bytes - offset) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "%llu bytes at offset %llu pass the buffer's %llu bytes.",
         static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset),
         static_cast<unsigned long long>(buffer.bytes));
  }
}

void check_weight_shape(std::int32_t dtype, std::int32_t rows, std::int32_t columns) {
  const bool is_weight_dtype =
      dtype == HASS_F32 || dtype == HASS_F16 || dtype == HASS_BF16 || (dtype >= HASS_Q4 && dtype <= HASS_F8);
  const bool is_sound = is_weight_dtype && rows > 0 && columns > 0;
  if (is_sound && static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(columns) > HASS_MAX_BYTES / 8) {
    fail(HASS_STATUS_TOO_LARGE, "A weight [%d, %d] has more bytes than can be addressed.", rows, columns);
  }
  if (!is_sound || hass_cpu_packed_bytes(dtype, rows, columns) == 0) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "A weight of dtype %d cannot have %d rows and %d columns.", dtype, rows, columns);
  }
}

void check_weight_rows(const hass_buffer_facts &weight, hass_format format, std::int32_t first_row,
                       std::int32_t num_rows, std::uint64_t bytes) {
  if (weight.dtype < 0) fail(HASS_STATUS_INVALID_ARGUMENT, "A plain buffer is no weight.");
  if (first_row < 0 || num_rows < 0 || first_row > weight.rows || num_rows > weight.rows - first_row) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "%d rows from row %d pass the weight's %d rows.", num_rows, first_row, weight.rows);
  }
  const std::uint64_t expected = static_cast<std::uint64_t>(num_rows) * hass_cpu_format_row_bytes(format, weight.columns);
  if (bytes != expected || (expected == 0 && num_rows != 0)) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "%llu bytes were given for %d rows, expected %llu.",
         static_cast<unsigned long long>(bytes), num_rows, static_cast<unsigned long long>(expected));
  }
}

}  // namespace hass
