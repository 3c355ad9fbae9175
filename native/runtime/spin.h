// Waiting a bounded time without sleeping.
#pragma once

#include <chrono>

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

// True as soon as `is_ready()`, false when the time is over.
template <typename Condition> bool spin_until(std::chrono::nanoseconds limit, Condition is_ready) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; i++) {
      if (is_ready()) return true;
      pause_processor();
    }
  } while (std::chrono::steady_clock::now() < end);
  return is_ready();
}

}  // namespace hass
