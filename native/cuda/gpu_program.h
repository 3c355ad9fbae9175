// A program bound to buffers of a GPU: its memory, its launches, and the graphs that were captured of them.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "../runtime/program_plan.h"
#include "gpu_device.h"
#include "stages.h"

namespace hass::cuda {

struct Step {
  hass_cpu_stage stage;
  std::int64_t live_rows;
  StageArguments arguments;  // with the rows that are launched
};

class ExecutableGraph {
 public:
  explicit ExecutableGraph(cudaGraphExec_t graph) : graph_(graph) {}
  ~ExecutableGraph() { cudaGraphExecDestroy(graph_); }
  ExecutableGraph(const ExecutableGraph &) = delete;
  ExecutableGraph &operator=(const ExecutableGraph &) = delete;
  cudaGraphExec_t get() const { return graph_; }

 private:
  cudaGraphExec_t graph_;
};

}  // namespace hass::cuda

struct hass_program : hass::Managed {
  hass_program(hass_device *device, hass::Program &&program, hass_buffer *const *bindings, std::size_t num_bindings);

  void run(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled);
  void read_output(std::int32_t tensor, std::uint64_t first_element, void *target, std::uint64_t bytes) const;

  hass_device *const device;
  hass::ProgramPlan plan;

 private:
  using Steps = std::vector<hass::cuda::Step>;

  void allocate();
  void check(const hass::IndexCheck &check, const std::int32_t *dims, const unsigned char *parameters);
  std::int64_t launched_context(std::size_t op, const std::int32_t *dims, const unsigned char *parameters) const;
  void add_steps(std::size_t op, const std::int32_t *dims, const unsigned char *parameters, Steps &steps) const;
  void reserve_scratch(const Steps &steps);
  void copy_inputs(const std::int32_t *dims, const unsigned char *parameters);
  void copy_outputs(const std::int32_t *dims);
  void enqueue(const std::int32_t *dims, const unsigned char *parameters, const std::int32_t *cancelled);
  void launch(const Steps &steps, std::size_t begin, std::size_t end);
  void launch_graph(const Steps &steps);
  void fail_if_cancelled(const std::int32_t *cancelled, std::size_t op) const;

  hass::Vector<unsigned char *> addresses_;        // of tensors, on the device
  hass::Vector<std::int64_t> mirror_offsets_;      // of small outputs, -1 for the others
  std::size_t num_steps_ = 0;                      // at most
  hass::cuda::DeviceMemory arena_, parameters_, live_rows_, scratch_;
  std::unique_ptr<hass::cuda::PinnedMemory> staged_, mirror_;  // parameters and live rows; small outputs
  std::map<std::vector<std::int64_t>, std::unique_ptr<hass::cuda::ExecutableGraph>> graphs_;
  // Of the last run, if it succeeded.
  hass::Vector<std::int32_t> last_dims_;
  bool has_outputs_ = false;
};
