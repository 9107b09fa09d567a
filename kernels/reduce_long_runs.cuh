// SPDX-License-Identifier: Apache-2.0
#pragma once
// reduce_gradients on long runs, so that a hot id costs no more than cold ones.
//
//   find_long_runs    lists the runs of more than 64 occurrences
//   cut_long_runs     cuts the tree of each into pieces: the largest nodes of at most 256
//                     occurrences; a leaf with more falls into its blocks of 64
//   sum_pieces        sums each piece into a partial row, one group of lanes a piece
//   combine_blocks    sums 64 blocks of a leaf, then 64 of those sums, ...; once a level
//   finish_long_runs  adds a run's partial rows in the order of the tree, one warp a run
//
// The place of a partial row follows from where its piece begins in the list of occurrences, so no
// counter decides it: a piece of at least 51 occurrences that begins at b has slot b / 51, and
// block k of a leaf that begins at b has slot b / 51 + k (a leaf is cut when it has c > 256
// occurrences, and then ceil(c / 64) <= floor(c / 51)). Smaller nodes (fewer than 64) get no piece:
// the last kernel sums them itself. In the same way ceil(m / 64) sums of m > 4 blocks fit in
// floor(m / 5) slots. The work lists are filled through counters, but no bit depends on their
// order.

#include "kernels/common/long_run_work.cuh"

