// File bytes -> weights as fragments.h lays them out.
#pragma once

#include "../include/hass_backend.h"
#include "gpu_device.h"

namespace hass::cuda {

// Converts rows [first_row, first_row + num_rows). Throws Failure.
void write_weight_rows(hass_buffer *weight, hass_format format, std::int64_t first_row, std::int64_t num_rows,
                       const void *source);

}  // namespace hass::cuda
