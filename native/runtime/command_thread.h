// One thread that executes jobs in the order of their arrival.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "memory.h"

namespace hass {

// Linked by the queue itself, so that handing one over cannot fail.
class Job {
 public:
  virtual ~Job() = default;
  virtual void execute() noexcept = 0;
  // Called on the command thread after `execute`; gives the job back to whoever made it.
  virtual void finish() noexcept = 0;

 private:
  friend class CommandThread;
  Job *next_ = nullptr;
};

class CommandThread : public Managed {
 public:
  CommandThread();
  // Executes what is queued, then ends: whoever wants it sooner cancels the jobs first.
  ~CommandThread();
  void submit(Job *job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::atomic<bool> has_news_{false};
  bool is_asleep_ = false;
  bool is_stopping_ = false;
  Job *first_ = nullptr;
  Job *last_ = nullptr;
  std::thread thread_;
};

}  // namespace hass
