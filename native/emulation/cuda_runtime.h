// For a C++ compiler, in the place of CUDA's own header of this name: the part of the language and of the runtime that
// native/cuda/ uses. Work on a stream begins when somebody waits for it and not before, so that a host that reads too
// early, or fills a buffer again too early, gives wrong results.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "emulation.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

#define threadIdx (::hass::emulation::thread_index())
#define blockIdx (::hass::emulation::block_index())
#define blockDim (::hass::emulation::block_size())
#define gridDim (::hass::emulation::grid_size())

#define __syncthreads() ::hass::emulation::meet_block(__COUNTER__)

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

struct dim3 {
  dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : x(x_size), y(y_size), z(z_size) {}
  unsigned x, y, z;
};

namespace hass::emulation {

template <typename Value> struct ShuffleInput {
  Value value;
  int source;
};

template <typename Value> Value shuffle(Value value, int source) {
  const ShuffleInput<Value> input{value, source};
  Value output;
  meet_warp(
      [](const void *const *inputs, void *const *outputs) {
        for (int lane = 0; lane < warp_size; lane++) {
          const auto &own = *static_cast<const ShuffleInput<Value> *>(inputs[lane]);
          const auto &other = *static_cast<const ShuffleInput<Value> *>(inputs[own.source & 31]);
          *static_cast<Value *>(outputs[lane]) = other.value;
        }
      },
      &input, &output);
  return output;
}

}  // namespace hass::emulation

// Whole warps only: the mask is always that of all lanes.
template <typename Value> Value __shfl_sync(unsigned, Value value, int lane) {
  return hass::emulation::shuffle(value, lane);
}
template <typename Value> Value __shfl_xor_sync(unsigned, Value value, int mask) {
  return hass::emulation::shuffle(value, hass::emulation::lane_index() ^ mask);
}

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

namespace hass::emulation {
struct Stream;
struct Graph;
Schedule schedule_of(const Stream *stream);
void enqueue(Stream *stream, std::function<const char *()> work);
// Of the streams that are created next by this thread.
void choose_schedule(const Schedule &schedule);
}  // namespace hass::emulation

using cudaStream_t = hass::emulation::Stream *;
using cudaGraph_t = hass::emulation::Graph *;
using cudaGraphExec_t = hass::emulation::Graph *;

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void **memory, std::size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, std::size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *target, const void *source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *target, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) { return cudaSuccess; }
