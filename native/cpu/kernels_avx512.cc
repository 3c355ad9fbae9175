#include "kernels.h"

#if (defined(__AVX512VNNI__) && defined(__AVX512VL__)) || defined(HASS_CPU_EMULATE_AVX512)
#include "vec8_avx2.h"
#include "row_stages.h"
#include "linear_quantized_avx512.h"
#include "linear_quantized_tiles.h"
#include "stages.h"

namespace hass {
static const hass_cpu_kernels table = {"avx512", HASS_CPU_STAGES};
const hass_cpu_kernels *const avx512_kernels = &table;
}  // namespace hass
#else
const hass_cpu_kernels *const hass::avx512_kernels = nullptr;
#endif
