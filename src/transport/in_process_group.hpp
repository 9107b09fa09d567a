// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the ranks of one in-process transport share. A call is a meeting: every rank enters it with
// what it sends and the sizes it expects, sizes are compared pair by pair as ranks enter, and it is
// complete when all have entered. So a call either completes for every rank or, when something does
// not fit or somebody does not come, for none; only one call is ever open, because nobody can enter
// the next one before all have entered this one.

#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transport/call_kind.hpp"
#include "transport/failure.hpp"
#include "transport/pieces.hpp"

namespace warpbag::ranks {

class group;

/// What one rank brings to a call.
struct contribution {
  call_kind kind = call_kind::barrier;
  std::vector<piece_size> sends;      // by peer
  std::vector<piece_size> receives;   // by peer
  std::unique_ptr<std::byte[]> data;  // the pieces of `sends` end to end
  int color = 0;                      // split
};

struct meeting {
  std::int64_t number = 0;
  std::vector<std::optional<contribution>> from;  // [ranks]; of the ranks that have entered
  int entered = 0;
  bool complete = false;
  std::chrono::steady_clock::time_point completed_at;
  std::map<int, std::shared_ptr<group>> groups;  // split: by color
};

class group {
 public:
  /// `members`: ranks in the world, ascending.
  explicit group(std::vector<int> members)
      : members_(std::move(members)), departed_(members_.size()) {}

  const std::vector<int>& members() const { return members_; }
  int size() const { return static_cast<int>(members_.size()); }

  /// Enters the open call, or opens one, and waits until it is complete; then everything in it may
  /// be read without a lock. Throws the group's failure.
  std::shared_ptr<const meeting> meet(int rank, contribution&& mine,
                                      std::chrono::milliseconds deadline);
  /// Waits until `time` for a late message of `from`, but not beyond `last`. Throws the group's
  /// failure.
  void wait_for_message(int from, std::chrono::steady_clock::time_point time,
                        std::chrono::steady_clock::time_point last,
                        std::chrono::milliseconds deadline);

  /// The first failure stays.
  void close(const failure& why);
  /// `rank` makes no more calls.
  void depart(int rank);

 private:
  void close_locked(failure why);
  void enter_locked(int rank, contribution&& mine);
  void check_against_locked(int rank, int other);
  int absent_locked() const;
  void throw_if_closed_locked() const {
    if (failure_) raise(*failure_);
  }

  const std::vector<int> members_;
  std::mutex mutex_;
  std::condition_variable changed_;  // a call is complete, or the group closed
  std::shared_ptr<meeting> open_;
  std::int64_t calls_ = 0;
  std::vector<bool> departed_;
  std::optional<failure> failure_;
};

}  // namespace warpbag::ranks
