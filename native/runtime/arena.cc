#include "arena.h"

#include <algorithm>

#include "failure.h"

namespace hass {
namespace {

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + HASS_ALIGNMENT - 1) & ~std::uint64_t(HASS_ALIGNMENT - 1); }

}  // namespace

std::uint64_t plan_arena(Vector<Interval> &intervals) {
  Vector<Interval *> by_start;
  by_start.reserve(intervals.size());
  for (Interval &interval : intervals) by_start.push_back(&interval);
  // Of those that start together the largest first: small ones fit into the gaps.
  std::sort(by_start.begin(), by_start.end(), [](const Interval *a, const Interval *b) {
    return a->first != b->first ? a->first < b->first : a->bytes != b->bytes ? a->bytes > b->bytes : a < b;
  });

  Vector<Interval *> alive;  // by offset
  alive.reserve(intervals.size());
  std::uint64_t total = 0;
  for (Interval *interval : by_start) {
    alive.erase(std::remove_if(alive.begin(), alive.end(),
                               [&](const Interval *other) { return other->last < interval->first; }),
                alive.end());
    const std::uint64_t wanted = aligned(interval->bytes);
    std::uint64_t best_gap = UINT64_MAX, best = 0, end = 0;
    for (const Interval *other : alive) {
      const std::uint64_t gap = other->offset > end ? other->offset - end : 0;
      if (gap >= wanted && gap < best_gap) {
        best_gap = gap;
        best = end;
      }
      end = std::max(end, other->offset + aligned(other->bytes));
    }
    interval->offset = best_gap == UINT64_MAX ? end : best;
    total = std::max(total, interval->offset + wanted);
    if (total > HASS_MAX_BYTES) {
      fail(HASS_STATUS_TOO_LARGE, "The program's activations take more bytes than can be addressed.");
    }
    const auto place = std::upper_bound(alive.begin(), alive.end(), interval,
                                        [](const Interval *a, const Interval *b) { return a->offset < b->offset; });
    alive.insert(place, interval);
  }
  return total;
}

}  // namespace hass
