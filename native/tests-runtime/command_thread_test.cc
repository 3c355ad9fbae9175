#include "../runtime/command_thread.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "every_operation.h"
#include "tests.h"

namespace test {
namespace {

struct Order {
  std::vector<int> executed;
  std::atomic<int> finished{0};
};

class Note : public hass::Job {
 public:
  Note(Order &order, int number) : order_(order), number_(number) {}
  void execute() noexcept override { order_.executed.push_back(number_); }
  void finish() noexcept override { order_.finished.fetch_add(1); }

 private:
  Order &order_;
  const int number_;
};

class Run : public hass::Job {
 public:
  explicit Run(EveryOperation &model) : model_(model) {}
  void execute() noexcept override { status = model_.run(4, &cancelled); }
  void finish() noexcept override { is_finished.store(true); }

  hass_status status = HASS_STATUS_INTERNAL;
  std::int32_t cancelled = 0;
  std::atomic<bool> is_finished{false};

 private:
  EveryOperation &model_;
};

}  // namespace

void test_command_thread(bool is_long) {
  {
    Order order;
    std::vector<std::unique_ptr<Note>> notes;
    {
      hass::CommandThread thread;
      for (int i = 0; i < 2000; i++) {
        if (i % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        notes.push_back(std::make_unique<Note>(order, i));
        thread.submit(notes.back().get());
      }
    }
    CHECK(order.finished.load() == 2000);
    bool is_in_order = order.executed.size() == 2000;
    for (std::size_t i = 0; i < order.executed.size(); i++) is_in_order = is_in_order && order.executed[i] == int(i);
    CHECK(is_in_order);
  }
  // Runs that are cancelled, or interrupted by the end of their device, at any moment.
  int completed = 0, cut = 0;
  for (int round = 0; round < (is_long ? 300 : 30); round++) {
    EveryOperation model(*hass_cpu_backend(), "auto", 3);
    Run first(model), second(model);
    {
      hass::CommandThread thread;
      thread.submit(&first);
      thread.submit(&second);
      std::this_thread::sleep_for(std::chrono::microseconds(round * 13 % 400));
      if (round % 2 == 0) __atomic_store_n(&second.cancelled, 1, __ATOMIC_RELAXED);
      else model.backend.interrupt(model.device, 1);
    }
    CHECK(first.is_finished.load() && second.is_finished.load());
    for (const hass_status status : {first.status, second.status}) {
      CHECK(status == HASS_STATUS_OK || status == HASS_STATUS_CANCELLED);
      (status == HASS_STATUS_OK ? completed : cut)++;
    }
  }
  CHECK(completed > 0 && cut > 0);
}

}  // namespace test
