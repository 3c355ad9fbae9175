// Drives the runtime through its C ABI, without Node: what the sanitizers watch. `runtime-tests [--long] [NAME…]`.
#include <cstdio>
#include <cstring>

#include "check.h"
#include "tests.h"

int main(int count, char **arguments) {
  const struct {
    const char *name;
    void (*run)(bool);
  } tests[] = {
      {"thread-pool", test::test_thread_pool},
      {"arena", test::test_arena},
      {"runs", test::test_runs},
      {"malformed-programs", test::test_malformed_programs},
      {"inputs", test::test_inputs},
      {"failing-allocations", test::test_failing_allocations},
      {"command-thread", test::test_command_thread},
  };
  bool is_long = false, has_names = false;
  for (int i = 1; i < count; i++) {
    if (std::strcmp(arguments[i], "--long") == 0) is_long = true;
    else has_names = true;
  }
  for (const auto &it : tests) {
    bool is_wanted = !has_names;
    for (int i = 1; i < count; i++) is_wanted = is_wanted || std::strcmp(arguments[i], it.name) == 0;
    if (!is_wanted) continue;
    const test::Counts before = test::counts();
    it.run(is_long);
    std::printf("%-22s %d passed, %d failed\n", it.name, test::counts().passed - before.passed,
                test::counts().failed - before.failed);
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", test::counts().passed, test::counts().failed);
  return test::counts().failed == 0 && test::counts().passed > 0 ? 0 : 1;
}
