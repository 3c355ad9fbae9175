// The operations of training as stages: what operation_stages.h is for those of inference.
#pragma once

#include "operation_stages.h"

namespace hass {

void visit_training_stages(const OperationView &view, StageVisitor visit, void *context);
// 0 for other operations.
std::uint64_t training_staging_bytes(const OperationView &view);
std::int64_t longest_aligned_context(const OperationView &view);

}  // namespace hass
