#include "program_plan.h"

#include <algorithm>

#include "failure.h"

namespace hass {
namespace {

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + HASS_ALIGNMENT - 1) & ~std::uint64_t(HASS_ALIGNMENT - 1); }

[[noreturn]] void refuse_binding(std::int32_t tensor, const char *what) {
  hass_error error = make_error(HASS_STATUS_INVALID_PROGRAM, "Tensor %d %s.", tensor, what);
  error.tensor = tensor;
  throw Failure{error};
}

}  // namespace

ProgramPlan::ProgramPlan(Program &&program) : graph(std::move(program)) {
  for (IndexCheck &check : collect_index_checks(graph)) (check.is_early ? early_checks : late_checks).push_back(check);
  marks = make_marks(graph, early_checks);
  const Marks late = make_marks(graph, late_checks);
  if (late.seen.size() > marks.seen.size()) marks = late;
  plan();
}

void ProgramPlan::check_num_bindings(std::size_t num_bindings) const {
  if (num_bindings != graph.tensors.size()) {
    fail(HASS_STATUS_INVALID_PROGRAM, "%zu bindings for %zu tensors.", num_bindings, graph.tensors.size());
  }
}

void ProgramPlan::check_binding(std::int32_t index, const hass_buffer_facts *facts) const {
  const Tensor &tensor = graph.tensors[static_cast<std::size_t>(index)];
  const bool is_bound = tensor.kind == HASS_WEIGHT || tensor.kind == HASS_STATE;
  if (!is_bound) {
    if (facts) refuse_binding(index, "is no weight or state and bound to a buffer");
    return;
  }
  if (!facts) refuse_binding(index, "is a weight or state and bound to nothing");
  const bool is_weight = facts->dtype >= 0;
  if (tensor.binding == Binding::matrix) {
    const bool fits = is_weight && facts->dtype == tensor.dtype && facts->rows == tensor.extent[0] &&
                      facts->columns == tensor.extent[1];
    if (!fits) refuse_binding(index, "is a matrix and not bound to a weight of its dtype and extents");
  } else if (tensor.binding == Binding::plain) {
    if (is_weight) refuse_binding(index, "is read row by row and bound to a weight instead of a plain buffer");
    if (facts->bytes < graph.bytes(index, graph.max_dims.data())) refuse_binding(index, "is larger than its buffer");
  }
}

OperationView ProgramPlan::largest_view(std::size_t op) const {
  OperationView view{graph, graph.operations[op], graph.max_dims.data(), nullptr, nullptr, false, nullptr, 0};
  view.max_context = longest_context(view);
  return view;
}

void ProgramPlan::plan() {
  const std::int32_t *dims = graph.max_dims.data();
  const auto num_operations = static_cast<std::int32_t>(graph.operations.size());
  const std::size_t num_tensors = graph.tensors.size();

  input_offsets.assign(num_tensors, -1);
  interval_of_.assign(num_tensors, -1);
  for (std::size_t i = 0; i < num_tensors; i++) {
    const Tensor &tensor = graph.tensors[i];
    const std::uint64_t bytes = graph.bytes(static_cast<std::int32_t>(i), dims);
    if (tensor.kind == HASS_INPUT) {
      input_offsets[i] = static_cast<std::int64_t>(parameter_bytes);
      parameter_bytes += aligned(bytes);
      if (parameter_bytes > HASS_MAX_BYTES) fail(HASS_STATUS_TOO_LARGE, "The inputs take too many bytes.");
    } else if (tensor.written_by >= 0) {
      const bool is_output = tensor.kind == HASS_OUTPUT;
      const std::int32_t last = is_output ? num_operations : std::max(tensor.written_by, tensor.last_read);
      interval_of_[i] = static_cast<std::int32_t>(intervals_.size());
      intervals_.push_back({bytes, tensor.written_by, last});
    }
  }

  // Activations that are quantized once and read by every linear of the same input and block.
  Vector<std::int32_t> quantized_of(num_tensors * 2, -1);
  extras_.resize(graph.operations.size());
  for (std::int32_t op = 0; op < num_operations; op++) {
    const OperationView view = largest_view(static_cast<std::size_t>(op));
    Extra &extra = extras_[static_cast<std::size_t>(op)];
    extra.max_context = view.max_context;
    if (const std::uint64_t bytes = quantized_bytes(view)) {
      const std::int32_t x = view.operation.operands[quantized_operand(view.operation)];
      std::int32_t &known = quantized_of[static_cast<std::size_t>(x) * 2 + (activation_block(view) == 16)];
      // State changes between operations, all else is written once.
      const bool is_constant = graph.tensors[static_cast<std::size_t>(x)].kind != HASS_STATE;
      if (known >= 0 && is_constant) {
        intervals_[static_cast<std::size_t>(known)].last = op;
      } else {
        known = static_cast<std::int32_t>(intervals_.size());
        intervals_.push_back({bytes, op, op});
        extra.is_quantized_here = true;
      }
      extra.quantized = known;
    }
    if (const std::uint64_t bytes = staging_bytes(view)) {
      extra.staging = static_cast<std::int32_t>(intervals_.size());
      intervals_.push_back({bytes, op, op});
    }
  }
  arena_bytes = plan_arena(intervals_);
}

