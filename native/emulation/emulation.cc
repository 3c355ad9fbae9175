#include "emulation.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#include "device_memory.h"
#include "fiber.h"

namespace hass::emulation {

namespace {

enum class State : std::uint8_t { ready, in_block_meeting, in_warp_meeting, finished };

struct Copy {
  unsigned char *target;
  const unsigned char *source;
  std::size_t bytes, zeros;
};

struct Warp {
  int arrived = 0;
  WarpFunction compute = nullptr;
  const void *inputs[warp_size];
  void *outputs[warp_size];
};

constexpr std::size_t stack_bytes = 64 << 10;
constexpr std::size_t max_threads = 1024;
constexpr std::size_t guard_bytes = 256;
constexpr unsigned char guard = 0xa5;

}  // namespace

struct Thread {
  Fiber fiber;
  Index3 index;
  unsigned lane;
  Warp *warp;
  State state;
  int site;
  std::vector<Copy> copies;              // asked for and not done
  std::vector<std::size_t> group_sizes;  // of the committed ones, the oldest first
  std::size_t in_open_group;
};

namespace {

void move(const Copy &copy) {
  std::memcpy(copy.target, copy.source, copy.bytes);
  std::memset(copy.target + copy.bytes, 0, copy.zeros);
}

class Machine;
Machine *machine = nullptr;  // of the grid that runs; one at a time, see `run_grid`

class Machine {
 public:
  explicit Machine(const Grid &grid) : grid_(grid), schedule_(grid.schedule) {}

  const char *run() {
    const Index3 &threads = grid_.threads, &blocks = grid_.blocks;
    const std::size_t num_threads = std::size_t(threads.x) * threads.y * threads.z;
    if (num_threads == 0 || num_threads > max_threads || num_threads % warp_size != 0) {
      return "a block has no whole number of warps, or too many threads";
    }
    threads_.resize(num_threads);
    warps_.resize(num_threads / warp_size);
    shared_.reset(new unsigned char[grid_.shared_bytes + guard_bytes + 16]);
    std::vector<std::uint64_t> order(std::uint64_t(blocks.x) * blocks.y * blocks.z);
    arrange(order);
    for (const std::uint64_t block : order) {
      block_ = {unsigned(block % blocks.x), unsigned(block / blocks.x % blocks.y),
                unsigned(block / blocks.x / blocks.y)};
      if (!run_block()) return failure_;
    }
    return nullptr;
  }

  Thread &current() { return *current_; }
  const Grid &grid() const { return grid_; }
  const Index3 &block() const { return block_; }
  const Schedule &schedule() const { return schedule_; }
  unsigned char *shared() const {
    return reinterpret_cast<unsigned char *>((reinterpret_cast<std::uintptr_t>(shared_.get()) + 15) & ~std::uintptr_t(15));
  }

  void leave() { switch_fiber(&current_->fiber, &scheduler_); }
  void fail(const char *what) {
    failure_ = what;
    leave();
  }

 private:
  template <typename Number> void arrange(std::vector<Number> &numbers) {
    std::iota(numbers.begin(), numbers.end(), Number(0));
    if (schedule_.order == Order::reverse) std::reverse(numbers.begin(), numbers.end());
    if (schedule_.order != Order::random) return;
    for (std::size_t i = numbers.size(); i > 1; i--) std::swap(numbers[i - 1], numbers[random() % i]);
  }

  std::uint64_t random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
  }

  bool run_block() {
    std::memset(shared(), 0xff, grid_.shared_bytes);
    std::memset(shared() + grid_.shared_bytes, guard, guard_bytes);
    for (std::size_t i = 0; i < threads_.size(); i++) {
      Thread &thread = threads_[i];
      thread.index = {unsigned(i % grid_.threads.x), unsigned(i / grid_.threads.x % grid_.threads.y),
                      unsigned(i / grid_.threads.x / grid_.threads.y)};
      thread.lane = unsigned(i % warp_size);
      thread.warp = &warps_[i / warp_size];
      thread.warp->arrived = 0;
      thread.state = State::ready;
      thread.copies.clear();
      thread.group_sizes.clear();
      thread.in_open_group = 0;
      make_fiber(&thread.fiber, stack(i), stack_bytes, [] {
        machine->grid().thread();
        machine->current().state = State::finished;
        machine->leave();
      });
    }
    for (;;) {
      const bool has_moved = schedule_.is_warp_greedy ? run_warps() : run_threads();
      if (failure_) return false;
      if (has_moved) continue;
      const auto is_finished = [](const Thread &thread) { return thread.state == State::finished; };
      if (std::all_of(threads_.begin(), threads_.end(), is_finished)) return is_guard_whole();
      if (!end_block_meeting()) return false;
    }
  }

  bool is_guard_whole() {
    const unsigned char *first = shared() + grid_.shared_bytes;
    if (!std::all_of(first, first + guard_bytes, [](unsigned char byte) { return byte == guard; })) {
      failure_ = "a block writes past its shared memory";
    }
    return !failure_;
  }

