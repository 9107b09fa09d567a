// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is left to do when all blocks of a launch are through, without another launch.

namespace warpbag::kernels {

/// True in the block of a one-dimensional grid that gets here last: it sees what every block wrote
/// before. All threads of all blocks call this, once a launch. `arrivals` is 0 before the launch
/// and, as atomicInc wraps, after it.
__device__ __forceinline__ bool is_last_block(unsigned int* arrivals) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(arrivals, gridDim.x - 1) == gridDim.x - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

}  // namespace warpbag::kernels
