#include "kernels.h"

#if defined(__aarch64__)
#include "vec8_neon.h"
#include "row_stages.h"
#include "linear_quantized_neon.h"
#include "linear_quantized_tiles.h"
#include "stages.h"

namespace hass {
static const hass_cpu_kernels table = {"neon", HASS_CPU_STAGES};
const hass_cpu_kernels *const neon_kernels = &table;
}  // namespace hass
#else
const hass_cpu_kernels *const hass::neon_kernels = nullptr;
#endif
