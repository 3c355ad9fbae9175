// Runs the blocks of a CUDA grid on a CPU: every thread of a block is a fiber, and all fibers of the process take turns
// on one processor. A block's shared memory is all NaN when it begins. What is the hardware's choice is the schedule's
// here, so that a kernel that leaves something to luck gives other bits under another schedule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace hass::emulation {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

enum class Order : std::uint8_t { forward, reverse, random };

struct Schedule {
  // Every thread goes to its next meeting point in turn, or a whole warp goes as far as it can get before the next one.
  bool is_warp_greedy = true;
  // An asynchronous copy takes place when it is waited for, or when it is asked for.
  bool is_copy_deferred = false;
  Order order = Order::forward;  // of blocks, warps and threads
};

// "lockstep" or "warp-greedy", "deferred" or "eager", "forward", "reverse" or "random", joined by "-"; false: it is none.
bool parse_schedule(const char *name, Schedule *schedule);

struct Grid {
  Index3 blocks, threads;  // in each direction
  std::size_t shared_bytes;
  Schedule schedule;
  std::function<void()> thread;
  const void *kernel = nullptr;  // its address: a table of symbols has its name
};

// Runs all blocks. NULL, or what went wrong: threads that wait for each other in vain.
const char *run_grid(const Grid &grid);

// From now on grids are not run but shown to `watcher`; NULL: they are run again.
void watch_grids(void (*watcher)(const Grid &));

// What follows is for the running thread.
struct Thread;
const Index3 &thread_index();
const Index3 &block_index();
const Index3 &block_size();
const Index3 &grid_size();
unsigned char *shared_memory();

// All threads of the block meet; `site` tells one barrier of the source from another.
void meet_block(int site);

// The 32 lanes of a warp meet: the last to arrive calls compute(inputs of all, outputs of all).
constexpr int warp_size = 32;
using WarpFunction = void (*)(const void *const *inputs, void *const *outputs);
void meet_warp(WarpFunction compute, const void *input, void *output);
int lane_index();

void copy_async(void *target, const void *source, std::size_t bytes, std::size_t zeros);
void commit_copies();
void wait_for_copies(int groups_left);

}  // namespace hass::emulation
