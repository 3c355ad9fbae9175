// The least that a test program needs: named tests, checks that are counted, a summary.
#pragma once

#include <cstdio>

namespace test {

struct Counts {
  int passed = 0, failed = 0;
};
inline Counts &counts() {
  static Counts counts;
  return counts;
}

inline bool check(bool holds, const char *condition, const char *file, int line) {
  holds ? counts().passed++ : counts().failed++;
  if (!holds) std::printf("%s:%d: failed: %s\n", file, line, condition);
  return holds;
}

}  // namespace test

#define CHECK(condition) test::check((condition), #condition, __FILE__, __LINE__)
