// SPDX-License-Identifier: Apache-2.0
#pragma once
// What has to be known before gradients are summed: which warp takes which rows, and the pieces of
// long runs. One launch for all of it, and for the optimizers' steps, of which nothing waits for
// another part.

#include "kernels/common/advance_tables.cuh"
#include "kernels/common/long_run_tree.cuh"

namespace warpbag::kernels {

/// By one block: the tiles of every table's runs, and the number of rows of sparse gradients.
__device__ __forceinline__ void plan_runs(const reduction& work) {
  const bool fault = work.problem.status->batch_fault != 0;
  plan_tables(work.problem, work.plan, fault ? 0 : *work.occurrences.num_runs,
              [&](int t, std::int64_t& first) -> std::int64_t {
                const table_record& table = work.problem.tables[t];
                if (fault || table.gradient.form == operations::gradient_form::none) return 0;
                first = first_run_of(work.occurrences, table.first_row);
                const std::int64_t count =
                    first_run_of(work.occurrences, table.first_row + table.num_rows) - first;
                if (table.gradient.form == operations::gradient_form::sparse) {
                  *table.gradient.count = count;
                }
                return count;
              });
}

__device__ __forceinline__ void append_piece(const long_run_work& longs, int group_class,
                                             const piece& item) {
  const std::uint32_t index = atomicAdd(&longs.counters->pieces[group_class], 1U);
  longs.pieces[group_class * longs.piece_capacity + index] = item;
}

/// Where the combinations of `sums` sums of a level are: the first of them. no_parent: the last
/// kernel adds the sums. By one warp.
__device__ __forceinline__ std::uint32_t append_combinations(const long_run_work& longs, int level,
                                                             std::uint32_t sums) {
  if (sums <= long_run_policy::most_sums_in_leaf) return no_parent;
  std::uint32_t first = 0;
  if (lane_index() == 0) {
    first = atomicAdd(&longs.counters->combinations[level], num_fans(sums));
  }
  return __shfl_sync(full_mask, first, 0);
}

/// The combination that has sum `i`, if there are any.
__device__ __forceinline__ std::uint32_t parent_of(std::uint32_t first, std::uint32_t i) {
  return first == no_parent ? no_parent : first + i / long_run_policy::fan_in;
}

/// The pieces of the blocks of one item and the combinations of these; by one warp.
__device__ __forceinline__ void append_blocks(const long_run_work& longs, const tree_item& item,
                                              std::uint32_t table, int group_class) {
  constexpr std::uint32_t fan_in = long_run_policy::fan_in;
  std::uint32_t slot = slot_of_occurrence(item.begin);
  std::uint32_t sums = item.num_blocks();
  std::uint32_t parents = append_combinations(longs, 0, sums);
  for (std::uint32_t i = static_cast<unsigned>(lane_index()); i < sums; i += warp_size) {
    const std::uint32_t first = i * numerics::block_occurrences;
    append_piece(longs, group_class,
                 {item.begin + first,
                  min(static_cast<std::uint32_t>(numerics::block_occurrences), item.count - first),
                  slot + i, table, parent_of(parents, i)});
  }
  for (int level = 0; parents != no_parent; ++level) {
    const std::uint32_t next_slot = slot / long_run_policy::sums_per_slot;
    const std::uint32_t next_sums = num_fans(sums);
    const std::uint32_t next_parents = append_combinations(longs, level + 1, next_sums);
    for (std::uint32_t i = static_cast<unsigned>(lane_index()); i < next_sums; i += warp_size) {
      longs.combinations[level][parents + i] = {{slot + i * fan_in, min(fan_in, sums - i * fan_in),
                                                 next_slot + i, table, parent_of(next_parents, i)},
                                                0};
    }
    slot = next_slot;
    sums = next_sums;
    parents = next_parents;
  }
}

/// The pieces of an item of each lane; by one warp.
__device__ __forceinline__ void append_items(const long_run_work& longs, const tree_item& mine,
                                             std::uint32_t table, int group_class) {
  const bool has_blocks = mine.has_piece() && mine.num_blocks() > 1;
  if (mine.has_piece() && !has_blocks) {
    append_piece(longs, group_class,
                 {mine.begin, mine.count, slot_of_occurrence(mine.begin), table, no_parent});
  }
  for (unsigned left = __ballot_sync(full_mask, has_blocks); left != 0; left &= left - 1) {
    const int lane = __ffs(static_cast<int>(left)) - 1;
    append_blocks(longs, mine.of_lane(lane), table, group_class);
  }
}

/// By one block of a thread for each leaf, which finds where it begins by a binary search.
__device__ __forceinline__ void cut_long_run(const reduction& work, const long_run_work& longs,
                                             const long_run& run) {
  const auto table = static_cast<std::uint32_t>(run.table);
  const int thread = static_cast<int>(threadIdx.x);
  const int group_class = width_class(work.problem.tables[run.table].dim);
  const std::uint32_t run_end = work.occurrences.run_begins[run.run + 1];
  std::uint32_t begin = work.occurrences.run_begins[run.run];
  while (begin < run_end) {
    const feature_tree tree(work, begin, run_end);
    begin = tree.end;
    if (tree.count() <= long_run_policy::longest_piece) {
      if (thread == 0 && tree.count() >= long_run_policy::shortest_piece) {
        append_piece(longs, group_class,
                     {tree.begin, tree.count(), slot_of_occurrence(tree.begin), table, no_parent});
      }
      continue;
    }
    std::uint32_t* const leaf_begins = longs.leaf_begins_of(tree.begin);
    const feature_record& feature = work.problem.features[tree.feature];
    leaf_begins[thread] = first_occurrence(tree.begin, tree.end, [&](std::uint32_t i) {
      const std::uint32_t position =
          work.occurrences.positions[i] - static_cast<std::uint32_t>(feature.first_position);
      const std::uint32_t bag = bag_within_feature(work.problem, feature, position);
      return slice_of_lookup(feature, position, bag) >= thread;
    });
    __syncthreads();
    append_items(longs, tree_item(leaf_begins, tree.end, thread), table, group_class);
    __syncthreads();
  }
}

/// The first block plans, and advances the steps of fused tables where that is wanted; each other
/// block takes a long run at a time.
__global__ void __launch_bounds__(long_run_policy::plan_threads,
                                  long_run_policy::plan_blocks_per_multiprocessor)
    plan_gradients(const __grid_constant__ reduction work,
                   const __grid_constant__ long_run_work longs, bool advances_steps) {
  if (blockIdx.x == 0) {
    if (advances_steps) {
      // plan_tables gives a table to the same thread, which reads its step.
      advance_tables(work.problem, operations::gradient_form::fused, threadIdx.x, blockDim.x);
    }
    plan_runs(work);
    return;
  }
  const std::uint32_t num_runs = *work.occurrences.num_long_runs;
  for (std::uint32_t r = blockIdx.x - 1; r < num_runs; r += gridDim.x - 1) {
    const long_run run(work, r);
    if (run.is_trained) cut_long_run(work, longs, run);
  }
}

}  // namespace warpbag::kernels
