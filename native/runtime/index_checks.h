// Indices that a run brings are checked before any kernel follows them.
#pragma once

#include <cstdint>

#include "program.h"

namespace hass {

struct IndexCheck {
  enum class Kind : std::uint8_t {
    below,     // each value of tensors[0] is below the limit
    distinct,  // and no two are equal
    context,   // tensors: row_sequence, sequence_offsets, context_slots, ancestor_offsets, ancestor_slots
    aligned,   // tensors: begins, ends, near_offsets, near
  };
  Kind kind;
  std::int32_t tensors[5];
  Extent limit;
  std::int32_t op;  // the first that needs it
  bool is_early;    // all tensors are inputs: checked before the first operation
};

// The checks of all operations, equal ones once, by operation.
Vector<IndexCheck> collect_index_checks(const Program &program);

// For each value of a distinct check: when it was last seen.
struct Marks {
  Vector<std::uint32_t> seen;
  std::uint32_t now = 0;
};
// Room for the largest distinct check.
Marks make_marks(const Program &program, const Vector<IndexCheck> &checks);

// values(tensor) is the bound elements of an index tensor. Throws Failure INVALID_INPUT.
using IndexValues = const std::uint32_t *(*)(const void *run, std::int32_t tensor);
void check_indices(const IndexCheck &check, const Program &program, const std::int32_t *dims, IndexValues values,
                   const void *run, Marks &marks);

// What the extents of an operation must be beyond its letters: R + 1 offsets, at least one sequence offset.
void check_bound_extents(const Program &program, const std::int32_t *dims);

}  // namespace hass
