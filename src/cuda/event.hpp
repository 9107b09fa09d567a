// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/current_device.hpp"

namespace warpbag::cuda {

/// A point in a stream of a device that other streams of it can wait for; at first one that they
/// need not wait for.
class event {
 public:
  explicit event(int ordinal) {
    const current_device here(ordinal);
    WARPBAG_CUDA_TRY(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
  }
  ~event() { static_cast<void>(cudaEventDestroy(event_)); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  cudaError_t record(cudaStream_t stream) { return cudaEventRecord(event_, stream); }
  cudaError_t make_wait(cudaStream_t stream) const {
    return cudaStreamWaitEvent(stream, event_, 0);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace warpbag::cuda
