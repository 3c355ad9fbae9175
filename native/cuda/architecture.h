// Which GPU a device is. The emulation has an answer of its own (emulation/architecture.cc).
#pragma once

#include <cstdint>

namespace hass::cuda {

constexpr int isa_characters = 32;

constexpr int name_characters = 256;

struct Architecture {
  std::int32_t ordinal;
  char isa[isa_characters];
  char name[name_characters];  // as its maker calls it; empty where it is emulated, as what follows is 0 then
  std::int32_t driver;         // the newest CUDA of its driver, such as 13000
  std::uint64_t memory_bytes;
};

// Names that create_device takes besides "auto", best last.
std::int32_t architecture_names(const char **names, std::int32_t capacity);
// Throws Failure UNSUPPORTED: no driver, no device, or not this architecture; `value` of the error is CUDA's own code.
Architecture select_architecture(const char *isa);

extern const char *const backend_name;

}  // namespace hass::cuda
