#include "kernels.h"
#include "vec8_portable.h"
#include "row_stages.h"
#include "linear_quantized_portable.h"
#include "stages.h"

namespace hass {
static const hass_cpu_kernels table = {"portable", HASS_CPU_STAGES};
const hass_cpu_kernels *const portable_kernels = &table;
}  // namespace hass
