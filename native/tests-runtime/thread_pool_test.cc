#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "../runtime/thread_pool.h"
#include "check.h"
#include "tests.h"

namespace test {
namespace {

struct Tally {
  // Plain integers: a chunk that is run twice, or seen too early by the caller, is a race that TSan reports.
  std::vector<int> calls;
  std::vector<int> calls_of_thread;
};

void count(void *context, std::int32_t chunk, std::int32_t thread) {
  auto &tally = *static_cast<Tally *>(context);
  tally.calls[static_cast<std::size_t>(chunk)]++;
  tally.calls_of_thread[static_cast<std::size_t>(thread) * 16]++;
}

}  // namespace

void test_thread_pool(bool is_long) {
  for (const std::int32_t threads : {1, 2, 3, 8}) {
    hass::ThreadPool pool(threads);
    bool is_right = true;
    const int jobs = is_long ? 20000 : 1000;
    for (int job = 0; job < jobs; job++) {
      const std::int32_t chunks = job % 37;
      Tally tally{std::vector<int>(static_cast<std::size_t>(chunks)),
                  std::vector<int>(static_cast<std::size_t>(threads) * 16)};
      // Now and then long enough for the helpers to fall asleep.
      if (job % (jobs / 5) == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      if (job % 11 == 0) pool.wake();
      pool.run(chunks, count, &tally);
      int total = 0;
      for (const int calls : tally.calls) is_right = is_right && calls == 1;
      for (const int calls : tally.calls_of_thread) total += calls;
      is_right = is_right && total == chunks;
    }
    CHECK(is_right);

    pool.interrupt(true);
    Tally tally{std::vector<int>(100), std::vector<int>(static_cast<std::size_t>(threads) * 16)};
    pool.run(100, count, &tally);
    int total = 0;
    for (const int calls : tally.calls) total += calls;
    CHECK(total == 0);
    pool.interrupt(false);
    pool.run(100, count, &tally);
    for (const int calls : tally.calls) total += calls;
    CHECK(total == 100);
  }
  // A chunk that a helper holds is waited for, past the caller's spinning.
  hass::ThreadPool pool(2);
  std::atomic<int> done{0};
  pool.run(
      2,
      [](void *context, std::int32_t, std::int32_t thread) {
        std::this_thread::sleep_for(std::chrono::milliseconds(thread == 0 ? 1 : 5));
        static_cast<std::atomic<int> *>(context)->fetch_add(1);
      },
      &done);
  CHECK(done.load() == 2);
  // Pools that die at once, asleep or not.
  for (int i = 0; i < 50; i++) hass::ThreadPool short_lived(1 + i % 5);
}

}  // namespace test
