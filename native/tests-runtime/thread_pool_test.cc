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

// Threads that have all begun: a pool whose helpers come too late would prove nothing.
struct Meeting {
  std::atomic<int> begun{0};
  void meet(int threads) {
    if (begun.fetch_add(1) >= threads) return;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (begun.load() < threads && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }
};

bool counts_each_chunk_once_under_contention() {
  struct Work {
    Meeting meeting;
    std::atomic<int> calls[2000] = {};
  } work;
  hass::ThreadPool pool(3);
  pool.run(
      2000,
      [](void *context, std::int32_t chunk, std::int32_t) {
        auto &it = *static_cast<Work *>(context);
        it.meeting.meet(3);
        it.calls[chunk].fetch_add(1, std::memory_order_relaxed);
      },
      &work);
  for (const auto &calls : work.calls) {
    if (calls.load() != 1) return false;
  }
  return true;
}

// Past the caller's spinning, while a helper is still in its chunk.
bool waits_for_the_helper() {
  struct Work {
    Meeting meeting;
    std::atomic<int> done{0}, helped{0};
  } work;
  hass::ThreadPool pool(2);
  pool.run(
      2,
      [](void *context, std::int32_t, std::int32_t thread) {
        auto &it = *static_cast<Work *>(context);
        it.meeting.meet(2);
        if (thread != 0) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          it.helped.fetch_add(1);
        }
        it.done.fetch_add(1);
      },
      &work);
  return work.done.load() == 2 && work.helped.load() == 1;
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
  for (int round = 0; round < (is_long ? 500 : 100); round++) CHECK(counts_each_chunk_once_under_contention());
  CHECK(waits_for_the_helper());
  // Pools that die at once, asleep or not.
  for (int i = 0; i < 50; i++) hass::ThreadPool short_lived(1 + i % 5);
}

}  // namespace test
