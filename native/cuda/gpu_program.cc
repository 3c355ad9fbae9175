#include "gpu_program.h"

#include <algorithm>
#include <cstring>

using namespace hass;
using namespace hass::cuda;

namespace {

// Up to this many rows a forward pass is bound by the weights, and by launches: it is launched as one graph, for a power
// of two of rows. Blocks of rows that are not there end at once.
constexpr std::int64_t largest_bucket = 64;
// Contexts are rounded up likewise.
constexpr std::int64_t smallest_context = 256;
// What is copied to the host with every run, so that a choice is read without another copy.
constexpr std::uint64_t mirrored_bytes = 64 << 10;
constexpr std::size_t max_graphs = 256;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + 255) & ~std::uint64_t(255); }

std::int64_t power_of_two_from(std::int64_t smallest, std::int64_t value) {
  while (smallest < value) smallest *= 2;
  return smallest;
}

std::int64_t bucket_of(std::int64_t rows) {
  return rows == 0 || rows > largest_bucket ? rows : power_of_two_from(1, rows);
}

}  // namespace

hass_program::hass_program(hass_device *owner, Program &&program, hass_buffer *const *bindings,
                           std::size_t num_bindings)
    : device(owner), plan(std::move(program)) {
  addresses_ = plan.bind(bindings, num_bindings);
  allocate();
  last_dims_.resize(plan.graph.max_dims.size());
}

void hass_program::allocate() {
  plan.visit_largest_stages(
      [](void *context, hass_cpu_stage stage, const void *arguments) {
        copy_arguments(stage, arguments);  // refuses what has no kernel
        ++*static_cast<std::size_t *>(context);
      },
      &num_steps_);
  arena_ = DeviceMemory(device, plan.arena_bytes);
  parameters_ = DeviceMemory(device, plan.parameter_bytes);
  live_rows_ = DeviceMemory(device, num_steps_ * sizeof(std::int32_t));
  staged_ = std::make_unique<PinnedMemory>(aligned(plan.parameter_bytes) + num_steps_ * sizeof(std::int32_t));
  plan.place_in_arena(arena_.data(), addresses_);
  mirror_offsets_.assign(addresses_.size(), -1);
  std::uint64_t mirror = 0;
  for (std::size_t i = 0; i < addresses_.size(); i++) {
    const auto tensor = static_cast<std::int32_t>(i);
    if (plan.input_offsets[i] >= 0) addresses_[i] = parameters_.data() + plan.input_offsets[i];
    const std::uint64_t bytes = plan.graph.bytes(tensor, plan.graph.max_dims.data());
    if (plan.graph.tensors[i].kind != HASS_OUTPUT || bytes > mirrored_bytes) continue;
    mirror_offsets_[i] = static_cast<std::int64_t>(mirror);
    mirror += aligned(bytes);
  }
  mirror_ = std::make_unique<PinnedMemory>(mirror);
}

// Indices that a run brought are on the host still; those that it computed are fetched.
void hass_program::check(const IndexCheck &check, const std::int32_t *dims, const unsigned char *parameters) {
  Vector<const std::uint32_t *> values(addresses_.size());
  Vector<Vector<std::uint32_t>> fetched;
  for (const std::int32_t tensor : check.tensors) {
    if (tensor == HASS_NONE) continue;
    const auto index = static_cast<std::size_t>(tensor);
    if (const std::int64_t offset = plan.input_offsets[index]; offset >= 0) {
      values[index] = reinterpret_cast<const std::uint32_t *>(parameters + offset);
      continue;
    }
    fetched.emplace_back(static_cast<std::size_t>(plan.graph.rows(tensor, dims)));
    values[index] = fetched.back().data();
    check_cuda(cudaMemcpyAsync(fetched.back().data(), addresses_[index], fetched.back().size() * sizeof(std::uint32_t),
                               cudaMemcpyDeviceToHost, device->runs),
               "Fetching indices");
  }
  if (!fetched.empty()) device->runs.wait("Computing indices");
  const IndexValues value_of = [](const void *all, std::int32_t tensor) {
    return static_cast<const std::uint32_t *const *>(all)[tensor];
  };
  check_indices(check, plan.graph, dims, value_of, values.data(), plan.marks);
}

