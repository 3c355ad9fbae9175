#include "cpu_program.h"

#include <algorithm>
#include <cstring>

#include "failure.h"
#include "operation_stages.h"

using namespace hass;

namespace {

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + HASS_ALIGNMENT - 1) & ~std::uint64_t(HASS_ALIGNMENT - 1); }

[[noreturn]] void refuse_binding(std::int32_t tensor, const char *what) {
  hass_error error = make_error(HASS_STATUS_INVALID_PROGRAM, "Tensor %d %s.", tensor, what);
  error.tensor = tensor;
  throw Failure{error};
}

OperationView view_of(const Program &graph, std::size_t op, const std::int32_t *dims) {
  return {graph, graph.operations[op], dims, nullptr, nullptr, false, nullptr, 0};
}

}  // namespace

hass_program::hass_program(hass_device *owner, Program &&program, hass_buffer *const *bindings,
                           std::size_t num_bindings)
    : device(owner), graph(std::move(program)) {
  bind(bindings, num_bindings);
  for (IndexCheck &check : collect_index_checks(graph)) (check.is_early ? early_checks_ : late_checks_).push_back(check);
  marks_ = make_marks(graph, early_checks_);
  const Marks late = make_marks(graph, late_checks_);
  if (late.seen.size() > marks_.seen.size()) marks_ = late;
  plan();
  last_dims_.resize(graph.max_dims.size());
}

void hass_program::bind(hass_buffer *const *bindings, std::size_t num_bindings) {
  const std::size_t num_tensors = graph.tensors.size();
  if (num_bindings != num_tensors) {
    fail(HASS_STATUS_INVALID_PROGRAM, "%zu bindings for %zu tensors.", num_bindings, num_tensors);
  }
  addresses_.resize(num_tensors);
  for (std::size_t i = 0; i < num_tensors; i++) {
    const Tensor &tensor = graph.tensors[i];
    const auto index = static_cast<std::int32_t>(i);
    const bool is_bound = tensor.kind == HASS_WEIGHT || tensor.kind == HASS_STATE;
    hass_buffer *buffer = bindings[i];
    if (!is_bound) {
      if (buffer) refuse_binding(index, "is no weight or state and bound to a buffer");
      continue;
    }
    if (!buffer) refuse_binding(index, "is a weight or state and bound to nothing");
    const bool is_weight = buffer->dtype >= 0;
    if (tensor.binding == Binding::matrix) {
      const bool fits = is_weight && buffer->dtype == tensor.dtype && buffer->rows == tensor.extent[0] &&
                        buffer->columns == tensor.extent[1];
      if (!fits) refuse_binding(index, "is a matrix and not bound to a weight of its dtype and extents");
    } else if (tensor.binding == Binding::plain) {
      if (is_weight) refuse_binding(index, "is read row by row and bound to a weight instead of a plain buffer");
      if (buffer->block.size() < graph.bytes(index, graph.max_dims.data())) {
        refuse_binding(index, "is larger than its buffer");
      }
    }
    addresses_[i] = buffer->block.data();
  }
}

void hass_program::plan() {
  const std::int32_t *dims = graph.max_dims.data();
  const auto num_operations = static_cast<std::int32_t>(graph.operations.size());
  const std::size_t num_tensors = graph.tensors.size();

  input_offsets.assign(num_tensors, -1);
  Vector<std::int32_t> interval_of(num_tensors, -1);
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
      interval_of[i] = static_cast<std::int32_t>(intervals_.size());
      intervals_.push_back({bytes, tensor.written_by, last});
    }
  }

  // Activations that are quantized once and read by every linear of the same input and block.
  Vector<std::int32_t> quantized_of(num_tensors * 2, -1);
  extras_.resize(graph.operations.size());
  for (std::int32_t op = 0; op < num_operations; op++) {
    OperationView view = view_of(graph, static_cast<std::size_t>(op), dims);
    view.max_context = longest_context(view);
    Extra &extra = extras_[static_cast<std::size_t>(op)];
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
    visit_stages(
        view,
        [](void *context, hass_cpu_stage stage, const void *arguments) {
          auto &most = *static_cast<std::size_t *>(context);
          most = std::max(most, stage_scratch_bytes(stage, arguments));
        },
        &scratch_bytes_);
  }

  arena_bytes = plan_arena(intervals_);
  arena_ = Block(arena_bytes);
  // A zero-sized area would still be handed to kernels as an address.
  scratch_bytes_ = std::max<std::size_t>(scratch_bytes_, HASS_ALIGNMENT);
  scratch_ = Block(scratch_bytes_ * static_cast<std::size_t>(device->pool.threads()));
  for (std::size_t i = 0; i < num_tensors; i++) {
    if (interval_of[i] >= 0) {
      addresses_[i] = arena_.data() + intervals_[static_cast<std::size_t>(interval_of[i])].offset;
    }
  }
}

void hass_program::check_dims(const std::int32_t *dims, std::size_t num_dims) const {
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

void hass_program::check(const IndexCheck &check, const std::int32_t *dims) {
  const IndexValues values = [](const void *run, std::int32_t tensor) {
    return reinterpret_cast<const std::uint32_t *>(static_cast<unsigned char *const *>(run)[tensor]);
  };
  check_indices(check, graph, dims, values, addresses_.data(), marks_);
}

void hass_program::run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled) {
  has_outputs_ = false;
  check_bound_extents(graph, dims);
  for (std::size_t i = 0; i < input_offsets.size(); i++) {
    // Kernels do not write to inputs.
    if (input_offsets[i] >= 0) addresses_[i] = const_cast<unsigned char *>(parameters) + input_offsets[i];
  }
  for (const IndexCheck &early : early_checks_) check(early, dims);

  StageRunner runner(device, scratch_.data(), scratch_bytes_);
  device->pool.wake();
  const IndexCheck *late = late_checks_.data(), *const late_end = late + late_checks_.size();
  for (std::size_t op = 0; op < graph.operations.size(); op++) {
    if (device->pool.is_interrupted() || (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))) {
      fail(HASS_STATUS_CANCELLED, "The run was cancelled before operation %zu.", op);
    }
    for (; late != late_end && late->op == static_cast<std::int32_t>(op); late++) check(*late, dims);
    const Extra &extra = extras_[op];
    const auto place = [&](std::int32_t interval) {
      return interval < 0 ? nullptr : arena_.data() + intervals_[static_cast<std::size_t>(interval)].offset;
    };
    OperationView view{graph,           graph.operations[op],  dims,
                       addresses_.data(), place(extra.quantized), !extra.is_quantized_here,
                       place(extra.staging), 0};
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
  if (tensor < 0 || static_cast<std::size_t>(tensor) >= graph.tensors.size() ||
      graph.tensors[static_cast<std::size_t>(tensor)].kind != HASS_OUTPUT) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "Tensor %d is no output of the program.", tensor);
  }
  if (!has_outputs_) fail(HASS_STATUS_INVALID_ARGUMENT, "The program has no outputs: no run of it has succeeded last.");
  const std::uint64_t size = element_bytes(graph.tensors[static_cast<std::size_t>(tensor)].dtype);
  const std::uint64_t there = graph.bytes(tensor, last_dims_.data());
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
  if (bytes != 0) std::memcpy(target, addresses_[static_cast<std::size_t>(tensor)] + first_element * size, bytes);
}
