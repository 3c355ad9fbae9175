#include "kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "vec8_avx2.h"
#include "row_stages.h"
#include "linear_quantized_avx2.h"
#include "linear_quantized_tiles.h"
#include "stages.h"

namespace hass {
static const hass_cpu_kernels table = {"avx2", HASS_CPU_STAGES};
const hass_cpu_kernels *const avx2_kernels = &table;
}  // namespace hass
#else
const hass_cpu_kernels *const hass::avx2_kernels = nullptr;
#endif
