// SPDX-License-Identifier: Apache-2.0
// Failures on request in NCCL: CUDASIM_NCCL_FAIL, _KILL, _DELAY, and cudasim.h.
#pragma once
#include <nccl.h>

namespace cudasim::nccl {

// What is to happen to one operation.
struct Injection {
  ncclResult_t result = ncclSuccess;  // returned by the call, which does nothing else
  bool dead = false;                  // from here on the rank answers nobody
  int delay_ms = 0;                   // it comes late
};
// Counts an operation issued as `rank`.
Injection count_operation(int rank);

}  // namespace cudasim::nccl
