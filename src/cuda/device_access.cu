// SPDX-License-Identifier: Apache-2.0
#include "operations/device_access.hpp"

#include <cuda_runtime_api.h>

#include "cuda/current_device.hpp"

namespace warpbag::operations {

namespace {

constexpr std::size_t alignment = 256;
constexpr unsigned block_threads = 256;

__global__ void store_learning_rate(step_state* states, std::size_t count, float learning_rate) {
  const std::size_t t = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (t < count) states[t].learning_rate = learning_rate;
}

class cuda_device_access final : public device_access {
 public:
  explicit cuda_device_access(const resources& resources)
      : ordinal_(resources.where.ordinal), stream_(resources.stream), memory_(*resources.memory) {}

  void* allocate(std::size_t bytes) override {
    const cuda::current_device here(ordinal_);
    return memory_.allocate(bytes, alignment, stream_);
  }
  void deallocate(void* memory, std::size_t bytes) noexcept override {
    int previous = 0;
    const bool known = cudaGetDevice(&previous) == cudaSuccess;
    static_cast<void>(cudaSetDevice(ordinal_));
    memory_.deallocate(memory, bytes, stream_);
    if (known) static_cast<void>(cudaSetDevice(previous));
  }

  void copy_to_host(void* host, const const_tensor_view& source) override {
    enqueue_rows(host, bytes_of(source), source.data, pitch_of(source), source,
                 cudaMemcpyDeviceToHost);
    wait();
  }
  void copy_from_host(const tensor_view& destination, const void* host) override {
    enqueue_rows(destination.data, pitch_of(destination), host, bytes_of(destination), destination,
                 cudaMemcpyHostToDevice);
    wait();
  }
  void read(void* host, const void* device, std::size_t bytes) override {
    if (bytes == 0) return;
    enqueue(host, device, bytes, cudaMemcpyDeviceToHost);
    wait();
  }
  void write(void* device, const void* host, std::size_t bytes) override {
    if (bytes == 0) return;
    enqueue(device, host, bytes, cudaMemcpyHostToDevice);
    wait();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) enqueue(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void copy_rows(const tensor_view& to, const const_tensor_view& from) override {
    enqueue_rows(to.data, pitch_of(to), from.data, pitch_of(from), from, cudaMemcpyDeviceToDevice);
  }

  step_state read_step(const step_state* source) override {
    step_state state;
    read(&state, source, sizeof(state));
    return state;
  }
  void write_steps(step_state* destination, std::span<const step_state> states) override {
    write(destination, states.data(), states.size_bytes());
  }

  void set_learning_rate(step_state* states, std::size_t count, float learning_rate) override {
    if (count == 0) return;
    const cuda::current_device here(ordinal_);
    const auto blocks = static_cast<unsigned>((count + block_threads - 1) / block_threads);
    store_learning_rate<<<blocks, block_threads, 0, stream_>>>(states, count, learning_rate);
    cuda::check_launch("store_learning_rate");
  }

 private:
  static std::size_t bytes_of(const const_tensor_view& view) {
    return static_cast<std::size_t>(view.dim) * size_of(view.type);
  }
  static std::size_t pitch_of(const const_tensor_view& view) {
    return static_cast<std::size_t>(view.stride) * size_of(view.type);
  }

  /// A 2-D copy has a limit on its pitch (cudaDevAttrMaxPitch, under 2 GiB), a plain one has none.
  void enqueue_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                    const const_tensor_view& shape, cudaMemcpyKind kind) {
    const auto rows = static_cast<std::size_t>(shape.rows);
    if (rows == 0) return;
    if (to_pitch == from_pitch && to_pitch == bytes_of(shape)) {
      enqueue(to, from, rows * to_pitch, kind);
      return;
    }
    const cuda::current_device here(ordinal_);
    WARPBAG_CUDA_TRY(
        cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, bytes_of(shape), rows, kind, stream_));
  }
  void enqueue(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const cuda::current_device here(ordinal_);
    WARPBAG_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream_));
  }
  void wait() {
    const cuda::current_device here(ordinal_);
    WARPBAG_CUDA_TRY(cudaStreamSynchronize(stream_));
  }

  int ordinal_;
  cudaStream_t stream_;
  memory_resource& memory_;
};

}  // namespace

std::unique_ptr<device_access> make_cuda_device_access(const resources& resources) {
  return std::make_unique<cuda_device_access>(resources);
}

}  // namespace warpbag::operations
