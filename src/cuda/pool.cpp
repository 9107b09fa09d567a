// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cuda/pool_launch.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

/// Warps for the pieces of long bags, where there may be such bags.
std::uint32_t piece_warps(const operations::feature_record& feature,
                          const kernels::pool_shape& shape) {
  using policy = kernels::pool_policy;
  const bool cut = feature.mode != pooling_mode::none;
  const std::int64_t longest = feature.offsets == nullptr ? feature.hotness : feature.num_ids;
  if (!cut || longest <= policy::longest_bag) return 0;
  const std::int64_t tiles = (feature.num_ids + policy::piece - 1) / policy::piece;
  const std::int64_t groups = std::int64_t{32} >> shape.log_group;
  return static_cast<std::uint32_t>((tiles + groups - 1) / groups);
}

/// Gives every group `rows_per_group` output rows (bags; mode none has its own number). Returns the
/// warps of all.
std::int64_t deal_warps(const operations::problem& problem, std::size_t part,
                        std::int64_t rows_per_group, std::vector<kernels::pool_record>& records) {
  std::int64_t warps = 0;
  records.clear();
  for (const operations::feature_record& feature : problem.features) {
    if (static_cast<std::size_t>(kernels::part_of(feature.mode)) != part) continue;
    const operations::table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
    const bool copied = feature.mode == pooling_mode::none;
    const kernels::pool_shape shape =
        kernels::pool_shape_of(table, feature, problem.policy, problem.output_type,
                               copied ? kernels::copied_rows : rows_per_group);
    const std::int64_t rows = copied ? feature.num_ids : feature.num_bags;
    kernels::pool_record record = kernels::pool_record_of(table, feature);
    record.shape = shape;
    record.first_warp = static_cast<std::uint32_t>(warps);
    record.row_warps =
        static_cast<std::uint32_t>((rows + shape.rows_per_warp - 1) / shape.rows_per_warp);
    record.strip_warps = record.row_warps + piece_warps(feature, shape);
    warps += std::int64_t{record.strip_warps} * shape.strips;
    records.push_back(record);
  }
  return warps;
}

template <typename Index>
void launch_parts(const launch_context& context, const operations::problem& problem) {
  launch_pool<kernels::pool_part::sums, Index>(context, problem);
  launch_pool<kernels::pool_part::others, Index>(context, problem);
}

}  // namespace

std::int64_t make_pool_records(const operations::problem& problem, std::size_t part,
                               int num_multiprocessors,
                               std::vector<kernels::pool_record>& records) {
  using policy = kernels::pool_policy;
  const std::int64_t most = deal_warps(problem, part, 1, records);
  const std::int64_t enough = num_multiprocessors * policy::enough_warps;
  const std::int64_t bags =
      std::clamp((most + enough / 2) / enough, std::int64_t{1}, policy::most_bags);
  return bags > 1 ? deal_warps(problem, part, bags, records) : most;
}

void pool(const launch_context& context, const operations::problem& problem) {
  if (problem.ids_type == index_type::i32) {
    launch_parts<std::int32_t>(context, problem);
  } else {
    launch_parts<std::int64_t>(context, problem);
  }
}

}  // namespace warpbag::cuda
