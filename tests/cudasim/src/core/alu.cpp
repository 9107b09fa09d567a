// SPDX-License-Identifier: Apache-2.0
// Chooses the variant of the arithmetic that this processor can run.
#include "alu.h"

namespace cudasim {

Fn alu_function(Alu op, const Op& o) {
  static const bool fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
  return fast ? alu_avx2::find(op, o) : alu_base::find(op, o);
}

}  // namespace cudasim
