// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where memory comes from. Two functions; implement them over RMM, a torch allocator or a pool of
// your own.

#include <cstddef>
#include <cstdint>

#include "warpbag/types.hpp"

struct CUstream_st;

namespace warpbag {

/// A CUDA stream without CUDA's headers: the same type as cudaStream_t.
using cuda_stream = CUstream_st*;

/// Allocation in stream order on one device. Implementations are thread-safe.
class WARPBAG_EXPORT memory_resource {
 public:
  virtual ~memory_resource() = default;

  /// At least `bytes` bytes aligned to `alignment` (a power of two, at most 256). On a CUDA device
  /// the memory may be used by work on `stream` from now on; the CPU ignores the stream. Throws
  /// bad_allocation.
  virtual void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream stream) = 0;

  /// Takes back what allocate returned for the same size, after the work now on `stream`. Never
  /// throws.
  virtual void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept = 0;
};

/// The process-wide default of a device: huge-page-advised host memory for big blocks on the CPU,
/// cudaMallocAsync on CUDA. Throws device_unavailable.
WARPBAG_EXPORT memory_resource& default_memory_resource(device where);

}  // namespace warpbag
