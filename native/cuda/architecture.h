// Which GPU a device is. The emulation has an answer of its own (emulation/architecture.cc).
#pragma once

#include <cstdint>

namespace hass::cuda {

constexpr int isa_characters = 32;

struct Architecture {
  std::int32_t ordinal;
  char isa[isa_characters];
};

// Names that create_device takes besides "auto", best last.
std::int32_t architecture_names(const char **names, std::int32_t capacity);
// Throws Failure UNSUPPORTED: no driver, no device, or not this architecture; `value` of the error is CUDA's own code.
Architecture select_architecture(const char *isa);

extern const char *const backend_name;

}  // namespace hass::cuda
