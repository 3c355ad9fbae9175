// What every backend checks of the arguments of its ABI: all throw Failure.
#pragma once

#include <cstdint>

#include "../include/hass_backend.h"

namespace hass {

// Bytes of a plain buffer.
void check_plain_range(const hass_buffer_facts &buffer, std::uint64_t offset, std::uint64_t bytes);
// A weight that can be, whatever its layout.
void check_weight_shape(std::int32_t dtype, std::int32_t rows, std::int32_t columns);
// File bytes for some rows of a weight.
void check_weight_rows(const hass_buffer_facts &weight, hass_format format, std::int32_t first_row,
                       std::int32_t num_rows, std::uint64_t bytes);

}  // namespace hass
