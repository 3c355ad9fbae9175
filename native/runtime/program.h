// A recorded program, read from its words and found sound: see include/hass_program.h.
#pragma once

#include <cstdint>

#include "../include/hass_program.h"
#include "memory.h"

namespace hass {

// Fixed where it is not negative, else dimension -1 - extent.
using Extent = std::int32_t;

enum class Binding : std::uint8_t {
  none,    // lives in the arena or in the parameters
  plain,   // row-major bytes of a buffer
  matrix,  // a weight in the kernels' layout
};

struct Tensor {
  std::int32_t kind, dtype, rank;
  Extent extent[4];
  Binding binding = Binding::none;
  std::int32_t written_by = -1;  // operation, in the arena's tensors
  std::int32_t last_read = -1;   // operation
};

struct Operation {
  std::int32_t opcode;
  const std::int32_t *operands;
  std::int32_t num_operands;
  const std::int32_t *attributes;
  std::int32_t num_attributes;

  float float_attribute(int index) const;
};

struct Program : public Managed {
  Vector<std::int32_t> words;  // what operands and attributes point into
  Vector<std::int32_t> max_dims;
  Vector<Tensor> tensors;
  Vector<Operation> operations;

  // Of bound dimensions; [rows, columns] as the kernels take it: rank 1 has one column.
  std::int64_t size(Extent extent, const std::int32_t *dims) const;
  std::int64_t rows(std::int32_t tensor, const std::int32_t *dims) const;
  std::int64_t columns(std::int32_t tensor) const;
  std::uint64_t bytes(std::int32_t tensor, const std::int32_t *dims) const;
};

// 0 for packed layouts.
std::uint32_t element_bytes(std::int32_t dtype);

// Throws Failure: INVALID_PROGRAM or TOO_LARGE.
Program read_program(const std::int32_t *words, std::size_t num_words);

// Shapes, dtypes and kinds of every operation; fills in the tensors' bindings. Throws Failure.
void check_operations(Program &program);

}  // namespace hass
