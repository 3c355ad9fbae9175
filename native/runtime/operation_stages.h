// Which stages of kernels an operation is, and with which arguments.
#pragma once

#include "../cpu/ops.h"
#include "program.h"

namespace hass {

// An operation in one run, or, when a program is planned, at its maximal sizes without addresses.
struct OperationView {
  const Program &program;
  const Operation &operation;
  const std::int32_t *dims;
  unsigned char *const *addresses;  // of tensors
  unsigned char *quantized;         // quantized activations
  bool is_quantized;                // they are there already
  unsigned char *staging;
  std::int64_t max_context;  // of attention; of aligned attention, the most near slots
};

// What an operation keeps beside its operands at these sizes: bytes, 0 for nothing.
std::uint64_t quantized_bytes(const OperationView &view);
std::uint64_t staging_bytes(const OperationView &view);
// The block of int8 activations; 0 where activations stay float32.
std::int32_t activation_block(const OperationView &view);
// The operand that is quantized.
std::int32_t quantized_operand(const Operation &operation);
// The longest context of a row, or the bound on it when there are no addresses.
std::int64_t longest_context(const OperationView &view);

// Calls visit(context, stage, arguments) for each stage in order.
using StageVisitor = void (*)(void *context, hass_cpu_stage stage, const void *arguments);
void visit_stages(const OperationView &view, StageVisitor visit, void *context);

}  // namespace hass
