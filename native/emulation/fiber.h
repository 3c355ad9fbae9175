// Stacks that are switched between by hand.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) || defined(HASS_FIBERS_OF_UCONTEXT)
#include <ucontext.h>
#endif

namespace hass::emulation {

// A suspended flow of control.
struct Fiber {
#if defined(__x86_64__) && !defined(HASS_FIBERS_OF_UCONTEXT)
  void *stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
};

// `fiber` will begin at `entry`, which must never return, on [stack, stack + bytes).
void make_fiber(Fiber *fiber, unsigned char *stack, std::size_t bytes, void (*entry)());
void switch_fiber(Fiber *from, Fiber *to);

}  // namespace hass::emulation
