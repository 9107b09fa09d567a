// SPDX-License-Identifier: Apache-2.0
#pragma once
// Records reach the device as kernel parameters: unlike a copy from pageable host memory, the
// launch takes its values at once, and a captured graph keeps them.

#include <cuda_runtime_api.h>

#include "kernels/common/device_problem.cuh"

namespace warpbag::kernels {

struct upload_policy {
  // 4,000 bytes: with the other parameters below the 4,096 that every toolkit takes. The records of
  // some ten tables.
  static constexpr int small_words = 500;
  // CUDA 12.1 and newer take 32,764 bytes on compute capability 7.0 and newer: the records of some
  // seventy tables in one launch. A launch copies all of it, so fewer words go the small way.
  static constexpr int large_words = CUDART_VERSION >= 12010 ? 4000 : small_words;
};

template <int Words>
struct upload_chunk {
  std::uint64_t word[Words];
};

/// new_batch: nothing is known against the batch yet; nullptr: the records are of the batch at
/// hand.
template <int Words>
__global__ void upload_kernel(const __grid_constant__ upload_chunk<Words> chunk, int count,
                              std::uint64_t* destination, device_status* new_batch) {
  if (new_batch != nullptr && threadIdx.x == 0) begin_batch(*new_batch);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    destination[i] = chunk.word[i];
  }
}

}  // namespace warpbag::kernels
