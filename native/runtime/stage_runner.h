// Runs stages of kernels on the pool: cut finely enough to be shared, coarsely enough to be worth it.
#pragma once

#include "cpu_device.h"

namespace hass {

class StageRunner {
 public:
  // scratch: `threads` areas of scratch_bytes each, 64-byte aligned.
  StageRunner(hass_device *device, unsigned char *scratch, std::size_t scratch_bytes)
      : device_(device), scratch_(scratch), scratch_bytes_(scratch_bytes) {}

  // arguments: the stage's structure in cpu/ops.h.
  void run_stage(hass_cpu_stage stage, const void *arguments);

 private:
  hass_device *device_;
  unsigned char *scratch_;
  std::size_t scratch_bytes_;
};

// Of one thread, a multiple of 64.
std::size_t stage_scratch_bytes(hass_cpu_stage stage, const void *arguments);

}  // namespace hass
