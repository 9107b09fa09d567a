// SPDX-License-Identifier: Apache-2.0
#include "kernels/deduplicate.cuh"

#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <cub/device/device_select.cuh>

#include "cuda/error.hpp"
#include "cuda/pair_sort.hpp"
#include "cuda/stages.hpp"
#include "cuda/workspace.hpp"

namespace warpbag::cuda {

namespace {

template <typename Key>
cudaError_t select_run_begins(void* scratch, std::size_t& bytes, const Key* sorted_keys,
                              std::uint32_t* run_begins, std::int32_t* num_selected,
                              std::uint32_t count, cudaStream_t stream) {
  return cub::DeviceSelect::If(scratch, bytes, thrust::counting_iterator<std::uint32_t>(0),
                               run_begins, num_selected, count,
                               kernels::is_run_begin<Key>{sorted_keys}, stream);
}

template <typename Key>
std::size_t scratch_bytes(const operations::problem_limits& limits) {
  const auto count = static_cast<std::uint32_t>(limits.positions);
  std::size_t select_bytes = 0;
  WARPBAG_CUDA_TRY(
      select_run_begins<Key>(nullptr, select_bytes, nullptr, nullptr, nullptr, count, nullptr));
  return std::max(sort_pairs_scratch_bytes<Key>(count, key_bits(limits.rows)), select_bytes);
}

template <typename Key>
kernels::device_occurrences run(const launch_context& context, const operations::problem& problem,
                                const deduplicate_buffers& buffers) {
  const auto count = static_cast<std::uint32_t>(problem.total_positions);
  const unsigned blocks = grid_blocks(context, problem.total_positions, block_threads);
  pair_buffers<Key> sorted = {
      {static_cast<Key*>(buffers.keys[0]), static_cast<Key*>(buffers.keys[1])},
      {buffers.positions[0], buffers.positions[1]}};
  if (count > 0) {
    const auto make_keys = problem.ids_type == index_type::i32
                               ? kernels::make_keys_kernel<std::int32_t, Key>
                               : kernels::make_keys_kernel<std::int64_t, Key>;
    const unsigned key_blocks =
        grid_blocks(context, problem.total_positions,
                    block_threads * kernels::deduplicate_policy::keys_per_thread);
    make_keys<<<key_blocks, block_threads, 0, context.stream>>>(
        context.problem, sorted.keys.Current(), sorted.values.Current());
    check_launch("make_keys");
    // Keys are in [0, total_rows]: the bits above these are zero.
    sort_pairs(buffers.scratch, buffers.scratch_bytes, sorted, count, key_bits(problem.total_rows),
               context.stream);
    std::size_t bytes = buffers.scratch_bytes;
    WARPBAG_CUDA_TRY(select_run_begins<Key>(buffers.scratch, bytes, sorted.keys.Current(),
                                            buffers.run_begins, buffers.num_selected, count,
                                            context.stream));
  }
  kernels::finish_runs_kernel<Key><<<blocks, block_threads, 0, context.stream>>>(
      context.problem, sorted.keys.Current(), buffers.num_selected, buffers.rows,
      buffers.run_begins, buffers.num_runs);
  check_launch("finish_runs");
  return {buffers.rows, buffers.run_begins, sorted.values.Current(), buffers.num_runs};
}

}  // namespace

std::size_t deduplicate_scratch_bytes(const operations::problem_limits& limits) {
  return has_narrow_keys(limits.rows)
             ? scratch_bytes<std::uint32_t>(limits)
             : std::max(scratch_bytes<std::uint32_t>(limits), scratch_bytes<std::uint64_t>(limits));
}

kernels::device_occurrences deduplicate(const launch_context& context,
                                        const operations::problem& problem,
                                        const deduplicate_buffers& buffers) {
  return has_narrow_keys(problem.total_rows) ? run<std::uint32_t>(context, problem, buffers)
                                             : run<std::uint64_t>(context, problem, buffers);
}

}  // namespace warpbag::cuda
