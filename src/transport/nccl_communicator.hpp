// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

#include "cuda/event.hpp"
#include "transport/failure.hpp"

namespace warpbag::ranks {

/// Calls on a non-blocking communicator may still be under way when they return.
inline bool went_well(ncclResult_t result) {
  return result == ncclSuccess || result == ncclInProgress;
}

/// A communicator that cannot hang its caller. It is non-blocking; whatever waits looks at NCCL's
/// asynchronous error and at a deadline; the first fault closes it, and then every call throws that
/// fault again. What NCCL may hang in (abort, destroy) runs on a thread of its own that nobody
/// waits for longer than a deadline.
class nccl_communicator {
 public:
  using clock = std::chrono::steady_clock;

  nccl_communicator(int ordinal, cudaStream_t stream, int rank, std::chrono::milliseconds deadline);
  /// Waits for what is enqueued, then lets go of the communicator; aborts it where that fails.
  ~nccl_communicator();
  nccl_communicator(const nccl_communicator&) = delete;
  nccl_communicator& operator=(const nccl_communicator&) = delete;

  /// The first half of joining the ranks: inside a NCCL group it may not wait.
  ncclResult_t begin_join(int size, const ncclUniqueId& id);
  /// The second: waits until all have come. Throws rank_lost, and invalid_argument for what NCCL
  /// calls an invalid usage (two ranks on one device).
  void finish_join(ncclResult_t begun, clock::time_point until);

  /// Makes `child` the communicator of the ranks that give the same color (not negative). Where it
  /// has a stream of its own, the operations of both, and of all that are split off either, run
  /// one after the other, in the order in which they are enqueued.
  void split(nccl_communicator& child, int color);
  /// Makes this a copy of `original`, which stays as it is: NCCL can only abort a communicator by
  /// destroying it, and the caller's is not ours to destroy.
  void copy_from(ncclComm_t original);

  /// Runs `operations` as one NCCL group and returns when it is enqueued.
  void enqueue(const char* call, const std::function<ncclResult_t(ncclComm_t)>& operations);
  /// Waits until the stream is done.
  void wait();

  /// Closes it for all calls and aborts it, which the other ranks see as an error or by their
  /// deadline. The first fault counts. Any thread may call it.
  void close(failure why) noexcept;
  /// The same for a fault of this rank's own; throws it.
  [[noreturn]] void fail(failure why);
  [[noreturn]] void fail_cuda(const char* call, cudaError_t result);
  void throw_if_closed() const;

  int ordinal() const { return ordinal_; }
  cudaStream_t stream() const { return stream_; }
  int rank() const { return rank_; }
  std::chrono::milliseconds deadline() const { return deadline_.load(); }
  void set_deadline(std::chrono::milliseconds deadline) { deadline_.store(deadline); }

 private:
  /// Shared with the threads that abort or destroy.
  struct handle {
    // Held during calls of NCCL, so that an abort does not free the communicator under them.
    std::timed_mutex guard;
    ncclComm_t communicator = nullptr;
  };

  /// NCCL wants the operations of all communicators on a device to run in one order, which is the
  /// same on all ranks: two whose kernels each wait for the other to leave their GPU never end.
  /// Streams by themselves do not order them.
  class launch_order {
   public:
    explicit launch_order(int ordinal) : last_(ordinal) {}
    void use_several_streams() { several_streams_ = true; }
    cudaError_t wait(cudaStream_t stream) const {
      return orders(stream) ? last_.make_wait(stream) : cudaSuccess;
    }
    cudaError_t advance(cudaStream_t stream) {
      return orders(stream) ? last_.record(stream) : cudaSuccess;
    }

   private:
    /// What is captured runs when the caller launches its graph: the caller orders it.
    bool orders(cudaStream_t stream) const {
      cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
      return several_streams_ && cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
             status == cudaStreamCaptureStatusNone;
    }

    cuda::event last_;
    bool several_streams_ = false;
  };

  [[noreturn]] void fail(const char* call, ncclResult_t result, const char* details);
  [[noreturn]] void fail_late(const char* call);
  /// After close(): throws the fault when this rank's memory is not in use any more.
  [[noreturn]] void leave();
  bool closed() const;
  ncclResult_t state() const;
  /// Waits while NCCL is in progress.
  void settle(const char* call, clock::time_point until);
  /// Runs NCCL's last calls on a thread of their own.
  void start_release_locked(std::function<void(handle&)> work) noexcept;
  void await_release(std::chrono::milliseconds deadline) const noexcept;
  clock::time_point end_of_wait() const { return clock::now() + deadline(); }

  const int ordinal_;
  const cudaStream_t stream_;
  const int rank_;
  std::atomic<std::chrono::milliseconds> deadline_;
  std::shared_ptr<launch_order> order_;  // of all that were split off each other
  const std::shared_ptr<handle> handle_ = std::make_shared<handle>();

  mutable std::mutex guard_;  // of the rest
  std::optional<failure> failure_;
  std::shared_future<void> released_;
};

}  // namespace warpbag::ranks
