// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cuda/current_device.hpp"
#include "cuda/device_count.hpp"
#include "operations/device_memory.hpp"
#include "warpbag/error.hpp"

namespace warpbag::operations {

namespace {

/// cudaMallocAsync on the device's default pool. The pool keeps what is given back instead of
/// returning it to the driver at the next synchronisation, so that growing again costs no call
/// into it.
class stream_ordered_memory final : public memory_resource {
 public:
  explicit stream_ordered_memory(int ordinal) : ordinal_(ordinal) {
    cudaMemPool_t pool = nullptr;
    WARPBAG_CUDA_TRY(cudaDeviceGetDefaultMemPool(&pool, ordinal));
    std::uint64_t keep_everything = ~std::uint64_t{0};
    WARPBAG_CUDA_TRY(
        cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_everything));
  }

  /// cudaMallocAsync aligns to 256 at least.
  void* allocate(std::size_t bytes, std::size_t, cuda_stream stream) override {
    const cuda::current_device here(ordinal_);
    void* memory = nullptr;
    const cudaError_t result = cudaMallocAsync(&memory, bytes == 0 ? 1 : bytes, stream);
    if (result == cudaSuccess) return memory;
    static_cast<void>(cudaGetLastError());
    throw bad_allocation("cannot allocate " + std::to_string(bytes) + " bytes on CUDA device " +
                         std::to_string(ordinal_) + ": " + cudaGetErrorString(result));
  }

  void deallocate(void* memory, std::size_t, cuda_stream stream) noexcept override {
    // The stream belongs to a device; which one is current does not matter to cudaFreeAsync.
    static_cast<void>(cudaFreeAsync(memory, stream));
  }

 private:
  int ordinal_;
};

}  // namespace

memory_resource& cuda_memory_resource(int ordinal) {
  cuda::require_device(ordinal);
  // Never destroyed: memory may be given back while the process ends.
  static std::mutex& guard = *new std::mutex;
  static auto& resources = *new std::map<int, std::unique_ptr<stream_ordered_memory>>;
  const std::lock_guard<std::mutex> lock(guard);
  auto& resource = resources[ordinal];
  if (resource == nullptr) resource = std::make_unique<stream_ordered_memory>(ordinal);
  return *resource;
}

}  // namespace warpbag::operations
