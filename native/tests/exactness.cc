// The same bits on every instruction set, and for a row whatever the other rows, their number and the pieces are.
#include "cases.h"

namespace {

void check_case(const test::Case &item, const std::vector<const hass_cpu_kernels *> &kernels, test::Random &random,
                test::Report &report) {
  std::vector<std::int64_t> all, shuffled;
  for (std::int64_t r = 0; r < item.rows; ++r) all.push_back(r);
  for (std::int64_t r = 0; r < item.rows; ++r) {
    if (random.chance(0.6)) shuffled.insert(shuffled.begin() + random.integer(0, shuffled.size()), r);
  }
  const auto expected = item.run(*kernels[0], all, test::whole);
  for (const hass_cpu_kernels *kernel : kernels) {
    const std::string name = item.name + " on " + kernel->isa;
    const auto actual = item.run(*kernel, all, test::whole);
    if (item.is_exact) report.check(actual == expected, name + ": other bits than portable");
    report.check(item.run(*kernel, all, {1, true}) == actual, name + ": depends on how it is cut");
    for (std::int64_t r = 0; r < item.rows; ++r) {
      const auto alone = item.run(*kernel, {r}, test::whole);
      report.check(alone[0] == actual[static_cast<std::size_t>(r)], name + ": row " + std::to_string(r) + " alone");
    }
    if (shuffled.empty()) continue;
    const auto some = item.run(*kernel, shuffled, {random.integer(1, 3), random.chance(0.5)});
    for (std::size_t i = 0; i < shuffled.size(); ++i) {
      report.check(some[i] == actual[static_cast<std::size_t>(shuffled[i])], name + ": row among others");
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 60;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const char *names[8];
  std::vector<const hass_cpu_kernels *> kernels;
  for (std::int32_t i = 0, count = hass_cpu_isa_names(names, 8); i < count; ++i) {
    kernels.push_back(hass_cpu_select(names[i]));
    std::printf("instruction set %s\n", names[i]);
  }
  test::Random random(seed);
  test::Report report;
  for (int round = 0; round < rounds; ++round) {
    for (const auto &item : test::make_cases(random, round % 3 == 2 ? 0.3 : 0.0)) {
      check_case(item, kernels, random, report);
    }
  }
  return report.finish("exactness");
}
