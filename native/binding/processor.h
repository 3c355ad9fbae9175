// Facts about the processor, for `hass doctor`.
#pragma once

#include <cstdint>

namespace hass {

constexpr std::int32_t max_features = 16;

// Names of instruction set extensions that matter to kernels; returns their number.
std::int32_t processor_features(const char **features);

// Hardware threads that this process may use.
std::int32_t processor_threads();

}  // namespace hass
