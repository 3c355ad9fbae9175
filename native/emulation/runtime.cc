// Streams, graphs and memory of the emulated device: the heap, and lists of what is to be done.
#include <memory>
#include <vector>

#include "cuda_runtime.h"
#include "device_memory.h"

namespace hass::emulation {

using Work = std::function<const char *()>;

struct Graph {
  std::vector<Work> work;
};

struct Stream {
  Schedule schedule;
  std::vector<Work> queue;
  std::unique_ptr<Graph> captured;
};

namespace {

thread_local Schedule chosen_schedule;
thread_local const char *last_failure = "no failure";

}  // namespace

void choose_schedule(const Schedule &schedule) { chosen_schedule = schedule; }
Schedule schedule_of(const Stream *stream) { return stream->schedule; }

void enqueue(Stream *stream, Work work) {
  (stream->captured ? stream->captured->work : stream->queue).push_back(std::move(work));
}

}  // namespace hass::emulation

using namespace hass::emulation;

const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorLaunchFailure: return last_failure;
    default: return "an error that the emulation does not have";
  }
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }

cudaError_t cudaMalloc(void **memory, std::size_t bytes) {
  *memory = allocate_piece(bytes);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory) {
  release_piece(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, std::size_t bytes) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFreeHost(void *memory) { return cudaFree(memory); }

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  *stream = new Stream{chosen_schedule, {}, nullptr};
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::vector<Work> queue;
  queue.swap(stream->queue);
  for (const Work &work : queue) {
    if (const char *failure = work()) {
      last_failure = failure;
      return cudaErrorLaunchFailure;
    }
  }
  if (!queue.empty() && is_a_piece_overrun()) {
    last_failure = "something has been written behind a piece of device memory";
    return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *target, const void *source, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  enqueue(stream, [=]() -> const char * {
    std::memcpy(target, source, bytes);
    return nullptr;
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *target, int value, std::size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=]() -> const char * {
    std::memset(target, value, bytes);
    return nullptr;
  });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->captured = std::make_unique<Graph>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  *graph = stream->captured.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
  *executable = new Graph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const Work &work : executable->work) enqueue(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return cudaGraphDestroy(executable); }
