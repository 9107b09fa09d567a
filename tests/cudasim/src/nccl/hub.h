// SPDX-License-Identifier: Apache-2.0
// Where the ranks of one communicator meet. The hub lives in the process that
// made the unique id; ranks of other processes reach it over a socket.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "../runtime/plugin.h"
#include "task.h"

namespace cudasim::nccl {

// One rank's part of a meeting. Local parts have a device, remote parts buffers.
struct Part {
  bool present = false, arrived = false, wanted = false;
  bool stopped = false;  // its rank has aborted or revoked: the buffers may be gone
  int rank = -1;
  Task task;
  int device = -1;
  PluginOp* op = nullptr;
  std::vector<uint8_t> in, out;  // remote
  std::function<void()> done;    // remote: tells its process
  std::chrono::steady_clock::time_point since;
};

struct Meeting {
  std::vector<Part> parts;  // by rank; two for point to point: sender, receiver
  bool running = false;
  std::atomic<bool> finished{false};
  std::atomic<ncclResult_t> result{ncclSuccess};
  bool stopped() const {
    return std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.stopped; });
  }
};

int timeout_seconds();
void complain(const std::string& line);

class Hub : public std::enable_shared_from_this<Hub> {
 public:
  std::string id;
  int ranks = 0;

  // -- membership
  ncclResult_t join(int rank, int ranks, bool remote);  // does not wait
  ncclResult_t wait_joined(const std::function<bool()>& cancelled);
  void leave(int rank);                         // orderly
  void lose(int rank, const std::string& why);  // died or aborted: everyone's error
  // Ends the rank's part in whatever is under way; nobody touches its buffers any more.
  void stop(int rank);
  void wait_remote_left();
  bool has_remote();

  // -- operations; `lane` is the part's place in the meeting
  std::shared_ptr<Meeting> meeting(const Task& task, int rank, size_t& lane);
  void enter(const std::shared_ptr<Meeting>& m, size_t lane, int rank, Part part);
  bool peer_wanted(Meeting& m, size_t lane);
  std::vector<PluginOp*> want(Meeting& m, size_t lane);  // peers to make wanted
  void arrive(Meeting& m, size_t lane);
  bool ready(Meeting& m);            // full, finished or failed
  ncclResult_t execute(Meeting& m);  // once, by whoever comes first
  void fail(Meeting& m, ncclResult_t why, const std::string& line);
  ncclResult_t async_error();

  // -- split: returns the child's id (empty without a colour) and this rank's place in it
  struct Place {
    std::string id;
    int rank = 0, ranks = 0;
    bool complete = false;
  };
  void submit_split(int rank, int color, int key, std::function<void(Place)> done);

 private:
  void check_match(Meeting& m, size_t lane);
  void compute(Meeting& m);
  void finish(Meeting& m);
  std::string name_of(const Meeting& m, size_t lane) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  enum class Member { absent, local, remote, left };
  long members(Member state) const;
  std::vector<Member> joined_;
  std::vector<std::weak_ptr<Meeting>> open_;  // every meeting that somebody still holds
  std::map<uint64_t, std::shared_ptr<Meeting>> collectives_;
  std::map<std::tuple<int, int, uint64_t>, std::shared_ptr<Meeting>> transfers_;
  ncclResult_t error_ = ncclSuccess;
  bool lost_ = false;  // a rank is gone: what needs all of them cannot be
  struct Split {
    int color = 0, key = 0;
    std::function<void(Place)> done;
  };
  std::map<int, std::vector<std::optional<Split>>> splits_;  // by round
  std::vector<int> split_round_;
};

// Hubs of this process, and their ids.
std::shared_ptr<Hub> new_hub();
std::shared_ptr<Hub> find_hub(const std::string& id);  // null: another process's
// A hub whose id every rank can work out for itself from a name they agree on.
std::string named_hub_id(const std::string& name);
void make_named_hub(const std::string& name);

}  // namespace cudasim::nccl
