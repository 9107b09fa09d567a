// SPDX-License-Identifier: Apache-2.0
#include "transport/nccl_communicator.hpp"

#include <string>
#include <thread>
#include <utility>

#include "cuda/current_device.hpp"
#include "transport/polling_pause.hpp"

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0)
#error "warpbag needs NCCL 2.18 or newer: ncclCommSplit"
#endif

namespace warpbag::ranks {

namespace {

// How long a call waits for an abort, and an abort for a call of NCCL that is under way.
constexpr std::chrono::milliseconds abort_deadline = std::chrono::seconds(5);
constexpr std::chrono::milliseconds call_deadline = std::chrono::seconds(1);

ncclConfig_t non_blocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

ncclResult_t state_of(ncclComm_t communicator) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(communicator, &state);
  return asked == ncclSuccess ? state : asked;
}

/// Returns as soon as NCCL is not in progress, or with ncclInProgress at `until`.
ncclResult_t poll(ncclComm_t communicator, nccl_communicator::clock::time_point until) {
  for (polling_pause pause;; pause.rest()) {
    const ncclResult_t state = state_of(communicator);
    if (state != ncclInProgress || nccl_communicator::clock::now() >= until) return state;
  }
}

}  // namespace

nccl_communicator::nccl_communicator(int ordinal, cudaStream_t stream, int rank,
                                     std::chrono::milliseconds deadline)
    : ordinal_(ordinal),
      stream_(stream),
      rank_(rank),
      deadline_(deadline),
      order_(std::make_shared<launch_order>(ordinal)) {}

nccl_communicator::~nccl_communicator() {
  try {
    wait();
  } catch (const std::exception&) {
    close({failure_kind::lost, rank_, "transport: it is gone"});  // unless the wait closed it
    await_release(abort_deadline);
    return;
  }
  const std::chrono::milliseconds deadline = this->deadline();
  const auto destroy = [deadline](handle& mine) {
    if (mine.communicator == nullptr) return;
    ncclResult_t result = ncclCommFinalize(mine.communicator);
    if (result == ncclInProgress) result = poll(mine.communicator, clock::now() + deadline);
    static_cast<void>(result == ncclSuccess ? ncclCommDestroy(mine.communicator)
                                            : ncclCommAbort(mine.communicator));
  };
  {
    const std::lock_guard lock(guard_);
    start_release_locked(destroy);
  }
  await_release(deadline + abort_deadline);
}

ncclResult_t nccl_communicator::begin_join(int size, const ncclUniqueId& id) {
  const cuda::current_device here(ordinal_);
  ncclConfig_t config = non_blocking();
  return ncclCommInitRankConfig(&handle_->communicator, size, id, rank_, &config);
}

void nccl_communicator::finish_join(ncclResult_t begun, clock::time_point until) {
  constexpr const char* call = "joining the ranks";
  const ncclResult_t result = begun == ncclInProgress ? poll(handle_->communicator, until) : begun;
  if (result == ncclInvalidUsage) {
    const std::string what =
        std::string("transport: NCCL refused to join the ranks: ") + ncclGetLastError(nullptr);
    close({failure_kind::lost, rank_, what});
    throw invalid_argument(what);
  }
  if (result == ncclInProgress) fail_late(call);
  if (result != ncclSuccess) fail(call, result, ncclGetLastError(nullptr));
}

void nccl_communicator::split(nccl_communicator& child, int color) {
  constexpr const char* call = "split";
  throw_if_closed();
  const clock::time_point until = end_of_wait();
  try {
    const cuda::current_device here(ordinal_);
    ncclConfig_t config = non_blocking();
    ncclResult_t result = ncclSuccess;
    {
      const std::lock_guard lock(handle_->guard);
      if (handle_->communicator != nullptr) {
        result = ncclCommSplit(handle_->communicator, color, rank_, &child.handle_->communicator,
                               &config);
      }
    }
    if (!went_well(result)) fail(call, result, ncclGetLastError(nullptr));
    settle(call, until);
    child.settle(call, until);
    if (child.stream_ != stream_) order_->use_several_streams();
    child.order_ = order_;
  } catch (const transport_error& error) {
    child.close(failure_of(error));
    close(failure_of(error));
    throw;
  }
}

void nccl_communicator::copy_from(ncclComm_t original) {
  const clock::time_point until = end_of_wait();
  // The original may be a blocking one, whose split returns only when all ranks have come.
  struct copy {
    ncclResult_t result;
    ncclComm_t communicator;
  };
  const auto abandoned = std::make_shared<std::atomic<bool>>(false);
  std::packaged_task<copy()> task([original, until, abandoned, ordinal = ordinal_, rank = rank_] {
    static_cast<void>(cudaSetDevice(ordinal));
    ncclConfig_t config = non_blocking();
    copy made = {ncclSuccess, nullptr};
    made.result = ncclCommSplit(original, 0, rank, &made.communicator, &config);
    if (made.result == ncclInProgress) made.result = poll(original, until);
    if (*abandoned && made.communicator != nullptr) {
      static_cast<void>(ncclCommAbort(made.communicator));
    }
    return made;
  });
  std::future<copy> copied = task.get_future();
  std::thread(std::move(task)).detach();
  constexpr const char* call = "copying the communicator";
  if (copied.wait_until(until) != std::future_status::ready) {
    *abandoned = true;
    fail_late(call);
  }
  const copy made = copied.get();
  handle_->communicator = made.communicator;
  if (made.result == ncclInProgress) fail_late(call);
  if (made.result != ncclSuccess) fail(call, made.result, "");
  settle(call, until);
}

