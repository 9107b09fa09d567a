// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "warpbag/error.hpp"

namespace warpbag::cuda {

/// Throws device_unavailable unless this machine has CUDA device `ordinal`.
inline void require_device(int ordinal) {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess && ordinal >= 0 && ordinal < count) return;
  static_cast<void>(cudaGetLastError());
  throw device_unavailable("CUDA device " + std::to_string(ordinal) +
                           (result == cudaSuccess
                                ? ": this machine has " + std::to_string(count)
                                : std::string(": ") + cudaGetErrorString(result)));
}

}  // namespace warpbag::cuda
