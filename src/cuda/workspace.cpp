// SPDX-License-Identifier: Apache-2.0
#include "cuda/workspace.hpp"

#include <algorithm>

#include "cuda/stages.hpp"
#include "operations/backend.hpp"

namespace warpbag::cuda {

namespace {

/// Hands out consecutive parts.
class part_counter {
 public:
  std::size_t next(std::int64_t count, std::size_t element_bytes) {
    const std::size_t begin = bytes_;
    bytes_ += (static_cast<std::size_t>(count) * element_bytes + 255) / 256 * 256;
    return begin;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace

std::size_t record_words(std::int64_t num_tables, std::int64_t num_features) {
  static_assert(sizeof(operations::table_record) % sizeof(std::uint64_t) == 0 &&
                sizeof(operations::feature_record) % sizeof(std::uint64_t) == 0);
  const auto tables = static_cast<std::size_t>(num_tables);
  const auto features = static_cast<std::size_t>(num_features);
  return (features * (sizeof(kernels::pool_record) + sizeof(operations::feature_record)) +
          tables * sizeof(operations::table_record)) /
         sizeof(std::uint64_t);
}

std::size_t routing_record_words(std::int64_t num_tables, std::int64_t num_features) {
  const auto tables = static_cast<std::size_t>(num_tables);
  const auto features = static_cast<std::size_t>(num_features);
  const std::size_t route = tables * sizeof(operations::route_record) +
                            (tables + 1) * sizeof(std::int64_t) + features * sizeof(void*);
  return std::max({route, features * sizeof(operations::subtree_record),
                   tables * sizeof(operations::packed_record)}) /
         sizeof(std::uint64_t);
}

workspace_layout make_workspace_layout(const operations::problem_limits& limits) {
  const std::int64_t runs = std::min(limits.positions, limits.rows);
  const std::size_t key_bytes = has_narrow_keys(limits.rows) ? 4 : 8;
  part_counter parts;
  workspace_layout layout = {};
  layout.records =
      parts.next(static_cast<std::int64_t>(record_words(limits.tables, limits.features)), 8);
  layout.bag_of_position = parts.next(limits.positions, 4);
  layout.scale_of_bag = parts.next(limits.bags, 4);
  layout.hot_filters = parts.next(limits.features, sizeof(kernels::hot_filter));
  layout.hot_lookups = parts.next(limits.positions / 32 + 2, 4);
  for (int i = 0; i < 2; ++i) {
    layout.keys[i] = parts.next(limits.positions, key_bytes);
    layout.positions[i] = parts.next(limits.positions, 4);
  }
  layout.sort_scratch =
      parts.next(1, std::max(deduplicate_scratch_bytes(limits),
                             limits.routed ? route_scratch_bytes(limits) : std::size_t{0}));
  layout.rows = parts.next(runs, 8);
  layout.run_begins = parts.next(runs + 1, 4);
  layout.long_runs =
      parts.next(limits.positions / (std::int64_t{kernels::run_policy::longest_run} + 1), 4);
  layout.counts = parts.next(2, 4);
  if (limits.routed) {
    layout.routing_records = parts.next(
        static_cast<std::int64_t>(routing_record_words(limits.tables, limits.features)), 8);
    layout.first_run = parts.next(limits.tables + 1, 8);
    layout.routed_row = parts.next(runs, 8);
    layout.routed_runs = parts.next(runs, 4);
  }
  layout.gradient = parts.next(1, reduce_gradients_workspace_bytes(limits));
  layout.bytes = parts.bytes();
  return layout;
}

bool within(const operations::problem& problem, const operations::problem_limits& limits) {
  return std::ssize(problem.tables) <= limits.tables &&
         std::ssize(problem.features) <= limits.features &&
         problem.total_positions <= limits.positions && problem.total_bags <= limits.bags &&
         problem.total_rows <= limits.rows;
}

}  // namespace warpbag::cuda

namespace warpbag::operations {

std::size_t cuda_workspace_bytes(const problem_limits& limits) {
  return cuda::make_workspace_layout(limits).bytes;
}

}  // namespace warpbag::operations
