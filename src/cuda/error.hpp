// SPDX-License-Identifier: Apache-2.0
#pragma once
// CUDA errors as exceptions.

#include <cuda_runtime_api.h>

#include <string>

#include "warpbag/error.hpp"

namespace warpbag::cuda {

/// Throws cuda_error naming the call, unless it went well. `call` may be a launch ("launch pool").
inline void try_call(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return;
  // A launch error that is not sticky must not show up at the next, innocent call.
  static_cast<void>(cudaGetLastError());
  throw cuda_error(std::string(call) + ": " + cudaGetErrorName(result) + " (" +
                   cudaGetErrorString(result) + ")");
}

/// After every launch: throws cuda_error if `kernel` could not be launched.
inline void check_launch(const char* kernel) {
  const cudaError_t result = cudaGetLastError();
  if (result != cudaSuccess) try_call(result, (std::string("launch of ") + kernel).c_str());
}

}  // namespace warpbag::cuda

#define WARPBAG_CUDA_TRY(call) ::warpbag::cuda::try_call((call), #call)