namespace warpbag::kernels {

__global__ void __launch_bounds__(256) find_long_runs(const __grid_constant__ reduction work,
                                                      const __grid_constant__ long_run_work longs) {
  if (work.problem.status->batch_fault != 0) return;
  const std::int64_t num_runs = *work.occurrences.num_runs;
  const std::uint32_t* begins = work.occurrences.run_begins;
  for (std::int64_t run = thread_index(); run < num_runs; run += num_threads()) {
    if (begins[run + 1] - begins[run] <= run_policy::longest_run) continue;
    const std::int32_t table = table_of_row(work.problem, work.occurrences.rows[run]);
    if (work.problem.tables[table].gradient.form == operations::gradient_form::none) continue;
    longs.runs[atomicAdd(&longs.counters->runs, 1U)] = {static_cast<std::uint32_t>(run),
                                                        static_cast<std::uint32_t>(table)};
  }
}

/// First of the occurrences [begin, end) at which `reached` holds, which from there on holds.
template <typename Predicate>
__device__ __forceinline__ std::uint32_t first_occurrence(std::uint32_t begin, std::uint32_t end,
                                                          Predicate reached) {
  while (begin < end) {
    const std::uint32_t middle = begin + (end - begin) / 2;
    if (reached(middle)) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return begin;
}

/// The tree of one feature within a run.
struct feature_tree {
  std::int32_t feature;
  std::uint32_t begin;
  std::uint32_t end;

  /// The tree that begins at `begin` of a run that ends at `run_end`.
  __device__ __forceinline__ feature_tree(const reduction& work, std::uint32_t begin_,
                                          std::uint32_t run_end)
      : feature(feature_of_position(work.problem, work.occurrences.positions[begin_])),
        begin(begin_) {
    const feature_record& record = work.problem.features[feature];
    const std::int64_t past = record.first_position + record.num_ids;
    end = first_occurrence(begin, run_end,
                           [&](std::uint32_t i) { return work.occurrences.positions[i] >= past; });
  }
  __device__ __forceinline__ std::uint32_t count() const { return end - begin; }
};

/// What the sum of a long tree has in the place of leaf `leaf`: the largest node that begins there
/// and has at most 256 occurrences, else the leaf itself.
struct tree_item {
  std::uint32_t begin;
  std::uint32_t count;  // 0: nothing begins here
  int leaves;

  __device__ __forceinline__ tree_item(const std::uint32_t* leaf_begins, std::uint32_t tree_end,
                                       int leaf) {
    const auto begin_of = [&](int l) {
      return l < numerics::num_slices ? leaf_begins[l] : tree_end;
    };
    leaves = 16;
    while (leaves > 1) {
      const int first = leaf / leaves * leaves;
      if (begin_of(first + leaves) - begin_of(first) <= long_run_policy::longest_piece) break;
      leaves /= numerics::slices_per_node;
    }
    begin = begin_of(leaf);
    count = leaf % leaves == 0 ? begin_of(leaf + leaves) - begin : 0;
  }
  /// The item of another lane of the warp.
  __device__ __forceinline__ tree_item of_lane(int lane) const {
    tree_item item = *this;
    item.begin = __shfl_sync(full_mask, begin, lane);
    item.count = __shfl_sync(full_mask, count, lane);
    return item;
  }
  __device__ __forceinline__ bool has_piece() const {
    return count >= long_run_policy::shortest_piece;
  }
  __device__ __forceinline__ std::uint32_t num_blocks() const {
    return count <= long_run_policy::longest_piece ? 1 : (count + 63) / 64;
  }
};

__device__ __forceinline__ void append_piece(const long_run_work& longs, int group_class,
                                             const piece& item) {
  const std::uint32_t index = atomicAdd(&longs.counters->pieces[group_class], 1U);
  longs.pieces[group_class * longs.piece_capacity + index] = item;
}

/// The pieces of the blocks of one item and the combinations of these; by one warp.
__device__ __forceinline__ void append_blocks(const long_run_work& longs, const tree_item& item,
                                              std::uint32_t table, int group_class) {
  constexpr std::uint32_t fan_in = numerics::block_occurrences;
  std::uint32_t slot = slot_of_occurrence(item.begin);
  std::uint32_t sums = item.num_blocks();
  for (std::uint32_t i = static_cast<unsigned>(lane_index()); i < sums; i += warp_size) {
    const std::uint32_t first = i * fan_in;
    append_piece(longs, group_class,
                 {item.begin + first, min(fan_in, item.count - first), slot + i, table});
  }
  for (int level = 0; sums > long_run_policy::most_sums_in_leaf; ++level) {
    const std::uint32_t next_slot = slot / long_run_policy::sums_per_slot;
    const std::uint32_t next_sums = (sums + fan_in - 1) / fan_in;
    for (std::uint32_t i = static_cast<unsigned>(lane_index()); i < next_sums; i += warp_size) {
      const std::uint32_t index = atomicAdd(&longs.counters->combinations[level], 1U);
      longs.combinations[level][index] = {slot + i * fan_in, min(fan_in, sums - i * fan_in),
                                          next_slot + i, table};
    }
    slot = next_slot;
    sums = next_sums;
  }
}

/// The pieces of an item of each lane; by one warp.
__device__ __forceinline__ void append_items(const long_run_work& longs, const tree_item& mine,
                                             std::uint32_t table, int group_class) {
  const bool has_blocks = mine.has_piece() && mine.num_blocks() > 1;
  if (mine.has_piece() && !has_blocks) {
    append_piece(longs, group_class,
                 {mine.begin, mine.count, slot_of_occurrence(mine.begin), table});
  }
  for (unsigned left = __ballot_sync(full_mask, has_blocks); left != 0; left &= left - 1) {
    const int lane = __ffs(static_cast<int>(left)) - 1;
    append_blocks(longs, mine.of_lane(lane), table, group_class);
  }
}

/// A block per run. Leaves are found by 64 binary searches side by side.
__global__ void __launch_bounds__(long_run_policy::cut_threads,
                                  long_run_policy::cut_blocks_per_multiprocessor)
    cut_long_runs(const __grid_constant__ reduction work,
                  const __grid_constant__ long_run_work longs) {
  const std::uint32_t num_runs = longs.counters->runs;
  const int thread = static_cast<int>(threadIdx.x);
  for (std::uint32_t r = blockIdx.x; r < num_runs; r += gridDim.x) {
    const long_run run = longs.runs[r];
    const int group_class = width_class(work.problem.tables[run.table].dim);
    const std::uint32_t run_end = work.occurrences.run_begins[run.run + 1];
    std::uint32_t begin = work.occurrences.run_begins[run.run];
    while (begin < run_end) {
      const feature_tree tree(work, begin, run_end);
      begin = tree.end;
      if (tree.count() <= long_run_policy::longest_piece) {
        if (thread == 0 && tree.count() >= long_run_policy::shortest_piece) {
          append_piece(longs, group_class,
                       {tree.begin, tree.count(), slot_of_occurrence(tree.begin), run.table});
        }
        continue;
      }
      std::uint32_t* const leaf_begins = longs.leaf_begins_of(tree.begin);
      if (thread < numerics::num_slices) {
        const feature_record& feature = work.problem.features[tree.feature];
        leaf_begins[thread] = first_occurrence(tree.begin, tree.end, [&](std::uint32_t i) {
          const std::uint32_t position =
              work.occurrences.positions[i] - static_cast<std::uint32_t>(feature.first_position);
          const std::uint32_t bag = bag_within_feature(work.problem, feature, position);
          return slice_of_lookup(feature, position, bag) >= thread;
        });
      }
      __syncthreads();
      if (thread < numerics::num_slices) {
        append_items(longs, tree_item(leaf_begins, tree.end, thread), run.table, group_class);
      }
      __syncthreads();
    }
  }
}

/// blockIdx.y: index of the class of group widths. A warp takes as many pieces as it has groups.
template <typename Gradient>
__global__ void __launch_bounds__(gradient_walk_policy::warps_per_block* warp_size,
                                  gradient_walk_policy::blocks_per_multiprocessor)
    sum_pieces(const __grid_constant__ reduction work, const __grid_constant__ long_run_work longs,
               const __grid_constant__ width_classes classes) {
  __shared__ walk_memory memories[gradient_walk_policy::warps_per_block];
  walk_memory& memory = memories[threadIdx.x / warp_size];
  const int group_class = classes.log_width[blockIdx.y];
  const lane_group group(group_class);
  const std::int64_t groups = warp_size / group.width;
  const std::int64_t num_pieces = longs.counters->pieces[group_class];
  for (std::int64_t first = warp_index() * groups; first < num_pieces;
       first += num_warps() * groups) {
    const std::int64_t wanted = first + group.index;
    // A group without a piece walks none of the last one's occurrences.
    const piece item =
        longs.pieces[group_class * longs.piece_capacity + min(wanted, num_pieces - 1)];
    const std::int32_t dim = work.problem.tables[item.table].dim;
    const std::uint32_t end = item.begin + item.count;
    const std::uint32_t begin = wanted < num_pieces ? item.begin : end;
    for (int strip = 0; strip < num_strips(dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      const gradient_walk<Gradient> walk = {
          work.problem, work.occurrences.positions, work.offsets_type, group, memory, dim, column};
      walk.sum_run(begin, end, [&](const quad& sum) {
        store_quad<quad_elements>(longs.partial(0, item.slot), column, dim,
                                  within_row(sum, column, dim));
      });
    }
  }
}

/// Adds `count` rows of partial sums from `slot` on to a lane's quad, in order. A partial row has
/// room for whole quads, and of these only the ones that begin within `dim` are written.
__device__ __forceinline__ void add_partials(quad& sum, const long_run_work& longs, int level,
                                             std::uint32_t slot, std::uint32_t count,
                                             std::int32_t column, std::int32_t dim) {
  const float* row = longs.partial(level, slot);
#pragma unroll 4
  for (std::uint32_t i = 0; i < count; ++i) {
    add_quad(sum, load_quad<quad_elements>(row + i * longs.partial_stride, column, dim));
  }
}

/// One level: from sums of level `level` (0: blocks) to the next. A warp a combination.
__global__ void __launch_bounds__(256)
    combine_blocks(const __grid_constant__ reduction work,
                   const __grid_constant__ long_run_work longs, int level) {
  const std::int64_t count = longs.counters->combinations[level];
  const lane_group group(widest_class);
  for (std::int64_t i = warp_index(); i < count; i += num_warps()) {
    const piece item = longs.combinations[level][i];
    const std::int32_t dim = work.problem.tables[item.table].dim;
    for (int strip = 0; strip < num_strips(dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      quad sum = {};
      add_partials(sum, longs, level, item.begin, item.count, column, dim);
      store_quad<quad_elements>(longs.partial(level + 1, item.slot), column, dim, sum);
    }
  }
}

/// The sum of one long run over one strip, by one warp.
template <typename Gradient>
class long_run_sum {
 public:
  __device__ __forceinline__ long_run_sum(const reduction& work, const long_run_work& longs,
                                          const gradient_walk<Gradient>& walk,
                                          const pending_sums& pending)
      : work_(work), longs_(longs), walk_(walk), pending_(pending) {}

  __device__ __forceinline__ quad sum(std::uint32_t begin, std::uint32_t end) {
    while (begin < end) {
      const feature_tree tree(work_, begin, end);
      if (tree.count() <= long_run_policy::longest_piece) {
        add_node(tree.begin, tree.count());
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
    pending_.close(level, sum_);
    pending_.wait(level, sum_);
    sum_ = {};
  }

  /// Slices between two items have no occurrences, so it is the items that say which sums end.
  __device__ __forceinline__ void add_tree(const feature_tree& tree) {
    const std::uint32_t* const leaf_begins = longs_.leaf_begins_of(tree.begin);
    int slice = -1;
    for (int leaf = 0; leaf < numerics::num_slices;) {
      const tree_item item(leaf_begins, tree.end, leaf);
      if (item.count > 0) {
        if (leaf != slice && slice >= 0) end_sum(ended_between(slice, leaf));
        slice = leaf;
        if (item.count <= long_run_policy::longest_piece) {
          add_node(item.begin, item.count);
        } else {
          add_blocks(item);
        }
      }
      leaf += item.leaves;
    }
  }

  /// A whole node enters as one occurrence.
  __device__ __forceinline__ void add_node(std::uint32_t begin, std::uint32_t count) {
    if (count >= long_run_policy::shortest_piece) {
      add_partials(sum_, longs_, 0, slot_of_occurrence(begin), 1, walk_.column(), walk_.dim());
      return;
    }
    walk_.sum_run(begin, begin + count, [&](const quad& node) { add_quad(sum_, node); });
  }

  __device__ __forceinline__ void add_blocks(const tree_item& item) {
    std::uint32_t slot = slot_of_occurrence(item.begin);
    std::uint32_t sums = item.num_blocks();
    int level = 0;
    for (; sums > long_run_policy::most_sums_in_leaf; ++level) {
      slot /= long_run_policy::sums_per_slot;
      sums = (sums + numerics::block_occurrences - 1) / numerics::block_occurrences;
    }
    add_partials(sum_, longs_, level, slot, sums, walk_.column(), walk_.dim());
  }

  const reduction& work_;
  const long_run_work& longs_;
  const gradient_walk<Gradient>& walk_;
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
  const std::int64_t num_runs = longs.counters->runs;
  for (std::int64_t r = warp_index(); r < num_runs; r += num_warps()) {
    const long_run run = longs.runs[r];
    const table_record& table = work.problem.tables[run.table];
    const lane_gradient gradient =
        lane_sums(storage.sums[0], work.wide_sums, work.max_dim, table.dim);
    const std::uint32_t* begins = work.occurrences.run_begins + run.run;
    for (int strip = 0; strip < num_strips(table.dim); ++strip) {
      const std::int32_t column = column_of(group, strip);
      const gradient_walk<Gradient> walk = {work.problem,
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
    deliver_gradient(work, table, work.plan[run.table], group, run.run, gradient);
  }
}

}  // namespace warpbag::kernels
