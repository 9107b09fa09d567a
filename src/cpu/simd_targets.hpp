// SPDX-License-Identifier: Apache-2.0
#pragma once
// Instruction sets that SIMD code is compiled for: the baseline of the build, AVX2 and AVX-512 on
// x86, NEON on ARM. Left out are sets whose gain over these is small here, and those whose vectors
// have no size at compile time, which cannot be kept in arrays of registers.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
