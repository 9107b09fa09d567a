// SPDX-License-Identifier: Apache-2.0
#pragma once
// Why a transport is closed, as a value: kept, sent to other ranks, and thrown again by every call.

#include <chrono>
#include <cstdint>
#include <string>

#include "warpbag/error.hpp"

namespace warpbag::ranks {

enum class failure_kind : std::uint8_t { lost, mismatch };

struct failure {
  failure_kind kind = failure_kind::lost;
  int rank = -1;  // at fault; -1: not known
  std::string words;
};

/// Every transport_error that is not a rank_mismatch counts as a lost rank.
failure failure_of(const transport_error& fault);
[[noreturn]] void raise(const failure& why);

failure did_not_come(int rank, const std::string& call, std::chrono::milliseconds deadline);
failure has_closed(int rank, const std::string& call);

/// The deadline, if it is more than zero and at most a year (so that adding it to a time point
/// cannot overflow). Throws invalid_argument.
std::chrono::milliseconds checked_deadline(std::chrono::milliseconds deadline);

}  // namespace warpbag::ranks
