// SPDX-License-Identifier: Apache-2.0
#pragma once
// The faults of in-process ranks, drawn from a seed: the same draws whatever the timing.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "warpbag/transport.hpp"

namespace warpbag::ranks {

class fault_plan {
 public:
  fault_plan(int size, const fault_options& options);

  struct call {
    std::int64_t number = 0;  // of this rank, from 0
    bool kill = false;
    bool corrupt = false;
  };
  /// Counts a call of `rank`. A killed rank is killed at every later call too.
  call next_call(int rank);

  bool silent() const { return options_.silent_kill; }
  /// Whether `rank` has met its death.
  bool killed(int rank) const;
  /// How late the message that `to` gets from `from` at its call `number` is.
  std::chrono::microseconds delay(int from, int to, std::int64_t number) const;
  /// The order in which `to` takes the messages of `size` ranks at its call `number`.
  std::vector<int> order(int to, std::int64_t number, int size) const;

 private:
  fault_options options_;
  std::unique_ptr<std::atomic<std::int64_t>[]> calls_;
};

}  // namespace warpbag::ranks
