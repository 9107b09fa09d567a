// SPDX-License-Identifier: Apache-2.0
// Ranks of other processes: a Unix socket to the hub's process.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hub.h"

namespace cudasim::nccl {

// Abstract socket name of this process's listener, which it starts.
std::string server_name();
// Lets other processes join this one's hubs whose ids begin with `name`.
void listen_for_ranks(const std::string& name);

// One rank's connection to a hub elsewhere.
class Link {
 public:
  static std::shared_ptr<Link> open(const std::string& hub_id);  // null: nobody listens
  ~Link();
  ncclResult_t join(int ranks, int rank,
                    const std::function<bool()>& cancelled);  // waits for the others
  uint64_t send(const std::vector<Task>& tasks, const std::vector<uint8_t>& payload);
  // False while the answer is outstanding; the received bytes come back in task order.
  bool answer(uint64_t message, ncclResult_t& result, std::vector<uint8_t>& data);
  ncclResult_t split(int color, int key, Hub::Place& place, const std::function<bool()>& cancelled);
  void leave(bool orderly);
  ncclResult_t error() const { return error_; }

 private:
  struct Reply {
    ncclResult_t result = ncclSuccess;
    std::vector<uint8_t> data;
  };
  void read_replies();
  bool wait_reply(uint64_t message, Reply& out, const std::function<bool()>& cancelled);
  bool closed();
  uint64_t post(uint32_t type, const std::vector<uint8_t>& body);

  int fd_ = -1;
  uint64_t hub_ = 0;
  std::mutex mutex_, write_;
  std::condition_variable changed_;
  std::map<uint64_t, Reply> replies_;
  uint64_t next_ = 1;
  bool closed_ = false, left_ = false;
  std::atomic<ncclResult_t> error_{ncclSuccess};
};

}  // namespace cudasim::nccl
