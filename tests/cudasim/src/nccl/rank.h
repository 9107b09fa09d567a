// SPDX-License-Identifier: Apache-2.0
// One rank of one communicator, and the handle a program holds.
#pragma once
#include <nccl.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "hub.h"
#include "remote.h"

namespace cudasim::nccl {

// Outlives the handle: queued operations refer to it.
struct Rank {
  int rank = 0, ranks = 0, device = 0;
  int origin = 0;                    // rank in the communicator that all parents lead back to
  bool blocking = true;              // ncclConfig_t::blocking
  std::string id;                    // of the communicator
  std::shared_ptr<Hub> hub;          // the meeting point is in this process
  std::shared_ptr<Link> link;        // ... or in another one
  std::atomic<bool> joining{false};  // hub and link are not there yet
  std::atomic<bool> stopped{false};  // aborted or revoked: operations end
  std::atomic<bool> revoked{false};
  std::atomic<bool> finalized{false};
  // blocking = 0: something returned ncclInProgress, and ncclCommGetAsyncError has not been asked.
  std::atomic<bool> unpolled{false};
  std::atomic<bool> issued{false};  // had its first operation
  std::atomic<ncclResult_t> error{ncclSuccess};
  std::atomic<int> shrinks{0};

  std::mutex mutex;  // the rest
  uint64_t collectives = 0;
  std::map<int, uint64_t> sends, receives;
  std::map<int, std::pair<Reduction, const void*>> operators;  // PreMulSum by handle
  int next_operator = ncclNumOps;

  // Gives the task its place among this rank's.
  void number(Task& t) {
    std::lock_guard lock(mutex);
    t.index = t.kind == Kind::send   ? sends[t.root]++
              : t.kind == Kind::recv ? receives[t.root]++
                                     : collectives++;
  }
  ncclResult_t state() const {
    if (joining) return ncclInProgress;
    if (revoked) return ncclSuccess;  // quiescent, whatever happened before
    if (error != ncclSuccess) return error;
    return hub ? hub->async_error() : link ? link->error() : ncclSuccess;
  }
  // Whether a new operation or communicator may be made of it.
  ncclResult_t usable() const { return unpolled ? ncclInvalidArgument : state(); }
  // What a call on a communicator with blocking = 0 returns: poll before the next one.
  ncclResult_t in_progress() {
    if (blocking) return ncclSuccess;
    unpolled = true;
    return ncclInProgress;
  }
  // Ends this rank's operations; their buffers are free to go when it returns.
  void stop() {
    stopped = true;
    if (!joining && hub) hub->stop(rank);
    cudasim_plugin_changed();
  }
};

using RankPtr = std::shared_ptr<Rank>;

bool valid(ncclComm_t comm);
ncclComm_t new_handle(RankPtr rank);
void delete_handle(ncclComm_t comm);

// Keeps `why` for ncclGetLastError and prints it.
ncclResult_t refuse(ncclResult_t result, const std::string& why);
const char* last_refusal();

}  // namespace cudasim::nccl

struct ncclComm {
  cudasim::nccl::RankPtr rank;
};
