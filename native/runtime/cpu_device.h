// What stands behind the C ABI's handles on the CPU.
#pragma once

#include <atomic>

#include "../cpu/ops.h"
#include "memory.h"
#include "thread_pool.h"

struct hass_device : hass::Managed {
  hass_device(const hass_cpu_kernels *chosen, std::int32_t threads) : kernels(chosen), pool(threads) {}

  const hass_cpu_kernels *kernels;
  hass::ThreadPool pool;
  std::atomic<std::uint64_t> memory_bytes{0};
};

namespace hass {

// A block that its device counts.
class DeviceBlock {
 public:
  DeviceBlock(hass_device *device, std::uint64_t bytes) : device_(device), block_(bytes) {
    device_->memory_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  ~DeviceBlock() { device_->memory_bytes.fetch_sub(block_.size(), std::memory_order_relaxed); }
  DeviceBlock(const DeviceBlock &) = delete;
  DeviceBlock &operator=(const DeviceBlock &) = delete;

  hass_device *device() const { return device_; }
  unsigned char *data() const { return block_.data(); }
  std::uint64_t size() const { return block_.size(); }

 private:
  hass_device *device_;
  Block block_;
};

}  // namespace hass

struct hass_buffer : hass::Managed {
  hass_buffer(hass_device *device, std::uint64_t bytes) : block(device, bytes) {}
  hass_buffer_facts facts() const { return {block.size(), dtype, rows, columns}; }
  unsigned char *data() const { return block.data(); }

  hass::DeviceBlock block;
  std::int32_t dtype = -1, rows = 0, columns = 0;  // of weights
};
