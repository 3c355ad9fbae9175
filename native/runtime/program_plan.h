// A program laid out in memory and ready to be checked: what it is on every device. Where the memory is, and how its
// stages run, is a backend's own matter.
#pragma once

#include "../include/hass_backend.h"
#include "arena.h"
#include "index_checks.h"
#include "operation_stages.h"
#include "program.h"

namespace hass {

// Memory that an operation needs besides its operands: indices into the intervals, -1 where not needed.
struct Extra {
  std::int32_t quantized = -1;
  bool is_quantized_here = false;  // or by an earlier operation of the same input
  std::int32_t staging = -1;
  std::int64_t max_context = 0;  // of attention, whatever the run
};

class ProgramPlan {
 public:
  // Lays the program out for its maximal sizes. Throws Failure.
  explicit ProgramPlan(Program &&program);

  const Program graph;
  Vector<std::int64_t> input_offsets;  // by tensor, -1 where it is no input
  std::uint64_t parameter_bytes = 0, arena_bytes = 0;
  Vector<IndexCheck> early_checks, late_checks;
  Marks marks;

  // Addresses by tensor, of those that a buffer is bound to. Throws Failure where they do not fit.
  template <typename Buffer>
  Vector<unsigned char *> bind(Buffer *const *bindings, std::size_t num_bindings) const {
    check_num_bindings(num_bindings);
    Vector<unsigned char *> addresses(num_bindings);
    for (std::size_t i = 0; i < num_bindings; i++) {
      const Buffer *buffer = bindings[i];
      const hass_buffer_facts facts = buffer ? buffer->facts() : hass_buffer_facts{};
      check_binding(static_cast<std::int32_t>(i), buffer ? &facts : nullptr);
      if (buffer) addresses[i] = buffer->data();
    }
    return addresses;
  }
  // Fills in the addresses of the tensors that lie in the arena.
  void place_in_arena(unsigned char *arena, Vector<unsigned char *> &addresses) const;
  void check_dims(const std::int32_t *dims, std::size_t num_dims) const;
  // Byte offset of an element of an output whose last run had these dimensions.
  std::uint64_t check_output(std::int32_t tensor, std::uint64_t first_element, std::uint64_t bytes,
                             const std::int32_t *dims) const;

  // One operation of a run, its context as long as it may be; `arena` and `addresses` may be those of another memory
  // than this processor's.
  OperationView view(std::size_t op, const std::int32_t *dims, unsigned char *const *addresses,
                     unsigned char *arena) const;
  // The stages of all operations at the maximal sizes, without addresses.
  void visit_largest_stages(StageVisitor visit, void *context) const;

 private:
  void plan();
  // Throws Failure where a tensor and the buffer that is bound to it do not fit; facts are NULL for no buffer.
  void check_binding(std::int32_t tensor, const hass_buffer_facts *facts) const;
  void check_num_bindings(std::size_t num_bindings) const;
  OperationView largest_view(std::size_t op) const;

  Vector<Interval> intervals_;
  Vector<std::int32_t> interval_of_;  // by tensor
  Vector<Extra> extras_;              // by operation
};

}  // namespace hass