// The positions that attention is launched for: those of the longest context, rounded up.
std::int64_t hass_program::launched_context(std::size_t op, const std::int32_t *dims,
                                            const unsigned char *parameters) const {
  const Operation &operation = plan.graph.operations[op];
  if (operation.opcode != HASS_OP_TREE_ATTENTION) return 0;
  const OperationView bound = plan.view(op, dims, nullptr, nullptr);
  Vector<unsigned char *> host(addresses_.size());
  for (const int position : {4, 5, 7}) {
    const auto tensor = static_cast<std::size_t>(operation.operands[position]);
    if (plan.input_offsets[tensor] < 0) return bound.max_context;
    host[tensor] = const_cast<unsigned char *>(parameters) + plan.input_offsets[tensor];
  }
  OperationView view = bound;
  view.addresses = host.data();
  return power_of_two_from(smallest_context, longest_context(view));
}

void hass_program::add_steps(std::size_t op, const std::int32_t *dims, const unsigned char *parameters,
                             Steps &steps) const {
  OperationView view = plan.view(op, dims, addresses_.data(), arena_.data());
  // `visit_stages` follows no address; only the longest context does, and it is known.
  view.max_context = launched_context(op, dims, parameters);
  visit_stages(
      view,
      [](void *context, hass_cpu_stage stage, const void *arguments) {
        Step step{stage, 0, copy_arguments(stage, arguments)};
        step.live_rows = step.arguments.rows;
        step.arguments.rows = bucket_of(step.live_rows);
        static_cast<Steps *>(context)->push_back(step);
      },
      &steps);
}

void hass_program::reserve_scratch(const Steps &steps) {
  std::size_t most = 0;
  for (const Step &step : steps) most = std::max(most, scratch_bytes(step.stage, step.arguments));
  if (most <= scratch_.size()) return;
  // Graphs know the old address.
  graphs_.clear();
  scratch_ = DeviceMemory();
  scratch_ = DeviceMemory(device, most);
}

void hass_program::copy_inputs(const std::int32_t *dims, const unsigned char *parameters) {
  for (std::size_t i = 0; i < plan.input_offsets.size(); i++) {
    const std::int64_t offset = plan.input_offsets[i];
    if (offset < 0) continue;
    const auto bytes = static_cast<std::size_t>(plan.graph.bytes(static_cast<std::int32_t>(i), dims));
    if (bytes == 0) continue;
    std::memcpy(staged_->data() + offset, parameters + offset, bytes);
    check_cuda(cudaMemcpyAsync(parameters_.data() + offset, staged_->data() + offset, bytes, cudaMemcpyHostToDevice,
                               device->runs),
               "Copying inputs");
  }
}

void hass_program::copy_outputs(const std::int32_t *dims) {
  for (std::size_t i = 0; i < mirror_offsets_.size(); i++) {
    if (mirror_offsets_[i] < 0) continue;
    const auto bytes = static_cast<std::size_t>(plan.graph.bytes(static_cast<std::int32_t>(i), dims));
    if (bytes == 0) continue;
    check_cuda(cudaMemcpyAsync(mirror_->data() + mirror_offsets_[i], addresses_[i], bytes, cudaMemcpyDeviceToHost,
                               device->runs),
               "Copying outputs");
  }
}

void hass_program::launch(const Steps &steps, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; i++) {
    const auto *live = reinterpret_cast<const std::int32_t *>(live_rows_.data()) + i;
    launch_stage({device->runs, live, scratch_.data()}, steps[i].stage, steps[i].arguments);
    check_cuda(cudaGetLastError(), "Launching a kernel");
  }
}

void hass_program::launch_graph(const Steps &steps) {
  std::vector<std::int64_t> key;
  key.reserve(steps.size() + 1);
  for (const Step &step : steps) {
    key.push_back(step.arguments.rows);
    if (step.stage == HASS_CPU_TREE_ATTENTION) key.push_back(step.arguments.attention.max_context);
  }
  if (graphs_.size() > max_graphs) graphs_.clear();
  std::unique_ptr<ExecutableGraph> &graph = graphs_[key];
  if (!graph) {
    check_cuda(cudaStreamBeginCapture(device->runs, cudaStreamCaptureModeThreadLocal), "Capturing a graph");
    cudaGraph_t captured = nullptr;
    const hass_error failure = [&] {
      hass_error error{};
      guarded(&error, [&] { launch(steps, 0, steps.size()); });
      return error;
    }();
    // Whatever happened, the capture has to end.
    const cudaError_t ended = cudaStreamEndCapture(device->runs, &captured);
    if (failure.status != HASS_STATUS_OK) throw Failure{failure};
    check_cuda(ended, "Capturing a graph");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t made = cudaGraphInstantiate(&executable, captured, 0);
    cudaGraphDestroy(captured);
    check_cuda(made, "Making a graph");
    graph = std::make_unique<ExecutableGraph>(executable);
  }
  check_cuda(cudaGraphLaunch(graph->get(), device->runs), "Launching a graph");
}

