// SPDX-License-Identifier: Apache-2.0
#pragma once
// reduce_gradients on long runs, so that a hot id costs no more than cold ones.
//
//   find_runs         has listed the runs of more than 64 occurrences (deduplicate.cuh)
//   plan_gradients    cuts the tree of each into pieces (plan_gradients.cuh)
//   sum_pieces        sums each piece into a partial row, one group of lanes a piece; who brings
//                     the last of 64 blocks of a leaf sums these, and of 64 such sums, ...
//   finish_long_runs  adds a run's partial rows in the order of the tree, one warp a run
//
// The place of a partial row follows from where its piece begins in the list of occurrences, so no
// counter decides it: a piece of at least 51 occurrences that begins at b has slot b / 51, and
// block k of a leaf that begins at b has slot b / 51 + k (a leaf is cut when it has c > 256
// occurrences, and then ceil(c / 64) <= floor(c / 51)). Smaller nodes (fewer than 64) get no piece:
// the last kernel sums them itself. In the same way ceil(m / 64) sums of m > 4 blocks fit in
// floor(m / 5) slots. The work lists are filled through counters, but no bit depends on their
// order, nor on who sums what.

#include "kernels/common/long_run_tree.cuh"

namespace warpbag::kernels {

/// Adds `count` rows of partial sums from `row` on to a lane's quad, in order. A partial row has
/// room for whole quads, and of these only the ones that begin within `dim` are written.
__device__ __forceinline__ void add_partials(quad& sum, const long_run_work& longs,
                                             const float* row, std::uint32_t count,
                                             std::int32_t column, std::int32_t dim) {
#pragma unroll 4
  for (std::uint32_t i = 0; i < count; ++i) {
    add_quad(sum, load_quad<quad_elements>(row + i * longs.partial_stride, column, dim));
  }
}

/// For a group of lanes that has written the sum of `item`. Sums that are added up together count
/// who has come: the last one adds them, in their order, then goes on a level higher with its sum.
__device__ __forceinline__ void combine(const reduction& work, const long_run_work& longs,
                                        const lane_group& group, piece item) {
  for (int level = 0; item.parent != no_parent; ++level) {
    combination& parent = longs.combinations[level][item.parent];
    __threadfence();
    __syncwarp(group.mask);
    std::uint32_t others = 0;
    if (group.lane == 0) others = atomicAdd(&parent.arrived, 1U);
    others = group.broadcast(others, 0);
    item = parent.sums;
    if (others + 1 != item.count) return;
    __threadfence();
    const std::int32_t dim = work.problem.tables[item.table].dim;
    for (int strip = 0; strip < num_strips(dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      quad sum = {};
      add_partials(sum, longs, longs.partial(level, item.begin), item.count, column, dim);
      store_quad<quad_elements>(longs.partial(level + 1, item.slot), column, dim, sum);
    }
  }
}

/// The pieces of one class of group widths. A warp takes as many at a time as it has groups.
template <typename Gradient>
__device__ __forceinline__ void sum_pieces_of_class(const reduction& work,
                                                    const long_run_work& longs,
                                                    const lane_group& group, walk_memory& memory) {
  const std::int64_t groups = warp_size / group.width;
  const std::int64_t num_pieces = longs.counters->pieces[group.log_width];
  for (std::int64_t first = spread_warp_index() * groups; first < num_pieces;
       first += num_warps() * groups) {
    const std::int64_t wanted = first + group.index;
    // A group without a piece walks none of the last one's occurrences.
    const piece item =
        longs.pieces[group.log_width * longs.piece_capacity + min(wanted, num_pieces - 1)];
    const std::int32_t dim = work.problem.tables[item.table].dim;
    const std::uint32_t end = item.begin + item.count;
    const std::uint32_t begin = wanted < num_pieces ? item.begin : end;
    for (int strip = 0; strip < num_strips(dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      const gradient_walk<Gradient, long_run_policy::longest_piece> walk = {
          work.problem, work.occurrences.positions, work.offsets_type, group, memory, dim, column};
      walk.sum_run(begin, end, [&](const quad& sum) {
        store_quad<quad_elements>(longs.partial(0, item.slot), column, dim,
                                  within_row(sum, column, dim));
      });
    }
    if (wanted < num_pieces) combine(work, longs, group, item);
  }
}

/// blockIdx.y: index of the class of group widths.
template <typename Gradient>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  long_run_policy::piece_blocks_per_multiprocessor)
    sum_pieces(const __grid_constant__ reduction work, const __grid_constant__ long_run_work longs,
               const __grid_constant__ width_classes classes) {
  __shared__ walk_memory memories[gradient_walk_policy::warps_per_block];
  walk_memory& memory = memories[threadIdx.x / warp_size];
  const int group_class = classes.log_width[blockIdx.y];
  if (group_class == widest_class) {  // code of its own, with constants folded in
    sum_pieces_of_class<Gradient>(work, longs, lane_group(widest_class), memory);
  } else {
    sum_pieces_of_class<Gradient>(work, longs, lane_group(group_class), memory);
  }
}

/// The walk of the nodes that have no piece.
template <typename Gradient>
using node_walk = gradient_walk<Gradient, long_run_policy::shortest_piece>;

/// The sum of one long run over one strip, by one warp.
template <typename Gradient>
class long_run_sum {
 public:
  __device__ __forceinline__ long_run_sum(const reduction& work, const long_run_work& longs,
                                          const node_walk<Gradient>& walk,
                                          const pending_sums& pending)
      : work_(work), longs_(longs), walk_(walk), pending_(pending) {}

  __device__ __forceinline__ quad sum(std::uint32_t begin, std::uint32_t end) {
    while (begin < end) {
      const feature_tree tree(work_, begin, end);
      if (tree.count() <= long_run_policy::longest_piece) {
        add(part_of(tree.begin, tree.count(), 1));
      } else {
        add_tree(tree);
      }
      begin = tree.end;
      if (begin < end) end_sum(tree_ended);
    }
    return pending_.finish(sum_);
  }

 private:
  __device__ __forceinline__ void end_sum(unsigned level) {
    pending_.close(sums_up_to(level), sum_);
    pending_.wait(sums_up_to(level), sum_);
    sum_ = {};
  }

  /// A node or leaf as it enters: the sums that its pieces left, or so few occurrences that they
  /// are walked here.
  struct part {
    const float* sums;
    std::uint32_t num_sums;  // 0: a walk
    std::uint32_t begin;
    std::uint32_t count;

    __device__ __forceinline__ part of_lane(int lane) const {
      return {reinterpret_cast<const float*>(
                  __shfl_sync(full_mask, reinterpret_cast<unsigned long long>(sums), lane)),
              __shfl_sync(full_mask, num_sums, lane), __shfl_sync(full_mask, begin, lane),
              __shfl_sync(full_mask, count, lane)};
    }
  };

  __device__ __forceinline__ part part_of(std::uint32_t begin, std::uint32_t count,
                                          std::uint32_t num_sums) const {
    std::uint32_t slot = slot_of_occurrence(begin);
    int level = 0;
    for (; num_sums > long_run_policy::most_sums_in_leaf; ++level) {
      slot /= long_run_policy::sums_per_slot;
      num_sums = num_fans(num_sums);
    }
    return {longs_.partial(level, slot), count < long_run_policy::shortest_piece ? 0 : num_sums,
            begin, count};
  }

  /// Every lane finds out about a leaf and asks for the sums that are there, before they are added
  /// one after the other: else each would be two trips to memory that wait for those before. Slices
  /// between two items have no occurrences, so it is the items that say which sums end.
  __device__ __forceinline__ void add_tree(const feature_tree& tree) {
    const std::uint32_t* const leaf_begins = longs_.leaf_begins_of(tree.begin);
    unsigned slice = numerics::num_slices;  // none yet
    for (int first = 0; first < numerics::num_slices; first += warp_size) {
      const tree_item item(leaf_begins, tree.end, first + lane_index());
      const part mine = part_of(item.begin, item.count, item.num_blocks());
      if (item.count > 0) ask_for(mine);
      for (unsigned left = __ballot_sync(full_mask, item.count > 0); left != 0; left &= left - 1) {
        const int lane = __ffs(static_cast<int>(left)) - 1;
        const auto leaf = static_cast<unsigned>(first + lane);
        if (slice != numerics::num_slices) end_sum(ended_between(slice, leaf));
        slice = leaf;
        add(mine.of_lane(lane));
      }
    }
  }

  /// A lane brings the strip of its part's sums near.
  __device__ __forceinline__ void ask_for(const part& mine) const {
    constexpr int line = 128 / sizeof(float);
    const std::int32_t strip = walk_.column() / strip_columns * strip_columns;
    const std::int32_t end = min(strip + strip_columns, walk_.dim());
    for (std::uint32_t i = 0; i < mine.num_sums; ++i) {
      const float* const row = mine.sums + i * longs_.partial_stride;
      for (std::int32_t column = strip; column < end; column += line) {
        asm volatile("prefetch.global.L1 [%0];" ::"l"(row + column));
      }
    }
  }

  /// A whole node enters as one occurrence.
  __device__ __forceinline__ void add(const part& x) {
    if (x.num_sums == 0) {
      walk_.sum_run(x.begin, x.begin + x.count, [&](const quad& node) { add_quad(sum_, node); });
      return;
    }
    add_partials(sum_, longs_, x.sums, x.num_sums, walk_.column(), walk_.dim());
  }

  const reduction& work_;
  const long_run_work& longs_;
  const node_walk<Gradient>& walk_;
  pending_sums pending_;
  quad sum_ = {};  // of the node or leaf at hand
};

/// Shared memory of a warp that finishes long runs: sums of nodes wait while the walk of a small
/// node has sums of its own.
struct alignas(16) finishing_storage {
  walk_memory walk;
  float pending[pending_sums::most][strip_columns];
  float sums[gradient_walk_policy::sums_per_lane][strip_columns];
};

template <typename Gradient>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  long_run_policy::finish_blocks_per_multiprocessor)
    finish_long_runs(const __grid_constant__ reduction work,
                     const __grid_constant__ long_run_work longs) {
  __shared__ finishing_storage storages[gradient_walk_policy::warps_per_block];
  finishing_storage& storage = storages[threadIdx.x / warp_size];
  const lane_group group(widest_class);
  if (thread_index() == 0) *longs.counters = {};
  const std::int64_t num_runs = *work.occurrences.num_long_runs;
  for (std::int64_t r = spread_warp_index(); r < num_runs; r += num_warps()) {
    const long_run run(work, static_cast<std::uint32_t>(r));
    if (!run.is_trained) continue;
    const table_record& table = work.problem.tables[run.table];
    const lane_gradient gradient =
        lane_sums(storage.sums[0], work.wide_sums, work.max_dim, table.dim);
    const std::uint32_t* begins = work.occurrences.run_begins + run.run;
    for (int strip = 0; strip < num_strips(table.dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      const node_walk<Gradient> walk = {work.problem,
                                        work.occurrences.positions,
                                        work.offsets_type,
                                        group,
                                        storage.walk,
                                        table.dim,
                                        column};
      const pending_sums pending(storage.pending[0] + lane_index() * quad_elements, strip_columns);
      const quad sum = long_run_sum<Gradient>(work, longs, walk, pending).sum(begins[0], begins[1]);
      gradient.store(strip, within_row(sum, column, table.dim));
    }
    const auto first = static_cast<std::int32_t>(run.run);
    deliver_gradients(work, widest_class,
                      {run.table, first, first + 1, gradient.data, summed_runs::one_long_run});
  }
}

}  // namespace warpbag::kernels
