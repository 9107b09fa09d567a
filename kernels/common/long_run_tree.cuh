// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the gradient tree of a long run falls into pieces: the largest nodes of at most 256
// occurrences; a leaf with more falls into its blocks of 64.

#include "kernels/common/long_run_work.cuh"

namespace warpbag::kernels {

/// One of occurrences.long_runs.
struct long_run {
  std::uint32_t run;
  std::int32_t table;
  bool is_trained;

  __device__ __forceinline__ long_run(const reduction& work, std::uint32_t index)
      : run(work.occurrences.long_runs[index]),
        table(table_of_row(work.problem, work.occurrences.rows[run])),
        is_trained(work.problem.tables[table].gradient.form != operations::gradient_form::none) {}
};

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
    const auto is_past = [&](std::uint32_t i) { return work.occurrences.positions[i] >= past; };
    end = is_past(run_end - 1) ? first_occurrence(begin, run_end, is_past) : run_end;
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

}  // namespace warpbag::kernels
