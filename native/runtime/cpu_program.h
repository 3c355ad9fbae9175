// A program bound to buffers of the CPU: its places in memory, its checks, its execution.
#pragma once

#include "arena.h"
#include "cpu_device.h"
#include "index_checks.h"
#include "program.h"
#include "stage_runner.h"

namespace hass {

// Memory that an operation needs besides its operands: indices into the intervals, -1 where not needed.
struct Extra {
  std::int32_t quantized = -1;
  bool is_quantized_here = false;  // or by an earlier operation of the same input
  std::int32_t staging = -1;
};

}  // namespace hass

struct hass_program : hass::Managed {
  hass_program(hass_device *device, hass::Program &&program, hass_buffer *const *bindings, std::size_t num_bindings);

  void check_dims(const std::int32_t *dims, std::size_t num_dims) const;
  void run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled);
  void read_output(std::int32_t tensor, std::uint64_t first_element, void *target, std::uint64_t bytes) const;

  hass_device *const device;
  const hass::Program graph;
  hass::Vector<std::int64_t> input_offsets;
  std::uint64_t parameter_bytes = 0, arena_bytes = 0;

 private:
  void bind(hass_buffer *const *bindings, std::size_t num_bindings);
  void plan();
  void check(const hass::IndexCheck &check, const std::int32_t *dims);

  // Addresses of tensors; of inputs while a run lasts.
  hass::Vector<unsigned char *> addresses_;
  hass::Vector<hass::Interval> intervals_;
  hass::Vector<hass::Extra> extras_;
  hass::Vector<hass::IndexCheck> early_checks_, late_checks_;
  hass::Marks marks_;
  hass::Block arena_, scratch_;
  std::size_t scratch_bytes_ = 0;
  // Of the last run, if it succeeded.
  hass::Vector<std::int32_t> last_dims_;
  bool has_outputs_ = false;
};
