#include "architecture.h"

#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

#include "../runtime/failure.h"

namespace hass::cuda {
namespace {

constexpr int oldest = 80;  // cp.async and bfloat16 on tensor cores

bool name_of(int ordinal, char *name, int *version) {
  int major = 0, minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal) != cudaSuccess) return false;
  if (cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal) != cudaSuccess) return false;
  *version = major * 10 + minor;
  std::snprintf(name, isa_characters, "sm_%d", *version);
  return true;
}

}  // namespace

const char *const backend_name = "cuda";

std::int32_t architecture_names(const char **names, std::int32_t capacity) {
  static char name[isa_characters];
  int count = 0, version = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0 || !name_of(0, name, &version)) return 0;
  if (capacity > 0) names[0] = name;
  return 1;
}

Architecture select_architecture(const char *isa) {
  int count = 0, version = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    const bool lacks_driver = status == cudaErrorInsufficientDriver;
    hass_error error = make_error(HASS_STATUS_UNSUPPORTED, "%s: %s.",
                                  lacks_driver ? "There is no CUDA driver that this library can use"
                                               : "The CUDA driver has no device",
                                  cudaGetErrorString(status != cudaSuccess ? status : cudaErrorNoDevice));
    error.value = status != cudaSuccess ? status : cudaErrorNoDevice;
    throw Failure{error};
  }
  Architecture chosen{};
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, 0) == cudaSuccess) {
    std::snprintf(chosen.name, sizeof chosen.name, "%s", properties.name);
    chosen.memory_bytes = properties.totalGlobalMem;
  }
  cudaDriverGetVersion(&chosen.driver);
  if (!name_of(0, chosen.isa, &version)) fail(HASS_STATUS_UNSUPPORTED, "The CUDA device does not say what it is.");
  if (version < oldest) {
    fail(HASS_STATUS_UNSUPPORTED, "The CUDA device is %s, the kernels need sm_%d or newer.", chosen.isa, oldest);
  }
  if (std::strcmp(isa, "auto") != 0 && std::strcmp(isa, chosen.isa) != 0) {
    fail(HASS_STATUS_UNSUPPORTED, "The CUDA device is %s, not \"%.20s\".", chosen.isa, isa);
  }
  return chosen;
}

}  // namespace hass::cuda
