// SPDX-License-Identifier: Apache-2.0
#include "kernels/deduplicate.cuh"

#include <algorithm>

#include "cuda/error.hpp"
#include "cuda/pair_sort.hpp"
#include "cuda/stages.hpp"
#include "cuda/workspace.hpp"

namespace warpbag::cuda {

namespace {

std::size_t num_run_tiles(std::uint32_t count) {
  constexpr std::size_t tile = kernels::find_runs_policy::tile;
  return (count + tile - 1) / tile;
}

/// Words of scratch that find_runs has to find at zero.
std::size_t num_run_zeros(std::uint32_t count) { return 1 + num_run_tiles(count); }

template <typename Key>
std::size_t scratch_bytes(const operations::problem_limits& limits) {
  const auto count = static_cast<std::uint32_t>(limits.positions);
  return sort_scratch_bytes<Key>(count, key_bits(limits.rows), num_run_zeros(count));
}

template <typename Key>
kernels::device_occurrences run(const launch_context& context, const operations::problem& problem,
                                const deduplicate_buffers& buffers) {
  const auto count = static_cast<std::uint32_t>(problem.total_positions);
  // Keys are in [0, total_rows].
  kernels::sort_work sort = divide_sort_scratch<Key>(
      buffers.scratch, count, key_bits(problem.total_rows), num_run_zeros(count));
  sort.one_more_zero = buffers.num_long_runs;
  pair_buffers<Key> sorted = {
      {static_cast<Key*>(buffers.keys[0]), static_cast<Key*>(buffers.keys[1])},
      {buffers.positions[0], buffers.positions[1]}};
  if (count > 0) {
    if (problem.ids_type == index_type::i32) {
      const kernels::row_keys<std::int32_t, Key> keys = {context.problem};
      sort_pairs(context, keys, count, sort, sorted);
    } else {
      const kernels::row_keys<std::int64_t, Key> keys = {context.problem};
      sort_pairs(context, keys, count, sort, sorted);
    }
  }
  const auto tiles = static_cast<unsigned>(std::max<std::size_t>(num_run_tiles(count), 1));
  kernels::find_runs<Key><<<tiles, kernels::find_runs_policy::threads, 0, context.stream>>>(
      context.problem, sorted.keys[sorted.current],
      {buffers.rows, buffers.run_begins, buffers.num_runs, buffers.long_runs, buffers.num_long_runs,
       sort.zeros, sort.zeros + 1});
  check_launch("find_runs");
  return {buffers.rows,     buffers.run_begins, sorted.values[sorted.current],
          buffers.num_runs, buffers.long_runs,  buffers.num_long_runs};
}

}  // namespace

std::size_t deduplicate_scratch_bytes(const operations::problem_limits& limits) {
  return has_narrow_keys(limits.rows)
             ? scratch_bytes<std::uint32_t>(limits)
             : std::max(scratch_bytes<std::uint32_t>(limits), scratch_bytes<std::uint64_t>(limits));
}

void reset_deduplicate_scratch(const launch_context& context, void* scratch) {
  reset_sort_scratch(context.stream, scratch);
}

kernels::device_occurrences deduplicate(const launch_context& context,
                                        const operations::problem& problem,
                                        const deduplicate_buffers& buffers) {
  return has_narrow_keys(problem.total_rows) ? run<std::uint32_t>(context, problem, buffers)
                                             : run<std::uint64_t>(context, problem, buffers);
}

}  // namespace warpbag::cuda
