// SPDX-License-Identifier: Apache-2.0
#include "operation.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace cudasim::nccl {
namespace {

// One stream operation: the tasks one group call gave a communicator on one stream.
class Operation final : public PluginOp {
 public:
  Operation(RankPtr rank, std::vector<Task> tasks)
      : rank_(std::move(rank)), tasks_(std::move(tasks)) {
    what_ = "nccl rank " + std::to_string(rank_->rank) + ": " + tasks_[0].text();
    if (tasks_.size() > 1) what_ += " and " + std::to_string(tasks_.size() - 1) + " more";
    for (auto& t : tasks_) {
      dead_ = dead_ || t.dead;
      delay_ = std::max(delay_, std::chrono::milliseconds(t.delay_ms));
    }
  }
  const char* what() const override { return what_.c_str(); }

  bool enqueued() override {
    if (dead_) return false;
    for (auto& t : tasks_) rank_->number(t);
    if (rank_->link) return true;  // another process may be waiting already
    bool now = rank_->hub->has_remote();
    for (auto& t : tasks_) {
      size_t lane = 0;
      auto m = rank_->hub->meeting(t, rank_->rank, lane);
      meetings_.emplace_back(m, lane);
      Part part;
      part.task = t;
      part.device = rank_->device;
      part.op = this;
      rank_->hub->enter(m, lane, rank_->rank, std::move(part));
      now = rank_->hub->peer_wanted(*m, lane) || now;
    }
    return now;
  }

  void wanted() override {
    std::vector<PluginOp*> peers;
    for (auto& [m, lane] : meetings_)
      for (PluginOp* p : rank_->hub->want(*m, lane)) peers.push_back(p);
    for (PluginOp* p : peers) cudasim_plugin_want(p);
  }

  bool arrived_and_ready() override {
    if (rank_->stopped) return true;
    if (since_ == Clock::time_point()) since_ = Clock::now();
    if (Clock::now() - since_ < delay_) return false;
    if (dead_) return dead_ready();
    if (rank_->link) return remote_ready();
    bool all = true;
    for (auto& [m, lane] : meetings_) {
      rank_->hub->arrive(*m, lane);
      all = rank_->hub->ready(*m) && all;
    }
    if (!announced_) {
      announced_ = true;
      cudasim_plugin_changed();  // peers may be complete now
    }
    return all;
  }

  cudaError_t run() override {
    ncclResult_t result = result_;
    for (auto& [m, lane] : meetings_) {
      // Stopped: what the others completed is complete, the rest never will be.
      ncclResult_t r = !rank_->stopped ? rank_->hub->execute(*m)
                       : m->finished   ? m->result.load()
                                       : ncclRemoteError;
      if (r != ncclSuccess) result = r;
    }
    if (rank_->stopped && (dead_ || rank_->link)) result = ncclRemoteError;
    if (rank_->link && result == ncclSuccess) result = scatter_reply();
    if (result == ncclSuccess) return cudaSuccess;
    if (!rank_->stopped) rank_->error = result;
    // A wrong program breaks the device, as a kernel of NCCL's would; a lost peer does not.
    recoverable_ = result == ncclRemoteError || result == ncclSystemError || rank_->stopped;
    return cudaErrorLaunchFailure;
  }
  bool recoverable() const override { return recoverable_; }

  void skipped() override {
    rank_->error = ncclUnhandledCudaError;
    for (auto& [m, lane] : meetings_)
      rank_->hub->fail(*m, ncclUnhandledCudaError,
                       "rank " + std::to_string(rank_->rank) + " cannot take part in " +
                           tasks_[0].text() + ": its device has failed");
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool expired() const {
    return Clock::now() - since_ > std::chrono::seconds(timeout_seconds() + 2);
  }

  // Injected: the rank comes to no meeting. Its stream stands still until somebody gives up.
  bool dead_ready() {
    result_ = rank_->state();
    if (result_ == ncclSuccess && !expired()) return false;
    if (result_ == ncclSuccess) result_ = ncclSystemError;
    return true;
  }

  // Another process's hub: sends the inputs once, then waits for the outputs.
  bool remote_ready() {
    if (message_ == 0) {
      std::vector<uint8_t> payload;
      for (auto& t : tasks_) {
        size_t bytes = t.send_bytes(rank_->ranks, rank_->rank);
        if (t.device_scalar) {
          uint8_t *p = nullptr, *i = nullptr;
          if (cudasim_plugin_locate(rank_->device, t.device_scalar, element_size(t.type), &p, &i))
            std::memcpy(t.reduction.scalar, p, element_size(t.type));
        }
        t.wire_bytes = bytes;
        uint8_t *data = nullptr, *init = nullptr;
        if (bytes && !cudasim_plugin_locate(rank_->device, t.send, bytes, &data, &init)) {
          complain(t.text() + ": its send buffer is not usable on device " +
                   std::to_string(rank_->device));
          result_ = ncclInvalidArgument;
          return true;
        }
        if (bytes) payload.insert(payload.end(), data, data + bytes);
      }
      message_ = rank_->link->send(tasks_, payload);
      since_ = Clock::now();
    }
    if (rank_->link->answer(message_, result_, reply_)) return true;
    if (!expired()) return false;
    complain("rank " + std::to_string(rank_->rank) + ": " + tasks_[0].text() + " got no answer");
    result_ = ncclSystemError;
    return true;
  }

  ncclResult_t scatter_reply() {
    size_t at = 0;
    for (auto& t : tasks_) {
      size_t bytes = t.recv_bytes(rank_->ranks, rank_->rank);
      if (bytes == 0) continue;
      uint8_t *data = nullptr, *init = nullptr;
      if (at + bytes > reply_.size() ||
          !cudasim_plugin_locate(rank_->device, t.recv, bytes, &data, &init)) {
        complain(t.text() + ": its receive buffer is not usable on device " +
                 std::to_string(rank_->device));
        return ncclInvalidArgument;
      }
      std::memcpy(data, reply_.data() + at, bytes);
      if (init) std::memset(init, 1, bytes);
      at += bytes;
    }
    return ncclSuccess;
  }

  RankPtr rank_;
  std::vector<Task> tasks_;
  std::string what_;
  std::vector<std::pair<std::shared_ptr<Meeting>, size_t>> meetings_;
  bool announced_ = false, dead_ = false, recoverable_ = false;
  std::chrono::milliseconds delay_{0};
  uint64_t message_ = 0;
  ncclResult_t result_ = ncclSuccess;
  std::vector<uint8_t> reply_;
  Clock::time_point since_;  // it came to its turn, or sent its message
};

struct Recipe {
  RankPtr rank;
  std::vector<Task> tasks;
};

}  // namespace

ncclResult_t launch(const RankPtr& rank, cudaStream_t stream, std::vector<Task> tasks) {
  auto* recipe = new Recipe{rank, std::move(tasks)};
  cudaError_t error = cudasim_plugin_enqueue(
      rank->device, stream,
      [](void* p) -> PluginOp* {
        auto* r = static_cast<Recipe*>(p);
        return new Operation(r->rank, r->tasks);
      },
      recipe, [](void* p) { delete static_cast<Recipe*>(p); });
  if (error == cudaSuccess) return ncclSuccess;
  return refuse(ncclUnhandledCudaError, std::string("cannot enqueue: ") + cudaGetErrorName(error));
}

}  // namespace cudasim::nccl
