#include "kernels.h"

#if defined(__ARM_FEATURE_DOTPROD)
#include "vec8_neon.h"
#include "row_stages.h"
#include "linear_quantized_dotprod.h"
#include "linear_quantized_tiles.h"
#include "stages.h"

namespace hass {
static const hass_cpu_kernels table = {"neon-dotprod", HASS_CPU_STAGES};
const hass_cpu_kernels *const dotprod_kernels = &table;
}  // namespace hass
#else
const hass_cpu_kernels *const hass::dotprod_kernels = nullptr;
#endif
