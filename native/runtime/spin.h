// Waiting a bounded time without sleeping.
#pragma once

#include <chrono>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace hass {

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True as soon as `is_ready()`, false when the time is over. After the first microseconds whoever else wants the
// processor gets it between two looks: a wait may then be as long as the gap between two passes.
template <typename Condition> bool spin_until(std::chrono::nanoseconds limit, Condition is_ready) {
  constexpr std::chrono::microseconds greedy{20};
  const auto begin = std::chrono::steady_clock::now();
  for (auto now = begin; now < begin + limit; now = std::chrono::steady_clock::now()) {
    for (int i = 0; i < 16; i++) {
      if (is_ready()) return true;
      pause_processor();
    }
    if (now >= begin + greedy) std::this_thread::yield();
  }
  return is_ready();
}

}  // namespace hass
