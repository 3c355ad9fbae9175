// The emulated device: its instruction sets are its schedules.
#include "../cuda/architecture.h"

#include <cstdio>
#include <cstring>

#include "../runtime/failure.h"
#include "cuda_runtime.h"

namespace hass::cuda {

const char *const backend_name = "cuda-emulated";

std::int32_t architecture_names(const char **names, std::int32_t capacity) {
  static const char *const all[] = {
      "lockstep-eager-forward",      "lockstep-eager-reverse",      "lockstep-eager-random",
      "lockstep-deferred-forward",   "lockstep-deferred-reverse",   "lockstep-deferred-random",
      "warp-greedy-deferred-random", "warp-greedy-deferred-reverse", "warp-greedy-deferred-forward",
      "warp-greedy-eager-random",    "warp-greedy-eager-reverse",   "warp-greedy-eager-forward",
  };
  for (std::int32_t i = 0; i < 12 && i < capacity; i++) names[i] = all[i];
  return 12;
}

Architecture select_architecture(const char *isa) {
  const char *name = std::strcmp(isa, "auto") == 0 ? "warp-greedy-eager-forward" : isa;
  emulation::Schedule schedule;
  if (!emulation::parse_schedule(name, &schedule)) {
    fail(HASS_STATUS_UNSUPPORTED, "\"%.30s\" is no schedule of the emulated device.", isa);
  }
  emulation::choose_schedule(schedule);
  Architecture chosen{};
  std::snprintf(chosen.isa, sizeof chosen.isa, "%s", name);
  return chosen;
}

}  // namespace hass::cuda
