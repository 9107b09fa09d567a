// SPDX-License-Identifier: Apache-2.0
#pragma once
// Formulas in this folder are compiled for the CPU by g++ and for the GPU by nvcc and must give the
// same bits on both (N1, N6): only IEEE operations (+ - * / sqrt fma, conversions, integers), no
// library transcendentals, no contraction
// (-ffp-contract=off, -fmad=false).

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define WARPBAG_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define WARPBAG_HOST_DEVICE inline
#endif

namespace warpbag::numerics {

WARPBAG_HOST_DEVICE float fused_multiply_add(float a, float b, float c) { return ::fmaf(a, b, c); }
WARPBAG_HOST_DEVICE float square_root(float x) { return ::sqrtf(x); }
WARPBAG_HOST_DEVICE double square_root(double x) { return ::sqrt(x); }
WARPBAG_HOST_DEVICE float absolute(float x) { return ::fabsf(x); }

/// The same bits as another type, on both sides.
template <typename To, typename From>
WARPBAG_HOST_DEVICE To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, value);
}

}  // namespace warpbag::numerics
