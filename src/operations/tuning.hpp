// SPDX-License-Identifier: Apache-2.0
#pragma once
// The numbers that speed depends on and bits do not, for people to look at: `warpbag bench
// --tuning`. They are constexpr where they are used, with the whole of the reason beside them.

#include <cstdint>
#include <vector>

namespace warpbag::operations {

struct tuning_choice {
  const char* name;
  std::int64_t value;
  const char* why;  // what was counted or measured
};

std::vector<tuning_choice> cpu_tuning();
/// None in a build without CUDA.
std::vector<tuning_choice> cuda_tuning();

}  // namespace warpbag::operations
