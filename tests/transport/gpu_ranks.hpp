// SPDX-License-Identifier: Apache-2.0
#pragma once
// Ranks that are GPUs, real or simulated: streams, memory, and forgiveness for provoked failures.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "cuda/error.hpp"
#include "cudasim/src/runtime/cudasim.h"
#include "transport/worlds.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::testing {

inline int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

/// Makes a device current for good: a thread of a test that drives one rank.
inline void use_device(int ordinal) { WARPBAG_CUDA_TRY(cudaSetDevice(ordinal)); }

/// A stream of a device, as resources.
class gpu {
 public:
  explicit gpu(int ordinal) : ordinal_(ordinal) {
    use_device(ordinal);
    WARPBAG_CUDA_TRY(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~gpu() {
    static_cast<void>(cudaStreamSynchronize(stream_));  // memory given back on it is gone now
    static_cast<void>(cudaStreamDestroy(stream_));
    static_cast<void>(cudaGetLastError());
  }
  gpu(const gpu&) = delete;
  gpu& operator=(const gpu&) = delete;

  operator resources() const { return {{device_kind::cuda, ordinal_}, stream_, nullptr, 0}; }
  cudaStream_t stream() const { return stream_; }

 private:
  int ordinal_;
  cudaStream_t stream_ = nullptr;
};

/// Elements in memory of the device that is current.
template <typename Element>
class gpu_array {
 public:
  gpu_array(cudaStream_t stream, const std::vector<Element>& values)
      : stream_(stream), size_(values.size()) {
    WARPBAG_CUDA_TRY(cudaMalloc(&data_, std::max<std::size_t>(bytes(), 1)));
    WARPBAG_CUDA_TRY(
        cudaMemcpyAsync(data_, values.data(), bytes(), cudaMemcpyHostToDevice, stream));
    WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream));
  }
  ~gpu_array() { static_cast<void>(cudaFree(data_)); }
  gpu_array(const gpu_array&) = delete;
  gpu_array& operator=(const gpu_array&) = delete;

  Element* data() const { return static_cast<Element*>(data_); }
  std::size_t bytes() const { return size_ * sizeof(Element); }
  std::vector<Element> values() const {
    std::vector<Element> out(size_);
    WARPBAG_CUDA_TRY(cudaMemcpyAsync(out.data(), data_, bytes(), cudaMemcpyDeviceToHost, stream_));
    WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream_));
    return out;
  }

 private:
  cudaStream_t stream_;
  std::size_t size_;
  void* data_ = nullptr;
};

/// While it lives failures are wanted: the simulator's findings about them are forgiven.
class provoked_failures {
 public:
  provoked_failures() : before_(count()) {}
  ~provoked_failures() {
    if (auto forgive = CUDASIM_FIND(cudasim_forgive_findings)) forgive(count() - before_);
  }
  provoked_failures(const provoked_failures&) = delete;
  provoked_failures& operator=(const provoked_failures&) = delete;

 private:
  static unsigned long long count() {
    auto findings = CUDASIM_FIND(cudasim_finding_count);
    return findings ? findings() : 0;
  }
  unsigned long long before_;
};

/// How body(rank) of `size` ranks ended, each on a thread of its own whose device is its rank.
inline std::vector<outcome> run_gpus(int size, const std::function<void(int rank)>& body) {
  std::vector<outcome> outcomes(static_cast<std::size_t>(size));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back(
        [&, rank] { outcomes[static_cast<std::size_t>(rank)] = outcome_of([&] { body(rank); }); });
  }
  threads.clear();
  return outcomes;
}

}  // namespace warpbag::testing
