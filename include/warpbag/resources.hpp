// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "warpbag/memory_resource.hpp"

namespace warpbag {

/// What a call runs with. Plain data, passed by const reference; nothing in it is owned.
struct resources {
  device where = {};
  /// CUDA: every kernel, copy and allocation of the call goes here; nullptr is CUDA's legacy
  /// default stream and is refused with invalid_argument, because it hides missing dependencies.
  /// CPU: ignored.
  cuda_stream stream = nullptr;
  /// nullptr: default_memory_resource(where).
  memory_resource* memory = nullptr;
  /// CPU threads; 0: as many as the process may run on. Results do not depend on it.
  int num_threads = 0;
};

}  // namespace warpbag
