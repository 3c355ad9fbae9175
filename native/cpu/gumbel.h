// The choice of stream 0 of the noise field; a unit is a row.
#pragma once

#include "ops.h"

namespace hass {
namespace {

inline void run_gumbel_arg_max(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_gumbel_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) a.token[r] = row_arg_max(a.x + r * a.x_stride, a.columns);
}

}  // namespace
}  // namespace hass
