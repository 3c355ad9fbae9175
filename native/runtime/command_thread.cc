#include "command_thread.h"

#include "spin.h"

namespace hass {
namespace {

// A decode loop comes back with the next pass this soon; waking a sleeping thread costs ten microseconds, and more
// where its processor has gone to sleep, too.
constexpr std::chrono::microseconds spin{500};

}  // namespace

CommandThread::CommandThread() : thread_([this] { work(); }) {}

CommandThread::~CommandThread() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
    has_news_.store(true, std::memory_order_relaxed);
    arrived_.notify_one();
  }
  thread_.join();
}

void CommandThread::submit(Job *job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  job->next_ = nullptr;
  (last_ ? last_->next_ : first_) = job;
  last_ = job;
  has_news_.store(true, std::memory_order_relaxed);
  if (is_asleep_) arrived_.notify_one();
}

void CommandThread::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    while (Job *job = first_) {
      first_ = job->next_;
      if (!first_) last_ = nullptr;
      lock.unlock();
      job->execute();
      job->finish();
      lock.lock();
    }
    if (is_stopping_) return;
    has_news_.store(false, std::memory_order_relaxed);
    lock.unlock();
    spin_until(spin, [this] { return has_news_.load(std::memory_order_relaxed); });
    lock.lock();
    is_asleep_ = true;
    while (!first_ && !is_stopping_) arrived_.wait(lock);
    is_asleep_ = false;
  }
}

}  // namespace hass
