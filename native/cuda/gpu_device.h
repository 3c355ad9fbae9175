// What stands behind the C ABI's handles on a GPU.
#pragma once

#include <cuda_runtime.h>

#include <atomic>

#include "../runtime/failure.h"
#include "../runtime/memory.h"
#include "architecture.h"

namespace hass::cuda {

// Throws Failure.
inline void check_cuda(cudaError_t status, const char *what) {
  if (status == cudaSuccess) return;
  hass_error error = make_error(status == cudaErrorMemoryAllocation ? HASS_STATUS_OUT_OF_MEMORY : HASS_STATUS_INTERNAL,
                                "%s: CUDA says \"%s\".", what, cudaGetErrorString(status));
  error.value = status;
  throw Failure{error};
}

class Stream {
 public:
  Stream() { check_cuda(cudaStreamCreate(&stream_), "Making a stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  operator cudaStream_t() const { return stream_; }
  void wait(const char *what) const { check_cuda(cudaStreamSynchronize(stream_), what); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace hass::cuda

struct hass_device : hass::Managed {
  explicit hass_device(const hass::cuda::Architecture &chosen) : architecture(chosen) {}

  const hass::cuda::Architecture architecture;
  hass::cuda::Stream runs;       // of the thread that calls run
  hass::cuda::Stream transfers;  // of the one that reads and writes buffers
  std::atomic<std::uint64_t> memory_bytes{0};
  std::atomic<bool> is_interrupted{false};

  // CUDA's current device belongs to a thread.
  void enter() const { hass::cuda::check_cuda(cudaSetDevice(architecture.ordinal), "Choosing the device"); }
};

namespace hass::cuda {

// Device memory that its device counts; empty or not, it has no defined content.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(hass_device *device, std::uint64_t bytes) : device_(device), bytes_(bytes) {
    if (bytes == 0) return;
    void *memory = nullptr;
    check_cuda(cudaMalloc(&memory, static_cast<std::size_t>(bytes)), "Taking device memory");
    data_ = static_cast<unsigned char *>(memory);
    device_->memory_bytes.fetch_add(bytes_, std::memory_order_relaxed);
  }
  ~DeviceMemory() {
    if (!data_) return;
    cudaSetDevice(device_->architecture.ordinal);
    cudaFree(data_);
    device_->memory_bytes.fetch_sub(bytes_, std::memory_order_relaxed);
  }
  DeviceMemory(DeviceMemory &&other) noexcept { swap(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    DeviceMemory moved(std::move(other));
    swap(moved);
    return *this;
  }

  unsigned char *data() const { return data_; }
  std::uint64_t size() const { return bytes_; }

 private:
  void swap(DeviceMemory &other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  hass_device *device_ = nullptr;
  unsigned char *data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// Host memory that copies need not go around: from it they run beside kernels.
class PinnedMemory {
 public:
  explicit PinnedMemory(std::uint64_t bytes) {
    void *memory = nullptr;
    if (bytes != 0) check_cuda(cudaMallocHost(&memory, static_cast<std::size_t>(bytes)), "Taking pinned memory");
    data_ = static_cast<unsigned char *>(memory);
  }
  ~PinnedMemory() { cudaFreeHost(data_); }
  PinnedMemory(const PinnedMemory &) = delete;
  PinnedMemory &operator=(const PinnedMemory &) = delete;
  unsigned char *data() const { return data_; }

 private:
  unsigned char *data_ = nullptr;
};

}  // namespace hass::cuda

struct hass_buffer : hass::Managed {
  hass_buffer(hass_device *owner, std::uint64_t bytes) : device(owner), memory(owner, bytes) {}
  hass_buffer_facts facts() const { return {memory.size(), dtype, rows, columns}; }
  unsigned char *data() const { return memory.data(); }

  hass_device *const device;
  hass::cuda::DeviceMemory memory;
  std::int32_t dtype = -1, rows = 0, columns = 0;  // of weights
};
