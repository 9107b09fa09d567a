// SPDX-License-Identifier: Apache-2.0
#pragma once
// Criteo's counts as ids.

#include <cstdint>

namespace warpbag::data {

/// How many buckets there are: ids 0 ... num_log_square_buckets - 1.
inline constexpr std::int64_t num_log_square_buckets = 465;

/// The bucket of an integer, after the winners of the Criteo challenge of 2014 (Juan, Zhuang, Chin,
/// Lin: Field-aware Factorization Machines for CTR Prediction, RecSys 2016), who replaced a count
/// x > 2 by floor(ln(x)^2):
///   x < 0: 0;  x = 0, 1, 2: 1, 2, 3;  x > 2: 3 + floor(ln(x)^2), and as for 2^31 - 1 beyond it.
/// By comparison with a table of integers: no rounding, the same on every machine.
std::uint32_t log_square_bucket(std::int64_t value);

}  // namespace warpbag::data
