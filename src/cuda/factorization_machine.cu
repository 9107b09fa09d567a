// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

#include "cuda/current_device.hpp"
#include "cuda/device_allocation.hpp"
#include "cuda/error.hpp"
#include "kernels/factorization_machine.cuh"
#include "model/model_device.hpp"

namespace warpbag::model {

namespace {

constexpr unsigned block_threads = 256;

/// Page-locked memory, so that copies run beside the host. What is given back is kept for the next
/// one until the model goes: freeing waits for every device of the process, and with ranks that are
/// threads another rank's device may be waiting for what this thread has yet to send.
class pinned_pool {
 public:
  pinned_pool() = default;
  pinned_pool(const pinned_pool&) = delete;
  pinned_pool& operator=(const pinned_pool&) = delete;
  ~pinned_pool() {
    for (const auto& [bytes, memory] : free_) static_cast<void>(cudaFreeHost(memory));
  }

  using blocks = std::multimap<std::size_t, std::byte*>;  // by size

  /// A block of `bytes` or more.
  blocks::node_type take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto fit = free_.lower_bound(bytes);
    if (fit != free_.end()) return free_.extract(fit);
    void* memory = nullptr;
    WARPBAG_CUDA_TRY(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault));
    return free_.extract(free_.emplace(bytes, static_cast<std::byte*>(memory)));
  }

  void give_back(blocks::node_type block) noexcept {
    const std::lock_guard lock(mutex_);
    free_.insert(std::move(block));
  }

 private:
  std::mutex mutex_;
  blocks free_;
};

class pinned_memory {
 public:
  pinned_memory(std::shared_ptr<pinned_pool> pool, std::size_t bytes)
      : pool_(std::move(pool)), block_(pool_->take(bytes)) {}
  pinned_memory(const pinned_memory&) = delete;
  pinned_memory& operator=(const pinned_memory&) = delete;
  ~pinned_memory() { pool_->give_back(std::move(block_)); }

  std::byte* data() const { return block_.mapped(); }

 private:
  std::shared_ptr<pinned_pool> pool_;
  pinned_pool::blocks::node_type block_;
};

class cuda_twin_memory final : public twin_memory {
 public:
  cuda_twin_memory(const resources& resources, std::shared_ptr<pinned_pool> pinned,
                   std::size_t bytes)
      : stream_(resources.stream),
        host_(std::move(pinned), bytes),
        device_(*resources.memory, bytes, stream_) {
    WARPBAG_CUDA_TRY(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming));
  }

  ~cuda_twin_memory() override {
    static_cast<void>(cudaEventSynchronize(copied_));
    static_cast<void>(cudaEventDestroy(copied_));
  }

  std::byte* host() noexcept override { return host_.data(); }
  std::byte* device() noexcept override { return device_.data(); }

  void copy_to_device(std::size_t bytes) override {
    enqueue(device_.data(), host_.data(), bytes, cudaMemcpyHostToDevice);
  }

  void copy_to_host(std::size_t bytes) override {
    enqueue(host_.data(), device_.data(), bytes, cudaMemcpyDeviceToHost);
  }

  void wait() override { WARPBAG_CUDA_TRY(cudaEventSynchronize(copied_)); }

 private:
  void enqueue(void* to, const void* from, std::size_t bytes, cudaMemcpyKind direction) {
    WARPBAG_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, direction, stream_));
    WARPBAG_CUDA_TRY(cudaEventRecord(copied_, stream_));
  }

  cudaStream_t stream_;
  pinned_memory host_;
  cuda::device_allocation device_;
  cudaEvent_t copied_ = nullptr;
};

/// Calls launch(kernel, lanes per sample) with the narrowest group of lanes that holds a row.
template <int Width, typename Launch>
void with_group(std::int32_t dim, Launch&& launch) {
  if (dim <= 16) {
    launch(kernels::score_samples<4, Width>, 4);
  } else if (dim <= 64) {
    launch(kernels::score_samples<16, Width>, 16);
  } else {
    launch(kernels::score_samples<32, Width>, 32);
  }
}

class cuda_model_device final : public model_device {
 public:
  explicit cuda_model_device(int ordinal) {
    resources_.where = {device_kind::cuda, ordinal};
    resources_.memory = &default_memory_resource(resources_.where);
    const cuda::current_device current(ordinal);
    WARPBAG_CUDA_TRY(cudaStreamCreateWithFlags(&resources_.stream, cudaStreamNonBlocking));
  }

  ~cuda_model_device() override {
    static_cast<void>(cudaStreamSynchronize(resources_.stream));
    static_cast<void>(cudaStreamDestroy(resources_.stream));
  }

  const resources& get_resources() const noexcept override { return resources_; }

  cpu::thread_pool& host_threads() noexcept override { return host_threads_; }

  std::unique_ptr<twin_memory> make_twin_memory(std::size_t bytes) override {
    const cuda::current_device current(resources_.where.ordinal);
    return std::make_unique<cuda_twin_memory>(resources_, pinned_, bytes);
  }

  std::shared_ptr<float> make_zeros(std::size_t count) override {
    const cuda::current_device current(resources_.where.ordinal);
    const std::size_t bytes = count * sizeof(float);
    const auto owner =
        std::make_shared<cuda::device_allocation>(*resources_.memory, bytes, resources_.stream);
    WARPBAG_CUDA_TRY(cudaMemsetAsync(owner->data(), 0, bytes, resources_.stream));
    return {owner, reinterpret_cast<float*>(owner->data())};
  }

  void score(const score_job& job) override {
    if (job.batch == 0) return;
    const cuda::current_device current(resources_.where.ordinal);
    const auto launch = [&](auto* kernel, int lanes_per_sample) {
      const std::int64_t samples_per_block = static_cast<int>(block_threads) / lanes_per_sample;
      const std::int64_t blocks = (job.batch + samples_per_block - 1) / samples_per_block;
      // Kernels loop over the samples with the grid's stride.
      kernel<<<static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 16)), block_threads, 0,
               resources_.stream>>>(job);
      cuda::check_launch("score_samples");
    };
    switch (job.dim % 4) {
      case 0: with_group<4>(job.dim, launch); return;
      case 2: with_group<2>(job.dim, launch); return;
      default: with_group<1>(job.dim, launch); return;
    }
  }

 private:
  // Several devices of a process share its processors, and four draw some millions of samples/s.
  static constexpr int most_host_threads = 4;

  resources resources_;
  cpu::thread_pool host_threads_{std::min(cpu::available_threads(), most_host_threads)};
  std::shared_ptr<pinned_pool> pinned_ = std::make_shared<pinned_pool>();
};

}  // namespace

std::unique_ptr<model_device> make_cuda_model_device(int ordinal) {
  return std::make_unique<cuda_model_device>(ordinal);
}

}  // namespace warpbag::model
