// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <stdexcept>

#include "support/test_device.hpp"

namespace warpbag::support {

namespace {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(status));
}

class cuda_device final : public test_device {
 public:
  explicit cuda_device(int ordinal) : ordinal_(ordinal) {
    check(cudaSetDevice(ordinal), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  ~cuda_device() override { cudaStreamDestroy(stream_); }

  resources get_resources() const override {
    resources result;
    result.where = {device_kind::cuda, ordinal_};
    result.stream = stream_;
    return result;
  }

  std::unique_ptr<operations::backend> make_backend() override {
    return operations::make_cuda_backend(get_resources());
  }

  std::byte* place(std::byte* host, std::size_t bytes) override {
    std::byte* memory = reserve(bytes == 0 ? 16 : bytes);
    write(memory, host, bytes);
    return memory;
  }

  std::byte* reserve(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaSetDevice(ordinal_), "cudaSetDevice");
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    return static_cast<std::byte*>(memory);
  }

  void write(std::byte* placed, const std::byte* host, std::size_t bytes) override {
    check(cudaMemcpyAsync(placed, host, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  void fetch(std::byte* host, const std::byte* placed, std::size_t bytes) override {
    check(cudaMemcpyAsync(host, placed, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  void release(std::byte* placed) override {
    cudaStreamSynchronize(stream_);
    cudaFree(placed);
  }

 private:
  int ordinal_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace

std::vector<backend_choice> backends_under_test() {
  return {{"cuda", [] { return make_cuda_test_device(0); }}};
}

std::unique_ptr<test_device> make_cuda_test_device(int ordinal) {
  return std::make_unique<cuda_device>(ordinal);
}

}  // namespace warpbag::support
