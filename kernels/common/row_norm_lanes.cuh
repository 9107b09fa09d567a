// SPDX-License-Identifier: Apache-2.0
#pragma once
// A lane's part of the norm of a row (numerics/row_norm.hpp).

#include "kernels/common/vector_io.cuh"
#include "numerics/row_norm.hpp"

namespace warpbag::kernels {

/// The step of a norm that needs a power is long: one copy of it, out of the way of the others.
inline __device__ __noinline__ float accumulate_power(float p, float acc, float x) {
  return numerics::accumulate_norm(numerics::norm_kind::general, p, acc, x);
}

/// An element that is not there adds |0|^p = +0, which changes no sum.
__device__ __forceinline__ float add_to_norm(numerics::norm_kind kind, float p, float norm,
                                             const quad& x) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) {
    norm = kind == numerics::norm_kind::general
               ? accumulate_power(p, norm, x.value[i])
               : numerics::accumulate_norm(kind, p, norm, x.value[i]);
  }
  return norm;
}

}  // namespace warpbag::kernels
