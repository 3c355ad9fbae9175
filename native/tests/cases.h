// One random case of each stage: inputs for some rows, of which any may be run, in any order.
#pragma once

#include "support.h"

namespace test {

struct Case {
  std::string name;
  std::int64_t rows;
  bool is_exact;  // the same bits on every instruction set
  // Runs the stage for these rows alone; returns each one's output bytes.
  std::function<std::vector<Bytes>(const hass_cpu_kernels &, const std::vector<std::int64_t> &, Split)> run;
};

// hostility: the fraction of NaN, infinite, subnormal and huge values among the inputs.
std::vector<Case> make_cases(Random &random, double hostility);

Aligned random_weight(Random &random, std::int32_t dtype, std::int64_t out, std::int64_t in, double hostility);

// A multiple of the dtype's block, up to `most` or one block beyond.
std::int64_t inputs_of(Random &random, std::int32_t dtype, std::int64_t most);

}  // namespace test
