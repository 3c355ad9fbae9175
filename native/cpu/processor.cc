// What the processor can do beyond the base of its architecture.
#include "kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace hass {

#if defined(__x86_64__)

// The compilers' runtimes ask XGETBV, too: a feature whose registers the operating system does not save is not there.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

#else

bool has_avx2() { return false; }
bool has_avx512() { return false; }

#endif

bool has_dotprod() {
#if defined(__ARM_FEATURE_DOTPROD)
  return true;  // the compiler takes it for granted, as Apple's does
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long asimddp = 1ul << 20;
  return (getauxval(AT_HWCAP) & asimddp) != 0;
#else
  return false;
#endif
}

}  // namespace hass
