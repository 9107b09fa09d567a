// SPDX-License-Identifier: Apache-2.0
#include "kernels/route.cuh"

#include "cuda/error.hpp"
#include "cuda/pair_sort.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

std::size_t route_scratch_bytes(const operations::problem_limits& limits) {
  const std::int64_t runs = std::min(limits.positions, limits.rows);
  return sort_scratch_bytes<std::uint32_t>(static_cast<std::uint32_t>(runs), 32, 0);
}

void route(const launch_context& context, const operations::problem& problem,
           const kernels::routing_work& work, std::int64_t num_destinations,
           const route_buffers& buffers) {
  const std::int64_t runs = max_runs(problem);
  const unsigned blocks = grid_blocks(context, runs, block_threads);
  pair_buffers<std::uint32_t> pairs = {{buffers.keys[0], buffers.keys[1]},
                                       {buffers.runs[0], buffers.runs[1]}};
  if (runs > 0) {
    const auto count = static_cast<std::uint32_t>(runs);
    std::uint32_t* const keys = pairs.keys[pairs.current];
    kernels::make_route_keys<<<blocks, block_threads, 0, context.stream>>>(work, runs, keys);
    check_launch("make_route_keys");
    sort_pairs(
        context, kernels::key_array<std::uint32_t>{keys}, count,
        divide_sort_scratch<std::uint32_t>(buffers.scratch, count, key_bits(num_destinations), 0),
        pairs);
  }
  const std::uint32_t* const sorted_keys = pairs.keys[pairs.current];
  std::uint32_t* const compact_id_of_run = pairs.values[1 - pairs.current];
  kernels::count_routed<<<grid_blocks(context, num_destinations, block_threads), block_threads, 0,
                          context.stream>>>(work, sorted_keys);
  check_launch("count_routed");
  if (runs > 0) {
    kernels::number_routed<<<blocks, block_threads, 0, context.stream>>>(
        work, sorted_keys, pairs.values[pairs.current], compact_id_of_run);
    check_launch("number_routed");
  }
  if (problem.total_positions == 0) return;
  const auto write = problem.ids_type == index_type::i32 ? kernels::write_compact_ids<std::int32_t>
                                                         : kernels::write_compact_ids<std::int64_t>;
  write<<<grid_blocks(context, problem.total_positions, block_threads), block_threads, 0,
          context.stream>>>(work, compact_id_of_run);
  check_launch("write_compact_ids");
}

}  // namespace warpbag::cuda
