#include "processor.h"

#include <thread>

#include "../cpu/kernels.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace hass {

std::int32_t processor_features(const char **features) {
  std::int32_t count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) features[count++] = "avx2";
  if (__builtin_cpu_supports("fma")) features[count++] = "fma";
  if (__builtin_cpu_supports("f16c")) features[count++] = "f16c";
  if (__builtin_cpu_supports("avx512f")) features[count++] = "avx512f";
  if (__builtin_cpu_supports("avx512bw")) features[count++] = "avx512bw";
  if (__builtin_cpu_supports("avx512vl")) features[count++] = "avx512vl";
  if (__builtin_cpu_supports("avx512vnni")) features[count++] = "avx512vnni";
#elif defined(__aarch64__)
  features[count++] = "neon";
  if (has_dotprod()) features[count++] = "dotprod";
#else
  (void)features;
#endif
  return count;
}

std::int32_t processor_threads() {
#if defined(__linux__)
  // A container's share, not the whole machine.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned threads = std::thread::hardware_concurrency();
  return threads == 0 ? 1 : static_cast<std::int32_t>(threads);
}

}  // namespace hass
