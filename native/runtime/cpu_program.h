// A program bound to buffers of the CPU: its memory and its execution.
#pragma once

#include "cpu_device.h"
#include "program_plan.h"
#include "stage_runner.h"

struct hass_program : hass::Managed {
  hass_program(hass_device *device, hass::Program &&program, hass_buffer *const *bindings, std::size_t num_bindings);

  void run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled);
  void read_output(std::int32_t tensor, std::uint64_t first_element, void *target, std::uint64_t bytes) const;

  hass_device *const device;
  hass::ProgramPlan plan;

 private:
  void allocate();
  void check(const hass::IndexCheck &check, const std::int32_t *dims);

  // Addresses of tensors; of inputs while a run lasts.
  hass::Vector<unsigned char *> addresses_;
  hass::Block arena_, scratch_;
  std::size_t scratch_bytes_ = 0;
  // Of the last run, if it succeeded.
  hass::Vector<std::int32_t> last_dims_;
  bool has_outputs_ = false;
};