void hass_program::fail_if_cancelled(const std::int32_t *cancelled, std::size_t op) const {
  if (device->is_interrupted.load(std::memory_order_relaxed) ||
      (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))) {
    fail(HASS_STATUS_CANCELLED, "The run was cancelled before operation %zu.", op);
  }
}

void hass_program::run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled) {
  has_outputs_ = false;
  try {
    enqueue(dims, parameters, cancelled);
  } catch (...) {
    // What has been asked for still reads the staged parameters, which the next run fills anew.
    cudaStreamSynchronize(device->runs);
    throw;
  }
  device->runs.wait("Running a program");
  if (device->is_interrupted.load(std::memory_order_relaxed)) {
    fail(HASS_STATUS_CANCELLED, "The run was cancelled in its last operation.");
  }
  std::copy(dims, dims + last_dims_.size(), last_dims_.begin());
  has_outputs_ = true;
}

void hass_program::enqueue(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled) {
  check_bound_extents(plan.graph, dims);
  for (const IndexCheck &early : plan.early_checks) check(early, dims, parameters);
  fail_if_cancelled(cancelled, 0);

  const std::size_t num_operations = plan.graph.operations.size();
  Steps steps;
  steps.reserve(num_steps_);
  std::vector<std::size_t> first_steps;  // of each operation
  for (std::size_t op = 0; op < num_operations; op++) {
    first_steps.push_back(steps.size());
    add_steps(op, dims, parameters, steps);
  }
  reserve_scratch(steps);
  copy_inputs(dims, parameters);
  if (!steps.empty()) {
    auto *live = reinterpret_cast<std::int32_t *>(staged_->data() + aligned(plan.parameter_bytes));
    for (std::size_t i = 0; i < steps.size(); i++) live[i] = static_cast<std::int32_t>(steps[i].live_rows);
    check_cuda(cudaMemcpyAsync(live_rows_.data(), live, steps.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice,
                               device->runs),
               "Copying row counts");
  }

  const bool is_small = std::all_of(steps.begin(), steps.end(),
                                    [](const Step &step) { return step.arguments.rows <= largest_bucket; });
  // An index that the run computes is looked at on the host before it is followed: no graph goes past it.
  if (is_small && plan.late_checks.empty()) {
    launch_graph(steps);
  } else {
    const IndexCheck *late = plan.late_checks.data(), *const late_end = late + plan.late_checks.size();
    for (std::size_t op = 0; op < num_operations; op++) {
      fail_if_cancelled(cancelled, op);
      for (; late != late_end && late->op == static_cast<std::int32_t>(op); late++) check(*late, dims, parameters);
      launch(steps, first_steps[op], op + 1 < num_operations ? first_steps[op + 1] : steps.size());
    }
  }
  copy_outputs(dims);
}

void hass_program::read_output(std::int32_t tensor, std::uint64_t first_element, void *target,
                               std::uint64_t bytes) const {
  if (!has_outputs_) fail(HASS_STATUS_INVALID_ARGUMENT, "The program has no outputs: no run of it has succeeded last.");
  const std::uint64_t offset = plan.check_output(tensor, first_element, bytes, last_dims_.data());
  if (bytes == 0) return;
  const auto index = static_cast<std::size_t>(tensor);
  if (mirror_offsets_[index] >= 0) {
    std::memcpy(target, mirror_->data() + mirror_offsets_[index] + offset, bytes);
    return;
  }
  check_cuda(cudaMemcpyAsync(target, addresses_[index] + offset, bytes, cudaMemcpyDeviceToHost, device->transfers),
             "Reading an output");
  device->transfers.wait("Reading an output");
}
