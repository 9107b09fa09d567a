// SPDX-License-Identifier: Apache-2.0
#pragma once
// Records reach the device as kernel parameters: unlike a copy from pageable host memory, the
// launch takes its values at once, and a captured graph keeps them.

#include <cstdint>

namespace warpbag::kernels {

/// 4,000 bytes: with the other parameters below the 4,096 that every architecture takes.
struct upload_chunk {
  static constexpr int capacity = 500;
  std::uint64_t word[capacity];
};

__global__ void upload_kernel(const __grid_constant__ upload_chunk chunk, int count,
                              std::uint64_t* destination) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    destination[i] = chunk.word[i];
  }
}

}  // namespace warpbag::kernels
