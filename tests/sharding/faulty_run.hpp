// SPDX-License-Identifier: Apache-2.0
#pragma once
// Training runs of in-process ranks of which one meets, or makes, a fault at a drawn place.

#include <cstddef>
#include <exception>
#include <iosfwd>
#include <string>
#include <vector>

#include "sharding/sharded_case.hpp"

namespace warpbag::support {

enum class fault_kind : std::uint8_t {
  none,
  killed,
  silently_killed,
  corrupted,
  other_call,    // backward where the others call forward, or the other way round, or another form
  other_rate,    // a learning rate of its own
  other_plan,    // at construction
  bad_batch,     // an id or an offset
  bad_argument,  // an output or a gradient of a wrong shape, or gradients of too many shards
};
inline constexpr std::size_t num_fault_kinds = 9;

struct planned_fault {
  fault_kind kind = fault_kind::none;
  int rank = 0;
  /// Where: a call of the rank's transports, or a call of the collection.
  std::int64_t transport_call = 0;
  std::int64_t step = 0;
  bool in_backward = false;
  bool in_offsets = false;
  bool prefetch = false;  // of the whole run
  bool delays = false;    // also
  std::uint64_t seed = 0;
};

planned_fault draw_fault(std::uint64_t seed, fault_kind kind, const sharded_case& drawn);
std::ostream& operator<<(std::ostream& stream, const planned_fault& fault);

using rank_contents = std::vector<std::byte>;

/// What one rank saw of a run. A call: a forward that returned, or the step after it.
struct rank_outcome {
  std::exception_ptr thrown;            // what ended the run; nullptr: it came to its end
  std::exception_ptr rejected;          // by a call after which the ranks went on
  std::vector<rank_contents> contents;  // tables, states and steps after so many calls
  rank_contents at_end;                 // after what ended the run
  bool went_on = false;                 // a forward after that did not throw
  std::vector<std::vector<float>> outputs;

  bool was_made() const { return !contents.empty(); }
  std::size_t calls() const { return contents.size() - 1; }
};

/// Two steps or more on in-process ranks. Ranks that throw leave at once.
std::vector<rank_outcome> run_with(const sharded_case& drawn, const planned_fault& fault);

/// Empty when the outcomes are what the fault must lead to; `expected`: of a run without faults.
std::string judge(const sharded_case& drawn, const planned_fault& fault,
                  const std::vector<rank_outcome>& expected,
                  const std::vector<rank_outcome>& actual);

}  // namespace warpbag::support