void nccl_communicator::enqueue(const char* call,
                                const std::function<ncclResult_t(ncclComm_t)>& operations) {
  throw_if_closed();
  const cuda::current_device here(ordinal_);
  if (const auto waits = order_->wait(stream_); waits != cudaSuccess) fail_cuda(call, waits);
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock(handle_->guard);
    if (handle_->communicator != nullptr) {
      result = ncclGroupStart();
      if (result == ncclSuccess) {
        const ncclResult_t added = operations(handle_->communicator);
        result = ncclGroupEnd();
        if (!went_well(added)) result = added;
      }
    }
  }
  if (!went_well(result)) fail(call, result, ncclGetLastError(nullptr));
  if (result == ncclInProgress) settle(call, end_of_wait());
  if (closed()) leave();  // perhaps before the operations were added
  if (const auto recorded = order_->advance(stream_); recorded != cudaSuccess) {
    fail_cuda(call, recorded);
  }
}

void nccl_communicator::wait() {
  throw_if_closed();
  const cuda::current_device here(ordinal_);
  const clock::time_point until = end_of_wait();
  for (polling_pause pause;; pause.rest()) {
    const bool late = clock::now() >= until;  // before the last look, which may find all done
    const cudaError_t result = cudaStreamQuery(stream_);
    if (result != cudaSuccess) static_cast<void>(cudaGetLastError());
    // Asked after the stream: data of an operation that ended by an error is never taken as good.
    const ncclResult_t error = state();
    if (closed()) leave();
    if (!went_well(error)) fail("wait", error, "");
    if (result == cudaSuccess) return;
    if (result != cudaErrorNotReady) fail_cuda("wait", result);
    if (late) fail_late("wait");
  }
}

void nccl_communicator::close(failure why) noexcept {
  const std::lock_guard lock(guard_);
  if (failure_) return;
  failure_ = std::move(why);
  start_release_locked([](handle& mine) {
    if (mine.communicator != nullptr) static_cast<void>(ncclCommAbort(mine.communicator));
  });
}

bool nccl_communicator::closed() const {
  const std::lock_guard lock(guard_);
  return failure_.has_value();
}

void nccl_communicator::fail(failure why) {
  close(std::move(why));
  leave();
}

void nccl_communicator::throw_if_closed() const {
  const std::lock_guard lock(guard_);
  if (failure_) raise(*failure_);
}

void nccl_communicator::fail_cuda(const char* call, cudaError_t result) {
  static_cast<void>(cudaGetLastError());
  fail({failure_kind::lost, rank_,
        "transport: CUDA failed on rank " + std::to_string(rank_) + " in " + call + ": " +
            cudaGetErrorName(result) + " (" + cudaGetErrorString(result) + ")"});
}

void nccl_communicator::fail(const char* call, ncclResult_t result, const char* details) {
  const std::string words = " in " + std::string(call) + ", says NCCL on rank " +
                            std::to_string(rank_) + ": " + ncclGetErrorString(result) +
                            (*details == '\0' ? "" : std::string(": ") + details);
  switch (result) {
    case ncclRemoteError:
    case ncclSystemError: fail({failure_kind::lost, -1, "transport: a rank is lost" + words});
    case ncclInvalidUsage:
      fail({failure_kind::mismatch, -1, "transport: calls of ranks do not fit" + words});
    default: fail({failure_kind::lost, rank_, "transport: failure" + words});
  }
}

void nccl_communicator::fail_late(const char* call) {
  fail({failure_kind::lost, -1,
        "transport: not every rank came to " + std::string(call) + " within " +
            std::to_string(deadline().count()) + " ms, says rank " + std::to_string(rank_)});
}

void nccl_communicator::leave() {
  await_release(abort_deadline);
  const clock::time_point until = clock::now() + abort_deadline;
  polling_pause pause;
  while (cudaStreamQuery(stream_) == cudaErrorNotReady && clock::now() < until) pause.rest();
  // What the aborted operation left, unless it broke the device, is said by the fault.
  static_cast<void>(cudaGetLastError());
  const std::lock_guard lock(guard_);
  raise(*failure_);
}

ncclResult_t nccl_communicator::state() const {
  const std::lock_guard lock(handle_->guard);
  return handle_->communicator == nullptr ? ncclSuccess : state_of(handle_->communicator);
}

void nccl_communicator::settle(const char* call, clock::time_point until) {
  for (polling_pause pause;; pause.rest()) {
    const bool late = clock::now() >= until;
    const ncclResult_t result = state();
    if (closed()) leave();
    if (result == ncclSuccess) return;
    if (result != ncclInProgress) fail(call, result, "");
    if (late) fail_late(call);
  }
}

void nccl_communicator::start_release_locked(std::function<void(handle&)> work) noexcept {
  try {
    std::packaged_task<void()> task([mine = handle_, ordinal = ordinal_, work = std::move(work)] {
      static_cast<void>(cudaSetDevice(ordinal));
      // A call that does not come back is what an abort is for: then it goes ahead.
      const std::unique_lock lock(mine->guard, call_deadline);
      work(*mine);
      mine->communicator = nullptr;
    });
    released_ = task.get_future().share();
    std::thread(std::move(task)).detach();
  } catch (const std::exception&) {
    // No memory or no thread: the communicator stays as it is until the process ends. The other
    // ranks learn of it by their deadline.
  }
}

void nccl_communicator::await_release(std::chrono::milliseconds deadline) const noexcept {
  std::shared_future<void> released;
  {
    const std::lock_guard lock(guard_);
    released = released_;
  }
  if (released.valid()) static_cast<void>(released.wait_for(deadline));
}

}  // namespace warpbag::ranks
