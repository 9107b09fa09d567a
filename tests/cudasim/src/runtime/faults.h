// SPDX-License-Identifier: Apache-2.0
// Failures on request: the k-th API call or allocation (CUDASIM_FAIL_CALL,
// CUDASIM_FAIL_ALLOC, and the functions of cudasim.h).
#pragma once

#include <cuda_runtime_api.h>

namespace cudasim::faults {

// Counts an API call; the error to return in place of doing anything, or cudaSuccess.
cudaError_t count_call(const char* name);
// Counts an allocation; cudaErrorMemoryAllocation when this one is to fail.
cudaError_t count_allocation();

}  // namespace cudasim::faults
