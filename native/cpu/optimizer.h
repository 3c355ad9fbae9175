// What becomes of gradients; a unit is a row of a parameter.
#pragma once

#include "ops.h"

namespace hass {
namespace {

inline void run_gradient_facts(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_gradient_facts_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *gradient = a.gradient + r * a.columns;
    double squares = 0;
    std::int64_t clipped = 0, non_finite = 0;
    for (std::int64_t i = 0; i < a.columns; ++i) {
      const float size = std::fabs(gradient[i]);
      const bool is_finite = size < infinity;
      squares += is_finite ? static_cast<double>(size) * static_cast<double>(size) : 0.0;
      clipped += is_finite && size > a.clip;
      non_finite += !is_finite;
    }
    a.facts[r * 3] = static_cast<float>(squares);
    a.facts[r * 3 + 1] = static_cast<float>(clipped);
    a.facts[r * 3 + 2] = static_cast<float>(non_finite);
  }
}

inline void run_adam_w(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_adam_args *>(arguments);
  const float keep = a.rates[0], step_size = a.rates[1], root_scale = a.rates[2];
  const float rest1 = 1.0f - a.beta1, rest2 = 1.0f - a.beta2;
  for (std::int64_t i = begin * a.columns; i < end * a.columns; ++i) {
    const float raw = a.gradient[i];
    const float slope = raw > a.clip ? a.clip : raw < -a.clip ? -a.clip : raw;
    a.first[i] = a.beta1 * a.first[i] + rest1 * slope;
    a.second[i] = a.beta2 * a.second[i] + rest2 * slope * slope;
    const float root = std::sqrt(a.second[i]) * root_scale + a.eps;
    a.parameter[i] = a.parameter[i] * keep - step_size * (a.first[i] / root);
    a.gradient[i] = 0.0f;
  }
}

}  // namespace
}  // namespace hass
