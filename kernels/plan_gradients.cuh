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

/// Places for `count` entries of each lane in a list that grows by `counter`: the first of this
/// lane's. By one warp.
__device__ __forceinline__ std::uint32_t take_places(std::uint32_t& counter, std::uint32_t count) {
  const std::uint32_t up_to_me = sum_up_to_lane(count);
  std::uint32_t first = 0;
  if (lane_index() == warp_size - 1 && up_to_me != 0) first = atomicAdd(&counter, up_to_me);
  return __shfl_sync(full_mask, first, warp_size - 1) + up_to_me - count;
}

/// The combination that has sum `i`, if there are any.
__device__ __forceinline__ std::uint32_t parent_of(std::uint32_t first, std::uint32_t i) {
  return first == no_parent ? no_parent : first + i / long_run_policy::fan_in;
}

/// Combinations that add up `sums` sums: none of so few that the last kernel adds them.
__device__ __forceinline__ std::uint32_t num_combinations(std::uint32_t sums) {
  return sums > long_run_policy::most_sums_in_leaf ? num_fans(sums) : 0;
}

/// The combinations of each lane's item, a level after another. Returns the first of the lowest
/// level, no_parent if there is none. By one warp; a lane writes those of its own item, which are a
/// 64th of its blocks.
__device__ __forceinline__ std::uint32_t append_combinations(const long_run_work& longs,
                                                             const tree_item& mine,
                                                             std::uint32_t table) {
  std::uint32_t slot = slot_of_occurrence(mine.begin);
  std::uint32_t sums = mine.has_piece() ? mine.num_blocks() : 0;
  std::uint32_t fans = num_combinations(sums);
  const std::uint32_t first = take_places(longs.counters->combinations[0], fans);
  if (fans == 0) return no_parent;
  std::uint32_t place = first;
  for (int level = 0; fans != 0; ++level) {
    const std::uint32_t next_slot = slot / long_run_policy::sums_per_slot;
    const std::uint32_t next_fans = num_combinations(fans);
    const std::uint32_t next_place =
        next_fans == 0 ? no_parent : atomicAdd(&longs.counters->combinations[level + 1], next_fans);
    for (std::uint32_t i = 0; i < fans; ++i) {
      longs.combinations[level][place + i] = {
          {slot + i * long_run_policy::fan_in,
           min(long_run_policy::fan_in, sums - i * long_run_policy::fan_in), next_slot + i, table,
           parent_of(next_place, i)},
          0};
    }
    slot = next_slot;
    sums = fans;
    fans = next_fans;
    place = next_place;
  }
  return first;
}

/// The pieces of each lane's item, dealt to all lanes; by one warp.
__device__ __forceinline__ void append_items(const long_run_work& longs, const tree_item& mine,
                                             std::uint32_t table, int group_class) {
  constexpr std::uint32_t block = numerics::block_occurrences;
  const std::uint32_t blocks = mine.has_piece() ? mine.num_blocks() : 0;
  const std::uint32_t parents = append_combinations(longs, mine, table);
  const std::uint32_t up_to_me = sum_up_to_lane(blocks);
  const std::uint32_t all = __shfl_sync(full_mask, up_to_me, warp_size - 1);
  const std::uint32_t my_place = take_places(longs.counters->pieces[group_class], blocks);
  piece* const pieces = longs.pieces + group_class * longs.piece_capacity +
                        __shfl_sync(full_mask, my_place, 0);  // of lane 0's first
  for (std::uint32_t first = 0; first < all; first += warp_size) {
    const std::uint32_t i = first + static_cast<unsigned>(lane_index());
    int owner = 0;  // lanes whose blocks all come before block i
#pragma unroll
    for (int step = warp_size / 2; step > 0; step /= 2) {
      if (__shfl_sync(full_mask, up_to_me, owner + step - 1) <= i) owner += step;
    }
    const tree_item item = mine.of_lane(owner);
    const std::uint32_t number = i - __shfl_sync(full_mask, up_to_me - blocks, owner);
    const std::uint32_t parent = parent_of(__shfl_sync(full_mask, parents, owner), number);
    if (i >= all) continue;
    const std::uint32_t count =
        item.num_blocks() == 1 ? item.count : min(block, item.count - number * block);
    pieces[i] = {item.begin + number * block, count, slot_of_occurrence(item.begin) + number, table,
                 parent};
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
        longs.pieces[group_class * longs.piece_capacity +
                     atomicAdd(&longs.counters->pieces[group_class], 1U)] = {
            tree.begin, tree.count(), slot_of_occurrence(tree.begin), table, no_parent};
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
