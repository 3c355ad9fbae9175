// Each returns when its checks are done; `long` runs are those of `npm run test:long`.
#pragma once

namespace test {

void test_thread_pool(bool is_long);
void test_arena(bool is_long);
void test_runs(bool is_long);
void test_malformed_programs(bool is_long);
void test_inputs(bool is_long);
void test_failing_allocations(bool is_long);
void test_command_thread(bool is_long);

}  // namespace test
