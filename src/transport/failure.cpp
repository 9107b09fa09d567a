// SPDX-License-Identifier: Apache-2.0
#include "transport/failure.hpp"

namespace warpbag::ranks {

failure failure_of(const transport_error& fault) {
  const bool mismatch = dynamic_cast<const rank_mismatch*>(&fault) != nullptr;
  return {mismatch ? failure_kind::mismatch : failure_kind::lost, fault.rank(), fault.what()};
}

void raise(const failure& why) {
  if (why.kind == failure_kind::mismatch) throw rank_mismatch(why.words, why.rank);
  throw rank_lost(why.words, why.rank);
}

failure did_not_come(int rank, const std::string& call, std::chrono::milliseconds deadline) {
  return {failure_kind::lost, rank,
          "transport: rank " + std::to_string(rank) + " did not come to " + call + " within " +
              std::to_string(deadline.count()) + " ms"};
}

failure has_closed(int rank, const std::string& call) {
  return {failure_kind::lost, rank,
          "transport: rank " + std::to_string(rank) + " has closed its transport before " + call};
}

std::chrono::milliseconds checked_deadline(std::chrono::milliseconds deadline) {
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  if (deadline <= std::chrono::milliseconds(0) || deadline > longest) {
    throw invalid_argument("transport: a deadline of " + std::to_string(deadline.count()) +
                           " ms; it must be more than 0 and at most a year");
  }
  return deadline;
}

}  // namespace warpbag::ranks