  static unsigned char *stack(std::size_t index) {
    static unsigned char *const stacks = static_cast<unsigned char *>(
        mmap(nullptr, max_threads * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
    return stacks + index * stack_bytes;
  }

  void resume(Thread &thread) {
    current_ = &thread;
    switch_fiber(&scheduler_, &thread.fiber);
  }

  // Each thread once. Whether one had something to do.
  bool run_threads() {
    std::vector<std::uint32_t> &order = order_;
    order.resize(threads_.size());
    arrange(order);
    bool has_moved = false;
    for (const std::uint32_t i : order) {
      if (threads_[i].state != State::ready) continue;
      resume(threads_[i]);
      if (failure_) return false;
      has_moved = true;
    }
    return has_moved;
  }

  bool run_warps() {
    std::vector<std::uint32_t> warps(warps_.size());
    arrange(warps);
    bool has_moved = false;
    for (const std::uint32_t warp : warps) {
      for (bool goes_on = true; goes_on;) {
        goes_on = false;
        order_.resize(warp_size);
        arrange(order_);
        for (const std::uint32_t lane : order_) {
          Thread &thread = threads_[warp * warp_size + lane];
          if (thread.state != State::ready) continue;
          resume(thread);
          if (failure_) return false;
          goes_on = has_moved = true;
        }
      }
    }
    return has_moved;
  }

  bool end_block_meeting() {
    for (const Thread &thread : threads_) {
      if (thread.state == State::finished) {
        failure_ = "threads of a block have ended while others wait for them";
      } else if (thread.state == State::in_warp_meeting) {
        failure_ = "lanes of a warp wait for others that do not come";
      } else if (thread.site != threads_.front().site) {
        failure_ = "threads of a block wait at different barriers";
      }
    }
    if (failure_) return false;
    for (Thread &thread : threads_) thread.state = State::ready;
    return true;
  }

  const Grid &grid_;
  const Schedule schedule_;
  Index3 block_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::uint32_t> order_;
  std::unique_ptr<unsigned char[]> shared_;
  Fiber scheduler_;
  Thread *current_ = nullptr;
  const char *failure_ = nullptr;
  std::uint64_t random_ = 0x9e3779b97f4a7c15u;
};

std::mutex one_at_a_time;
void (*grid_watcher)(const Grid &) = nullptr;

}  // namespace

bool parse_schedule(const char *name, Schedule *schedule) {
  for (const bool is_warp_greedy : {false, true}) {
    for (const bool is_copy_deferred : {false, true}) {
      for (const Order order : {Order::forward, Order::reverse, Order::random}) {
        const char *orders[] = {"forward", "reverse", "random"};
        const std::string full = std::string(is_warp_greedy ? "warp-greedy" : "lockstep") +
                                 (is_copy_deferred ? "-deferred-" : "-eager-") + orders[int(order)];
        if (full != name) continue;
        *schedule = {is_warp_greedy, is_copy_deferred, order};
        return true;
      }
    }
  }
  return false;
}

void watch_grids(void (*watcher)(const Grid &)) {
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  grid_watcher = watcher;
}

const char *run_grid(const Grid &grid) {
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  if (grid_watcher) {
    grid_watcher(grid);
    return nullptr;
  }
  Machine own(grid);
  machine = &own;
  const char *failure = own.run();
  machine = nullptr;
  return failure;
}

const Index3 &thread_index() { return machine->current().index; }
const Index3 &block_index() { return machine->block(); }
const Index3 &block_size() { return machine->grid().threads; }
const Index3 &grid_size() { return machine->grid().blocks; }
unsigned char *shared_memory() { return machine->shared(); }
int lane_index() { return static_cast<int>(machine->current().lane); }

void meet_block(int site) {
  machine->current().site = site;
  machine->current().state = State::in_block_meeting;
  machine->leave();
}

void meet_warp(WarpFunction compute, const void *input, void *output) {
  Thread &thread = machine->current();
  Warp &warp = *thread.warp;
  if (warp.arrived == 0) warp.compute = compute;
  if (warp.compute != compute) return machine->fail("lanes of a warp meet in different operations");
  warp.inputs[thread.lane] = input;
  warp.outputs[thread.lane] = output;
  thread.state = State::in_warp_meeting;
  if (++warp.arrived < warp_size) return machine->leave();
  warp.arrived = 0;
  compute(warp.inputs, warp.outputs);
  // The lanes of a warp are neighbours in memory.
  for (Thread *lane = &thread - thread.lane; lane < &thread - thread.lane + warp_size; lane++) lane->state = State::ready;
}

void copy_async(void *target, const void *source, std::size_t bytes, std::size_t zeros) {
  if (bytes > 0 && !is_in_a_piece(source, bytes)) {
    return machine->fail("an asynchronous copy reads outside of device memory");
  }
  const Copy copy{static_cast<unsigned char *>(target), static_cast<const unsigned char *>(source), bytes, zeros};
  if (!machine->schedule().is_copy_deferred) return move(copy);
  machine->current().copies.push_back(copy);
  machine->current().in_open_group++;
}

void commit_copies() {
  Thread &thread = machine->current();
  thread.group_sizes.push_back(thread.in_open_group);
  thread.in_open_group = 0;
}

void wait_for_copies(int groups_left) {
  Thread &thread = machine->current();
  std::size_t done = 0;
  const auto groups = static_cast<std::ptrdiff_t>(thread.group_sizes.size()) - groups_left;
  for (std::ptrdiff_t i = 0; i < groups; i++) {
    for (std::size_t end = done + thread.group_sizes[std::size_t(i)]; done < end; done++) move(thread.copies[done]);
  }
  if (groups <= 0) return;
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + std::ptrdiff_t(done));
  thread.group_sizes.erase(thread.group_sizes.begin(), thread.group_sizes.begin() + groups);
}

}  // namespace hass::emulation
