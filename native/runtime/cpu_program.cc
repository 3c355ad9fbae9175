#include "cpu_program.h"

#include <algorithm>
#include <cstring>

#include "failure.h"

using namespace hass;

hass_program::hass_program(hass_device *owner, Program &&program, hass_buffer *const *bindings,
                           std::size_t num_bindings)
    : device(owner), plan(std::move(program)) {
  addresses_ = plan.bind(bindings, num_bindings);
  allocate();
  last_dims_.resize(plan.graph.max_dims.size());
}

void hass_program::allocate() {
  plan.visit_largest_stages(
      [](void *context, hass_cpu_stage stage, const void *arguments) {
        auto &most = *static_cast<std::size_t *>(context);
        most = std::max(most, stage_scratch_bytes(stage, arguments));
      },
      &scratch_bytes_);
  arena_ = Block(plan.arena_bytes);
  // A zero-sized area would still be handed to kernels as an address.
  scratch_bytes_ = std::max<std::size_t>(scratch_bytes_, HASS_ALIGNMENT);
  scratch_ = Block(scratch_bytes_ * static_cast<std::size_t>(device->pool.threads()));
  plan.place_in_arena(arena_.data(), addresses_);
}

void hass_program::check(const IndexCheck &check, const std::int32_t *dims) {
  const IndexValues values = [](const void *run, std::int32_t tensor) {
    return reinterpret_cast<const std::uint32_t *>(static_cast<unsigned char *const *>(run)[tensor]);
  };
  check_indices(check, plan.graph, dims, values, addresses_.data(), plan.marks);
}

void hass_program::run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled) {
  has_outputs_ = false;
  check_bound_extents(plan.graph, dims);
  for (std::size_t i = 0; i < plan.input_offsets.size(); i++) {
    // Kernels do not write to inputs.
    if (plan.input_offsets[i] >= 0) addresses_[i] = const_cast<unsigned char *>(parameters) + plan.input_offsets[i];
  }
  for (const IndexCheck &early : plan.early_checks) check(early, dims);

  StageRunner runner(device, scratch_.data(), scratch_bytes_);
  device->pool.wake();
  const IndexCheck *late = plan.late_checks.data(), *const late_end = late + plan.late_checks.size();
  for (std::size_t op = 0; op < plan.graph.operations.size(); op++) {
    if (device->pool.is_interrupted() || (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))) {
      fail(HASS_STATUS_CANCELLED, "The run was cancelled before operation %zu.", op);
    }
    for (; late != late_end && late->op == static_cast<std::int32_t>(op); late++) check(*late, dims);
    OperationView view = plan.view(op, dims, addresses_.data(), arena_.data());
    view.max_context = longest_context(view);
    visit_stages(
        view,
        [](void *context, hass_cpu_stage stage, const void *arguments) {
          static_cast<StageRunner *>(context)->run_stage(stage, arguments);
        },
        &runner);
  }
  if (device->pool.is_interrupted()) fail(HASS_STATUS_CANCELLED, "The run was cancelled in its last operation.");
  std::copy(dims, dims + last_dims_.size(), last_dims_.begin());
  has_outputs_ = true;
}

void hass_program::read_output(std::int32_t tensor, std::uint64_t first_element, void *target,
                               std::uint64_t bytes) const {
  if (!has_outputs_) fail(HASS_STATUS_INVALID_ARGUMENT, "The program has no outputs: no run of it has succeeded last.");
  const std::uint64_t offset = plan.check_output(tensor, first_element, bytes, last_dims_.data());
  if (bytes != 0) std::memcpy(target, addresses_[static_cast<std::size_t>(tensor)] + offset, bytes);
}
