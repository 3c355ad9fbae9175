// In place of cpu/processor.cc: here AVX-512 is emulated.
#include "../../cpu/kernels.h"

namespace hass {

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() { return has_avx2(); }
bool has_dotprod() { return false; }

}  // namespace hass
