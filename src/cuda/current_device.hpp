// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/error.hpp"

namespace warpbag::cuda {

/// Makes a device current as long as it lives. A destructor cannot report that this failed, so
/// neither does this one; the next call on the wrong device will.
class current_device {
 public:
  explicit current_device(int ordinal) {
    WARPBAG_CUDA_TRY(cudaGetDevice(&previous_));
    if (previous_ != ordinal) WARPBAG_CUDA_TRY(cudaSetDevice(ordinal));
    ordinal_ = ordinal;
  }
  ~current_device() {
    if (previous_ != ordinal_) static_cast<void>(cudaSetDevice(previous_));
  }
  current_device(const current_device&) = delete;
  current_device& operator=(const current_device&) = delete;

 private:
  int previous_ = 0;
  int ordinal_ = 0;
};

}  // namespace warpbag::cuda
