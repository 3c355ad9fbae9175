#include "../runtime/arena.h"

#include <algorithm>
#include <random>

#include "check.h"
#include "tests.h"

namespace test {

void test_arena(bool is_long) {
  std::mt19937 random(7);
  for (int round = 0; round < (is_long ? 2000 : 200); round++) {
    hass::Vector<hass::Interval> intervals;
    const int operations = 1 + static_cast<int>(random() % 40);
    std::uint64_t sum = 0;
    for (int i = 0; i < 60; i++) {
      const int first = static_cast<int>(random() % static_cast<unsigned>(operations));
      const int last = std::min<int>(operations, first + static_cast<int>(random() % 5));
      const std::uint64_t bytes = random() % 5 == 0 ? 0 : random() % 4000;
      intervals.push_back({bytes, first, last});
      sum += (bytes + 63) / 64 * 64;
    }
    const std::uint64_t total = hass::plan_arena(intervals);
    bool is_right = total <= sum;
    for (std::size_t i = 0; i < intervals.size(); i++) {
      const hass::Interval &a = intervals[i];
      is_right = is_right && a.offset % 64 == 0 && a.offset + a.bytes <= total;
      for (std::size_t j = 0; j < i; j++) {
        const hass::Interval &b = intervals[j];
        const bool meet = a.first <= b.last && b.first <= a.last;
        const bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        is_right = is_right && !(meet && overlap && a.bytes && b.bytes);
      }
    }
    CHECK(is_right);
  }
  // A chain of layers needs two places, however long it is.
  hass::Vector<hass::Interval> chain;
  for (int i = 0; i < 100; i++) chain.push_back({1000, i, i + 1});
  CHECK(hass::plan_arena(chain) == 2 * 1024);
}

}  // namespace test
