// SPDX-License-Identifier: Apache-2.0
#pragma once
// What all in-process ranks of a world share, over all the groups that they make by split().

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "transport/fault_plan.hpp"
#include "transport/in_process_group.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::ranks {

class in_process_ranks {
 public:
  in_process_ranks(int size, const fault_options& options);

  int size() const { return size_; }
  fault_plan& faults() { return faults_; }
  const std::shared_ptr<group>& all() const { return all_; }

  /// From now on the death of a member closes `made`.
  void add(const std::shared_ptr<group>& made);
  /// Closes every group that `rank` is in.
  void announce_death(int rank);

  void count(int from, int to, std::int64_t bytes);
  link_traffic traffic(int from, int to) const;
  void reset_traffic();

 private:
  struct link {
    std::atomic<std::int64_t> messages = 0;
    std::atomic<std::int64_t> bytes = 0;
  };
  std::size_t index_of(int from, int to) const;

  const int size_;
  fault_plan faults_;
  std::vector<link> links_;  // [from][to]
  std::shared_ptr<group> all_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<group>> groups_;
};

/// How a rank that was killed is spoken of, by itself and by the others.
failure was_killed(int rank);

std::unique_ptr<transport> make_in_process_transport(std::shared_ptr<in_process_ranks> world,
                                                     std::shared_ptr<group> members, int rank,
                                                     std::chrono::milliseconds deadline);

}  // namespace warpbag::ranks
