// SPDX-License-Identifier: Apache-2.0
#include "operations/side_stream.hpp"

#include "cuda/event.hpp"

namespace warpbag::operations {

namespace {

class cuda_side_stream final : public side_stream {
 public:
  explicit cuda_side_stream(const resources& main)
      : side_stream(main), main_(main.stream), event_(main.where.ordinal) {
    const cuda::current_device here(resources_.where.ordinal);
    WARPBAG_CUDA_TRY(cudaStreamCreateWithFlags(&resources_.stream, cudaStreamNonBlocking));
  }
  /// What is enqueued is still done.
  ~cuda_side_stream() override { static_cast<void>(cudaStreamDestroy(resources_.stream)); }

  void enter_thread() override { WARPBAG_CUDA_TRY(cudaSetDevice(resources_.where.ordinal)); }
  void follow() override { order(main_, resources_.stream); }
  void lead() override { order(resources_.stream, main_); }

 private:
  void order(cudaStream_t before, cudaStream_t after) {
    const cuda::current_device here(resources_.where.ordinal);
    WARPBAG_CUDA_TRY(event_.record(before));
    WARPBAG_CUDA_TRY(event_.make_wait(after));
  }

  cudaStream_t main_;
  cuda::event event_;
};

}  // namespace

std::unique_ptr<side_stream> make_cuda_side_stream(const resources& main) {
  return std::make_unique<cuda_side_stream>(main);
}

}  // namespace warpbag::operations