void ProgramPlan::visit_largest_stages(StageVisitor visit, void *context) const {
  for (std::size_t op = 0; op < graph.operations.size(); op++) visit_stages(largest_view(op), visit, context);
}

void ProgramPlan::place_in_arena(unsigned char *arena, Vector<unsigned char *> &addresses) const {
  for (std::size_t i = 0; i < addresses.size(); i++) {
    const std::int32_t interval = interval_of_[i];
    if (interval >= 0) addresses[i] = arena + intervals_[static_cast<std::size_t>(interval)].offset;
  }
}

OperationView ProgramPlan::view(std::size_t op, const std::int32_t *dims, unsigned char *const *addresses,
                                unsigned char *arena) const {
  const Extra &extra = extras_[op];
  const auto place = [&](std::int32_t interval) {
    return interval < 0 ? nullptr : arena + intervals_[static_cast<std::size_t>(interval)].offset;
  };
  return {graph,     graph.operations[op],    dims, addresses, place(extra.quantized), !extra.is_quantized_here,
          place(extra.staging), extra.max_context};
}

void ProgramPlan::check_dims(const std::int32_t *dims, std::size_t num_dims) const {
  if (num_dims != graph.max_dims.size()) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "%zu dimensions were given, the program has %zu.", num_dims,
         graph.max_dims.size());
  }
  for (std::size_t i = 0; i < num_dims; i++) {
    if (dims[i] >= 0 && dims[i] <= graph.max_dims[i]) continue;
    hass_error error = make_error(HASS_STATUS_INVALID_ARGUMENT, "Dimension %zu is %d, expected 0 to %d.", i, dims[i],
                                  graph.max_dims[i]);
    error.index = static_cast<std::int64_t>(i);
    error.value = dims[i];
    error.limit = graph.max_dims[i];
    throw Failure{error};
  }
}

std::uint64_t ProgramPlan::check_output(std::int32_t tensor, std::uint64_t first_element, std::uint64_t bytes,
                                        const std::int32_t *dims) const {
  if (tensor < 0 || static_cast<std::size_t>(tensor) >= graph.tensors.size() ||
      graph.tensors[static_cast<std::size_t>(tensor)].kind != HASS_OUTPUT) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "Tensor %d is no output of the program.", tensor);
  }
  const std::uint64_t size = element_bytes(graph.tensors[static_cast<std::size_t>(tensor)].dtype);
  const std::uint64_t there = graph.bytes(tensor, dims);
  if (bytes % size != 0 || first_element > there / size || bytes > there - first_element * size) {
    hass_error error = make_error(HASS_STATUS_INVALID_ARGUMENT,
                                  "%llu bytes from element %llu of output %d were asked for, it has %llu bytes.",
                                  static_cast<unsigned long long>(bytes),
                                  static_cast<unsigned long long>(first_element), tensor,
                                  static_cast<unsigned long long>(there));
    error.tensor = tensor;
    error.bytes = static_cast<std::int64_t>(there);
    throw Failure{error};
  }
  return first_element * size;
}

}  // namespace hass
