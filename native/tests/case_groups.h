#pragma once

#include "cases.h"

namespace test {

void add_linear_cases(Random &random, double hostility, std::vector<Case> &cases);
void add_attention_cases(Random &random, double hostility, std::vector<Case> &cases);
void add_row_cases(Random &random, double hostility, std::vector<Case> &cases);

}  // namespace test
