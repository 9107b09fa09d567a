// SPDX-License-Identifier: Apache-2.0
// The frame of every call that names a stream.
#pragma once

#include "runtime.h"

namespace cudasim {

template <class F>
cudaError_t on_stream(const char* name, cudaStream_t handle, F&& body) {
  return api_device(name, [&](Lock& lock, Device&) -> cudaError_t {
    Stream* s = nullptr;
    if (cudaError_t error = resolve_stream(handle, s); error != cudaSuccess) return error;
    return body(lock, *s);
  });
}

}  // namespace cudasim
