// Runs one function over chunks on a few threads that are kept hot while work follows work.
//
// Each thread has a share of neighbouring chunks, which it claims from the front, so that it reads memory on and on; who
// is through with its own claims from the back of the others'. A helper that the system has put aside so holds up at most
// the chunk that it is in, and one that wakes too late finds nothing left. Helpers spin for a short while after the last
// chunk, then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "../include/hass_backend.h"
#include "memory.h"

namespace hass {

// thread: 0 … threads - 1, for scratch memory of its own.
using ChunkFunction = void (*)(void *context, std::int32_t chunk, std::int32_t thread);

class ThreadPool : public Managed {
 public:
  // Throws std::bad_alloc or std::system_error; the threads started until then are joined.
  explicit ThreadPool(std::int32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  std::int32_t threads() const { return threads_; }

  // Calls function(context, chunk, thread) for each chunk once; the caller is thread 0. One caller at a time.
  // At most 65535 chunks.
  void run(std::int32_t chunks, ChunkFunction function, void *context);

  // Wakes sleeping helpers ahead of the work.
  void wake();

  // While set, chunks that have not begun are skipped.
  void interrupt(bool is_interrupted) { is_interrupted_.store(is_interrupted, std::memory_order_relaxed); }
  bool is_interrupted() const { return is_interrupted_.load(std::memory_order_relaxed); }

 private:
  // One word says it all: the job's number (32 bits), the end of the unclaimed chunks (16), their first (16). Whoever
  // claims by compare-and-swap has claimed of the job that it read, since that job cannot end with a chunk unclaimed.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> word{0};
  };
  static constexpr std::int32_t max_chunks = 65535;
  static std::uint64_t job_of(std::uint64_t word) { return word >> 32; }

  void work(std::int32_t thread);
  void claim_all(std::int32_t thread);
  // Chunks of the share of `owner`, by `thread`.
  void claim_share(std::int32_t owner, std::int32_t thread);
  void stop() noexcept;

  const std::int32_t threads_;
  Vector<std::thread> helpers_;

  Share shares_[HASS_MAX_THREADS];
  std::uint64_t job_ = 0;  // the caller's
  alignas(64) std::atomic<ChunkFunction> function_{nullptr};
  std::atomic<void *> context_{nullptr};
  std::atomic<std::int32_t> chunks_{0};
  alignas(64) std::atomic<std::int32_t> done_{0};
  alignas(64) std::atomic<std::int32_t> sleepers_{0};
  std::atomic<bool> is_caller_asleep_{false};
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_interrupted_{false};
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable work_done_;
  std::uint64_t wakes_ = 0;
};

}  // namespace hass
