// Which kernels run: of this build and for this processor.
#include <cstring>

#include "kernels.h"

namespace hass {
namespace {

struct Candidate {
  const hass_cpu_kernels *const *table;
  bool (*is_supported)();

  const hass_cpu_kernels *kernels() const { return *table && is_supported() ? *table : nullptr; }
};

bool always() { return true; }

// The best last.
const Candidate candidates[] = {
    {&portable_kernels, always}, {&avx2_kernels, has_avx2},       {&avx512_kernels, has_avx512},
    {&neon_kernels, always},     {&dotprod_kernels, has_dotprod},
};

}  // namespace
}  // namespace hass

int32_t hass_cpu_isa_names(const char **names, int32_t capacity) {
  int32_t count = 0;
  for (const hass::Candidate &candidate : hass::candidates) {
    const hass_cpu_kernels *kernels = candidate.kernels();
    if (!kernels) continue;
    if (count < capacity) names[count] = kernels->isa;
    ++count;
  }
  return count;
}

const hass_cpu_kernels *hass_cpu_select(const char *isa) {
  const bool is_any = !isa || std::strcmp(isa, "auto") == 0;
  const hass_cpu_kernels *result = nullptr;
  for (const hass::Candidate &candidate : hass::candidates) {
    const hass_cpu_kernels *kernels = candidate.kernels();
    if (kernels && (is_any || std::strcmp(isa, kernels->isa) == 0)) result = kernels;
  }
  return result;
}
