// What of the C ABI is the same for the buffers and programs of every backend. Included after both are defined.
#pragma once

#include "failure.h"

namespace hass {
namespace {

void destroy_buffer(hass_buffer *buffer) { delete buffer; }

void buffer_facts(const hass_buffer *buffer, hass_buffer_facts *facts) { *facts = buffer->facts(); }

void program_facts(const hass_program *program, hass_program_facts *facts) {
  const ProgramPlan &plan = program->plan;
  *facts = {plan.parameter_bytes, plan.arena_bytes, static_cast<std::int32_t>(plan.graph.max_dims.size()),
            static_cast<std::int32_t>(plan.graph.tensors.size())};
}

std::int64_t input_offset(const hass_program *program, std::int32_t tensor) {
  return program->plan.input_offsets[static_cast<std::size_t>(tensor)];
}

hass_status check_dims(const hass_program *program, const std::int32_t *dims, std::size_t num_dims,
                       hass_error *error) {
  return guarded(error, [&] { program->plan.check_dims(dims, num_dims); });
}

std::uint64_t input_bytes(const hass_program *program, std::int32_t tensor, const std::int32_t *dims) {
  return program->plan.graph.bytes(tensor, dims);
}

}  // namespace
}  // namespace hass
