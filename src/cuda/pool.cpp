// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cuda/pool_launch.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

/// The warps of a part where every group makes `rows_per_group` output rows (bags; mode none has
/// its own number).
std::int64_t share_warps(const operations::problem& problem, std::size_t part,
                         std::int64_t rows_per_group, std::span<kernels::pool_share> shares) {
  std::int64_t warps = 0;
  std::size_t f = 0;
  for (const operations::feature_record& feature : problem.features) {
    kernels::pool_share& share = shares[f++];
    share = {};
    share.first_warp = static_cast<std::uint32_t>(warps);
    if (static_cast<std::size_t>(kernels::part_of(feature.mode)) != part) continue;
    const bool copied = feature.mode == pooling_mode::none;
    share.shape = kernels::pool_shape_of(problem.tables[static_cast<std::size_t>(feature.table)],
                                         feature, problem.policy, problem.output_type,
                                         copied ? kernels::copied_rows : rows_per_group);
    const std::int64_t rows = copied ? feature.num_ids : feature.num_bags;
    share.strip_warps = static_cast<std::uint32_t>((rows + share.shape.rows_per_warp - 1) /
                                                   share.shape.rows_per_warp);
    warps += std::int64_t{share.strip_warps} * share.shape.strips;
  }
  shares[f] = {};
  shares[f].first_warp = static_cast<std::uint32_t>(warps);
  return warps;
}

template <typename Index>
void launch_parts(const launch_context& context, const operations::problem& problem) {
  launch_pool<kernels::pool_part::sums, Index>(context, problem);
  launch_pool<kernels::pool_part::others, Index>(context, problem);
}

}  // namespace

std::int64_t share_pool_warps(const operations::problem& problem, std::size_t part,
                              int num_multiprocessors, std::span<kernels::pool_share> shares) {
  using policy = kernels::pool_policy;
  const std::int64_t most = share_warps(problem, part, 1, shares);
  const std::int64_t enough = num_multiprocessors * policy::enough_warps;
  const std::int64_t bags =
      std::clamp((most + enough / 2) / enough, std::int64_t{1}, policy::most_bags);
  return bags > 1 ? share_warps(problem, part, bags, shares) : most;
}

void pool(const launch_context& context, const operations::problem& problem) {
  if (problem.ids_type == index_type::i32) {
    launch_parts<std::int32_t>(context, problem);
  } else {
    launch_parts<std::int64_t>(context, problem);
  }
}

}  // namespace warpbag::cuda
