// SPDX-License-Identifier: Apache-2.0
#pragma once
// The operations between ranks as a rank calls them, with everything by value in host memory.

#include <cstdint>
#include <vector>

#include "operations/backend.hpp"
#include "support/problem_data.hpp"
#include "support/random_source.hpp"
#include "support/test_device.hpp"

namespace warpbag::support {

/// Where the rows of a table live; route_record::replicated by value.
struct table_route {
  operations::route_record record;  // without the pointer
  std::vector<std::int64_t> replicated;
};

struct routed_batch {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> counts;
  std::vector<std::vector<std::int64_t>> compact_ids;  // of each feature
  std::vector<std::int64_t> num_routed;                // of each table
};

/// check_inputs, deduplicate and route.
routed_batch route_batch(operations::backend& backend, test_device& device, problem_data& data,
                         const std::vector<table_route>& routes);

/// The problem of compact ids. Its tables have no rows in memory: it is not pooled.
problem_data compact_problem(const problem_data& data, const routed_batch& routed);

/// The subtrees of the gradient tree that one rank sums.
struct subtrees {
  std::vector<std::int32_t> first_slice;  // of each, ascending
  std::vector<std::int8_t> of_slice;      // [num_slices], -1: none
};

/// The largest aligned subtrees (1, 4, 16 or 64 slices) that slices [first, last) are made of.
subtrees subtrees_of(std::int32_t first, std::int32_t last);

operations::subtree_record subtree_record_of(const subtrees& cut, std::int64_t num_routed);

/// check_inputs of the compact problem and split_by_subtree; the ids of each feature. Reserves for
/// pack_batch too.
std::vector<std::vector<std::int64_t>> split_batch(operations::backend& backend,
                                                   test_device& device, problem_data& compact,
                                                   const std::vector<subtrees>& cuts);

/// The problem of (compact id, subtree) pairs: a table for each feature, of gradient form sparse.
problem_data pair_problem(const problem_data& compact, const std::vector<subtrees>& cuts,
                          const std::vector<std::vector<std::int64_t>>& split_ids);

/// What one feature of one rank has for the owners of its rows.
struct feature_partials {
  std::vector<std::int64_t> packed;
  std::vector<std::uint32_t> occurrences;
  std::vector<std::int64_t> sums;  // for each destination
  std::vector<float> values;       // [packed, dim]
};

/// deduplicate, reduce_gradients and pack_partials of the pair problem, after split_batch.
std::vector<feature_partials> pack_batch(operations::backend& backend, test_device& device,
                                         problem_data& pairs, const problem_data& data,
                                         const std::vector<table_route>& routes,
                                         const routed_batch& routed,
                                         const std::vector<subtrees>& cuts);

}  // namespace warpbag::support
