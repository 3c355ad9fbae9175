#include "thread_pool.h"

#include "failure.h"
#include "spin.h"

namespace hass {
namespace {

// Longer than the gap between two passes of a decode loop, which chooses tokens and grows trees meanwhile; far shorter
// than anyone would see in a load average.
constexpr std::chrono::microseconds helper_spin{500};
// A chunk takes tens of microseconds; past this, the helper that holds the last one has lost its processor.
constexpr std::chrono::microseconds caller_spin{50};

}  // namespace

ThreadPool::ThreadPool(std::int32_t threads) : threads_(threads) {
  try {
    helpers_.reserve(static_cast<std::size_t>(threads - 1));
    for (std::int32_t thread = 1; thread < threads; thread++) {
      helpers_.emplace_back([this, thread] { work(thread); });
    }
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  is_stopping_.store(true);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_arrived_.notify_all();
  }
  for (std::thread &helper : helpers_) helper.join();
  helpers_.clear();
}

void ThreadPool::wake() {
  if (sleepers_.load() == 0) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  wakes_++;
  work_arrived_.notify_all();
}

void ThreadPool::run(std::int32_t chunks, ChunkFunction function, void *context) {
  if (threads_ == 1 || chunks <= 1) {
    for (std::int32_t chunk = 0; chunk < chunks && !is_interrupted(); chunk++) function(context, chunk, 0);
    return;
  }
  if (chunks > max_chunks) fail(HASS_STATUS_INTERNAL, "%d chunks, at most %d.", chunks, max_chunks);
  done_.store(0, std::memory_order_relaxed);
  function_.store(function, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  chunks_.store(chunks, std::memory_order_relaxed);
  job_ = (job_ + 1) & 0xffffffffu;
  const auto first_of = [&](std::int32_t thread) { return static_cast<std::uint64_t>(chunks) * thread / threads_; };
  for (std::int32_t thread = 0; thread < threads_; thread++) {
    shares_[thread].word.store(job_ << 32 | first_of(thread + 1) << 16 | first_of(thread));
  }
  wake();

  claim_all(0);
  const auto is_done = [&] { return done_.load(std::memory_order_acquire) == chunks; };
  if (spin_until(caller_spin, is_done)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  is_caller_asleep_.store(true);
  // Sequentially consistent, like the helper's count-then-look, so that one of the two sees the other.
  while (done_.load() != chunks) work_done_.wait(lock);
  is_caller_asleep_.store(false);
}

void ThreadPool::claim_all(std::int32_t thread) {
  for (std::int32_t i = 0; i < threads_; i++) claim_share((thread + i) % threads_, thread);
}

void ThreadPool::claim_share(std::int32_t owner, std::int32_t thread) {
  std::atomic<std::uint64_t> &word = shares_[owner].word;
  std::uint64_t seen = word.load(std::memory_order_acquire);
  for (;;) {
    const auto first = static_cast<std::int32_t>(seen & 0xffff), end = static_cast<std::int32_t>(seen >> 16 & 0xffff);
    if (first >= end) return;
    const ChunkFunction function = function_.load(std::memory_order_relaxed);
    void *context = context_.load(std::memory_order_relaxed);
    const std::int32_t chunks = chunks_.load(std::memory_order_relaxed);
    const std::uint64_t rest = owner == thread ? seen + 1 : seen - (std::uint64_t{1} << 16);
    if (!word.compare_exchange_weak(seen, rest, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    if (!is_interrupted()) function(context, owner == thread ? first : end - 1, thread);
    // With the last chunk counted the job is over, and its context with it.
    if (done_.fetch_add(1) + 1 == chunks && is_caller_asleep_.load()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      work_done_.notify_one();
    }
    seen = word.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(std::int32_t thread) {
  std::uint64_t seen = 0;
  const std::atomic<std::uint64_t> &word = shares_[thread].word;
  const auto is_called = [&] { return job_of(word.load()) != seen || is_stopping_.load(); };
  for (;;) {
    if (!spin_until(helper_spin, is_called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      const std::uint64_t wakes = wakes_;
      // Announced before the last look: the caller publishes a job before it looks for sleepers.
      sleepers_.fetch_add(1);
      while (!is_called() && wakes == wakes_) work_arrived_.wait(lock);
      sleepers_.fetch_sub(1);
    }
    if (is_stopping_.load()) return;
    seen = job_of(word.load());
    claim_all(thread);
  }
}

}  // namespace hass
