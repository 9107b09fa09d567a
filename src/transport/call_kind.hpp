// SPDX-License-Identifier: Apache-2.0
#pragma once
// The calls that a transport of host memory is built from; every other collective is made of them.

#include <cstdint>
#include <optional>
#include <string>

#include "transport/failure.hpp"

namespace warpbag::ranks {

enum class call_kind : std::uint8_t { all_to_all_v, barrier, split };

/// As errors name it: "barrier (call 3)".
std::string name_of(call_kind kind, std::int64_t number);

/// What is wrong when two ranks meet in call `number` with these kinds; the failure names the
/// higher rank, so that both say the same.
std::optional<failure> find_mismatch(int a, call_kind kind_of_a, int b, call_kind kind_of_b,
                                     std::int64_t number);

}  // namespace warpbag::ranks
