// SPDX-License-Identifier: Apache-2.0
#pragma once
// The operations in double precision, from their definitions (docs/semantics.md) by the plainest
// loops: no order of summation, no blocks, no tree, no SIMD. Every result comes with a bound on the
// distance of a correct fp32 result (estimate.hpp), before it is rounded to the type that it is
// stored in. All memory is on the host; nothing is written.

#include <cstdint>
#include <map>
#include <vector>

#include "operations/backend.hpp"
#include "operations/problem.hpp"
#include "reference/estimate.hpp"

namespace warpbag::reference {

/// The first offender of the batch and how many bad ids were met under skip or zero. Never throws.
operations::input_status check_inputs(const operations::problem& problem);

operations::occurrences deduplicate(const operations::problem& problem);

/// What route, split_by_subtree and pack_partials write, by value.
struct routing {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> counts;
  std::vector<std::vector<std::int64_t>> compact_ids;  ///< of each feature; not covered: 0
};

routing route(const operations::problem& problem, std::span<const operations::route_record> tables);

/// [num_ids] of a feature of compact ids; not covered: 0. `to.ids` is not used.
std::vector<std::int64_t> split_by_subtree(const operations::problem& problem, std::int32_t feature,
                                           const operations::subtree_record& to);

struct packed_partials {
  std::vector<std::int64_t> packed;
  std::vector<std::uint32_t> occurrences;
  std::vector<std::int64_t> sums;
};

/// Only to.rows, counts and the numbers of `to` are read.
packed_partials pack_partials(const operations::problem& problem, std::int32_t feature,
                              const operations::packed_record& to);

/// Rows of `table` that max_norm changes, or may change within rounding, after the change.
std::map<std::int64_t, std::vector<estimate>> renormalize_rows(const operations::problem& problem,
                                                               std::int32_t table);

/// [num_bags, dim] (mode none: [num_ids, dim]).
struct pooled {
  std::vector<estimate> values;
  std::vector<double> magnitudes;           ///< sum of |w x| (mean: over the count) of each value
  std::vector<std::int64_t> counts;         ///< lookups that count, for each row of values
  std::vector<std::int32_t> max_positions;  ///< mode max: like feature_record::max_positions
};

pooled pool(const operations::problem& problem, std::int32_t feature);

/// Finished gradient (sum, frequency, clipping) of every touched row of `table`.
std::map<std::int64_t, std::vector<estimate>> reduce_gradients(const operations::problem& problem,
                                                               std::int32_t table);

/// [num_ids] gradient of the weights of `feature`.
std::vector<estimate> sample_weight_gradient(const operations::problem& problem,
                                             std::int32_t feature);

/// A row after the optimizer's step. A state that the optimizer does not have is empty, one that is
/// per row has one element.
struct stepped_row {
  std::vector<estimate> weight;
  std::vector<estimate> state[2];
};

/// `table`'s rows after a step from finished gradients. table.step as it is before the step.
std::map<std::int64_t, stepped_row> update_rows(
    const operations::table_record& table,
    const std::map<std::int64_t, std::vector<estimate>>& gradients);

}  // namespace warpbag::reference
