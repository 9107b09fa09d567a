// SPDX-License-Identifier: Apache-2.0
#pragma once
// The default memory resource of each kind of device, behind default_memory_resource().

#include "warpbag/memory_resource.hpp"

namespace warpbag::operations {

/// Host memory; blocks of 4 MiB and more are aligned to huge pages and advised to be made of them.
memory_resource& cpu_memory_resource();

/// cudaMallocAsync on device `ordinal`. Throws device_unavailable in a build without CUDA or on a
/// machine without that device.
memory_resource& cuda_memory_resource(int ordinal);

}  // namespace warpbag::operations
