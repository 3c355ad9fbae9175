// Gives tensors places in one block so that those alive at the same time never overlap.
#pragma once

#include <cstdint>

#include "memory.h"

namespace hass {

struct Interval {
  std::uint64_t bytes;
  std::int32_t first, last;  // operations, both included
  std::uint64_t offset = 0;  // planned, a multiple of 64
};

// Fills in the offsets; returns the bytes of the whole. Throws Failure TOO_LARGE.
std::uint64_t plan_arena(Vector<Interval> &intervals);

}  // namespace hass
