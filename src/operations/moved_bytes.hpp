// SPDX-License-Identifier: Apache-2.0
#pragma once
// How many bytes an operation has to move: what measured times are compared with. Counted from the
// shapes of a problem and the distinct rows of its batch; N lookups, U distinct rows.

#include <cstdint>
#include <span>

#include "operations/problem.hpp"

namespace warpbag::operations {

/// floor: between memory and the device when a byte is moved once however often the call uses it:
/// no implementation moves less unless it was in a cache before. logical: what the lanes ask for,
/// each use counted; where rows repeat, this is what caches are asked.
struct moved_bytes {
  double floor = 0.0;
  double logical = 0.0;

  friend moved_bytes operator+(const moved_bytes& a, const moved_bytes& b) {
    return {a.floor + b.floor, a.logical + b.logical};
  }
  friend bool operator==(const moved_bytes&, const moved_bytes&) = default;
};

/// distinct_rows[t]: rows of table t that the batch reads. Every id is taken to be in a bag.

/// ids, offsets and weights once; rows: U x row bytes (logical: N); one output row a bag (mode
/// none: a lookup); in mode max the winners.
moved_bytes pool_bytes(const problem& problem, std::span<const std::int64_t> distinct_rows);

/// ids and offsets once; a radix sort of N pairs of key (4 bytes, or 8 where rows need more than 32
/// bits) and 32-bit position: all keys read for the histograms, then key and position read and
/// written in each pass of 8 bits over the bits that rows have; of each run its row and begin.
moved_bytes deduplicate_bytes(const problem& problem, std::span<const std::int64_t> distinct_rows);

/// What deduplicate made, once; a gradient row of each bag (logical: of each lookup); weights once;
/// then by the form of the table. fused: rows and optimizer states read and written. sparse: row
/// numbers and values written. dense: the whole table's gradient written.
moved_bytes reduce_gradients_bytes(const problem& problem,
                                   std::span<const std::int64_t> distinct_rows);

}  // namespace warpbag::operations
