// SPDX-License-Identifier: Apache-2.0
#pragma once
// Records of the operations between ranks (design.md section 4). Pointers are into memory of the
// device; spans are on the host.
//
// Lexicon. Destination: where a row of a table lives, as one rank sees it: owner 0, 1, ...,
// num_owners - 1 of the table, or `num_owners`: here, because every rank has a replica of the row.
// Routed rows: the distinct rows of a table that this rank's batch reads, by destination, and by id
// within it. Compact id: index among the routed rows of its table.

#include <cstdint>

#include "numerics/gradient_tree.hpp"
#include "numerics/row_routing.hpp"

namespace warpbag::operations {

/// Where the rows of one table live.
struct route_record {
  numerics::row_routing routing;
  std::int32_t num_owners = 1;  // 0: every row is replicated, row r of the replica is id r
  const std::int64_t* replicated =
      nullptr;  // [num_replicated] ids, ascending; row k of the replica
                // is id replicated[k]; the owner has no use for them
  std::int64_t num_replicated = 0;

  constexpr std::int32_t num_destinations() const { return num_owners + 1; }
};

/// Where row `id` of a table lives; the place's owner is its destination.
WARPBAG_HOST_DEVICE numerics::row_place destination_of(const route_record& table, std::int64_t id) {
  if (table.num_owners == 0) return {0, id};
  std::int64_t first = 0;  // first replicated id that is not below `id`
  for (std::int64_t last = table.num_replicated; first < last;) {
    const std::int64_t middle = first + (last - first) / 2;
    if (table.replicated[middle] < id) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first < table.num_replicated && table.replicated[first] == id) {
    return {table.num_owners, first};
  }
  return numerics::place_of(table.routing, table.num_owners, id);
}

/// What route makes. Table t's part of `rows` begins at the number of distinct rows of the tables
/// before it.
struct routed_rows {
  std::int64_t* rows = nullptr;    // [distinct rows of all tables] row at the destination
  std::int64_t* counts = nullptr;  // [sum of num_destinations] rows of each destination, tables in
                                   // order
  void* const* compact_ids = nullptr;  // host array [features] of device pointers [num_ids] of
                                       // problem::ids_type. Padding becomes the number of the
                                       // table's routed rows, a bad id -1; lookups beyond the last
                                       // offset may be anything
};

/// split_by_subtree of one feature. The problem is the one of compact ids: its table has
/// num_routed + 1 rows, of which the last is padding.
struct subtree_record {
  std::int8_t subtree_of_slice[numerics::num_slices] = {};  // -1: not summed in this problem
  std::int32_t num_subtrees = 0;                            // >= 1
  std::int64_t num_routed = 0;
  /// [num_ids] of problem::ids_type: compact id * num_subtrees + subtree of the lookup's slice.
  /// Padding and what is not summed become num_routed * num_subtrees, a bad id stays -1. nullptr:
  /// the feature is left out.
  void* ids = nullptr;
};

/// What a lookup of `compact_id` by a sample of `slice` becomes.
WARPBAG_HOST_DEVICE std::int64_t split_id(const subtree_record& feature, std::int64_t compact_id,
                                          std::int32_t slice) {
  if (compact_id < 0 || compact_id > feature.num_routed) return -1;
  const std::int32_t subtree = feature.subtree_of_slice[slice];
  if (subtree < 0 || compact_id == feature.num_routed) {
    return feature.num_routed * feature.num_subtrees;
  }
  return compact_id * feature.num_subtrees + subtree;
}

/// pack_partials of one feature, which has a table of its own: the table's gradient has the sums of
/// (compact id, subtree) pairs.
struct packed_record {
  std::int32_t first_slice[numerics::num_slices] = {};  // of each subtree
  std::int32_t num_subtrees = 0;
  std::int32_t num_destinations = 0;
  const std::int64_t* rows = nullptr;    // [num_routed] of routed_rows, the table's part
  const std::int64_t* counts = nullptr;  // [num_destinations] of routed_rows, the table's part
  std::int64_t* packed = nullptr;        // [sums] row at the destination * 64 + first slice
  std::uint32_t* occurrences = nullptr;  // [sums] of each sum; nullptr: not wanted
  std::int64_t* sums = nullptr;          // [num_destinations] sums for each destination
};

/// An element of packed_record::packed, from the (compact id, subtree) pair that was summed.
WARPBAG_HOST_DEVICE std::int64_t packed_partial(const packed_record& feature, std::int64_t pair) {
  return feature.rows[pair / feature.num_subtrees] * numerics::num_slices +
         feature.first_slice[pair % feature.num_subtrees];
}

}  // namespace warpbag::operations
