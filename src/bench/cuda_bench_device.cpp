// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <algorithm>

#include "bench/bench_device.hpp"
#include "cuda/current_device.hpp"
#include "cuda/device_allocation.hpp"
#include "cuda/device_count.hpp"

namespace warpbag::bench {

namespace {

constexpr std::size_t copied_bytes = std::size_t{256} << 20;

class cuda_bench_device final : public bench_device {
 public:
  explicit cuda_bench_device(int ordinal) {
    cuda::require_device(ordinal);
    resources_.where = {device_kind::cuda, ordinal};
    resources_.memory = &default_memory_resource(resources_.where);
    const cuda::current_device here(ordinal);
    WARPBAG_CUDA_TRY(cudaStreamCreateWithFlags(&resources_.stream, cudaStreamNonBlocking));
    WARPBAG_CUDA_TRY(cudaEventCreate(&begin_));
    WARPBAG_CUDA_TRY(cudaEventCreate(&end_));
  }

  ~cuda_bench_device() override {
    swept_ = {};
    static_cast<void>(cudaEventDestroy(begin_));
    static_cast<void>(cudaEventDestroy(end_));
    static_cast<void>(cudaStreamSynchronize(resources_.stream));
    static_cast<void>(cudaStreamDestroy(resources_.stream));
  }

  const resources& get_resources() const override { return resources_; }

  run_time time(const std::function<void()>& body) override {
    const cuda::current_device here(resources_.where.ordinal);
    const double cpu = process_cpu_seconds();
    WARPBAG_CUDA_TRY(cudaEventRecord(begin_, resources_.stream));
    body();
    WARPBAG_CUDA_TRY(cudaEventRecord(end_, resources_.stream));
    WARPBAG_CUDA_TRY(cudaEventSynchronize(end_));
    float milliseconds = 0.0F;
    WARPBAG_CUDA_TRY(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return {1e-3 * static_cast<double>(milliseconds), process_cpu_seconds() - cpu};
  }

  /// Writes four times the L2: what it held is evicted, and dirty lines of the batch with it.
  void flush_caches() override {
    const cuda::current_device here(resources_.where.ordinal);
    int l2_bytes = 0;
    WARPBAG_CUDA_TRY(
        cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, resources_.where.ordinal));
    const std::size_t bytes = std::max<std::size_t>(4 * static_cast<std::size_t>(l2_bytes), 1024);
    reserve(bytes);
    WARPBAG_CUDA_TRY(cudaMemsetAsync(swept_.data(), 0, bytes, resources_.stream));
  }

 protected:
  double move_memory() override {
    const cuda::current_device here(resources_.where.ordinal);
    reserve(2 * copied_bytes);
    WARPBAG_CUDA_TRY(cudaMemcpyAsync(swept_.data() + copied_bytes, swept_.data(), copied_bytes,
                                     cudaMemcpyDeviceToDevice, resources_.stream));
    return 2.0 * static_cast<double>(copied_bytes);
  }

 private:
  void reserve(std::size_t bytes) {
    if (bytes <= swept_bytes_) return;
    swept_ = cuda::device_allocation(*resources_.memory, bytes, resources_.stream);
    WARPBAG_CUDA_TRY(cudaMemsetAsync(swept_.data(), 0, bytes, resources_.stream));
    swept_bytes_ = bytes;
  }

  resources resources_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
  cuda::device_allocation swept_;
  std::size_t swept_bytes_ = 0;
};

}  // namespace

std::unique_ptr<bench_device> make_cuda_bench_device(int ordinal) {
  return std::make_unique<cuda_bench_device>(ordinal);
}

}  // namespace warpbag::bench
