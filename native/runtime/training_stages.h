// The operations of training as stages: what operation_stages.h is for those of inference.
#pragma once

#include "operation_stages.h"

namespace hass {

void visit_training_stages(const OperationView &view, StageVisitor visit, void *context);
// 0 for other operations.
std::uint64_t training_staging_bytes(const OperationView &view);
// Of a row of aligned attention, or the bound on it when there are no addresses; 0 for other operations.
std::int64_t most_near_slots(const OperationView &view);

}  // namespace hass
