// Of the stages of training: units, scratch memory, cost. See ops.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops.h"

namespace hass {

std::int64_t training_units(hass_cpu_stage stage, const void *arguments);
std::size_t training_scratch_bytes(hass_cpu_stage stage, const void *arguments);
double training_cost(hass_cpu_stage stage, const void *arguments);

}  // namespace hass
