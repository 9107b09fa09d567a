// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sums of gradient rows over consecutive runs by groups of lanes, each lane for its own quad of
// columns: the one inner loop of reduce_gradients.
//
// The lanes of a group look up one occurrence each, a chunk at a time, and leave in shared memory
// what a step needs to know: where the gradient row is, its scale, and what ends before it. The
// steps that follow read that in one broadcast and have little else to decide. All groups of a warp
// walk together, so that every exchange between lanes is one of the whole warp.

#include "kernels/common/gradient_occurrence.cuh"
#include "kernels/common/gradient_sums.cuh"
#include "kernels/common/lane_group.cuh"

namespace warpbag::kernels {

struct gradient_walk_policy {
  // Rows that a lane asks for before it adds the first: 12 warps with 4 rows of 512 bytes are 24
  // KiB in flight per multiprocessor, while 3.4 TB/s at 0.8 us of latency over 132 multiprocessors
  // ask for 20 KiB.
  static constexpr int rows_per_batch = 4;
  // Lane-private quads for finished sums, 8 KiB per warp. What a tile costs before its first row is
  // shared by its rows: 8 in place of 16 are 9 warp instructions a lookup more at 4 lookups a row.
  static constexpr int sums_per_lane = 16;
  // 28 KiB of shared memory per block, which needs no opting in.
  static constexpr int warps_per_block = 2;
  // 168 registers a thread: with 128 (8 blocks) the walk and the optimizers together spill.
  static constexpr int blocks_per_multiprocessor = 6;
};

/// One occurrence as a step of the walk sees it.
struct alignas(16) walk_step {
  // What becomes of it, and of the sum before it.
  enum kind : unsigned {
    in_block = 0,         // it goes on with the block at hand
    alone = 1,            // a sum of its own: goes straight into the sum to its left
    new_run = 2,          // the run before it ends
    nothing = 3,          // no occurrence
    neighbour = 8,        // neighbour + ended_sum: another sum begins with it; others may wait
    alone_neighbour = 16  // ... and it is a sum of its own
  };
  struct alignas(8) how_to_add {
    float scale;
    unsigned what;  // kind
  };

  const void* row;  // of the gradient
  how_to_add how;
};

struct walk_steps_policy {
  // Groups of fewer lanes than a batch has rows still step by batches.
  static constexpr int least = gradient_walk_policy::rows_per_batch;
  // One more per group keeps the groups' steps in different banks.
  static constexpr int most = warp_size * (least + 1);
};

/// Shared memory of a warp's walk.
struct alignas(16) walk_memory {
  walk_step steps[walk_steps_policy::most];
  float pending[pending_sums::most][strip_columns];
};

/// The walk of a warp's groups over one strip of columns.
template <typename Gradient>
class gradient_walk {
 public:
  __device__ __forceinline__ gradient_walk(const device_problem& problem,
                                           const std::uint32_t* positions, index_type offsets_type,
                                           const lane_group& group, walk_memory& memory,
                                           std::int32_t dim, std::int32_t column)
      : problem_(problem),
        features_(problem.features),
        positions_(positions),
        offsets_type_(offsets_type),
        group_(group),
        first_lane_(lane_index() - group.lane),
        up_to_me_(group.mask & (full_mask >> (warp_size - 1 - lane_index()))),
        steps_(memory.steps + group.index * (max(group.width, walk_steps_policy::least) + 1)),
        pending_(memory.pending[0] + lane_index() * quad_elements),
        dim_(dim),
        column_(column),
        read_column_(column < dim ? column : 0) {}

  __device__ __forceinline__ std::int32_t dim() const { return dim_; }
  __device__ __forceinline__ std::int32_t column() const { return column_; }
  /// Sums the occurrences [begin, end), which are whole runs: none or more for each group, but
  /// `end` is never 0 and occurrence end - 1 is one of the group's table. heads(chunk) is what this
  /// lane knows of the occurrences of [chunk, chunk + width) that begin a run, a bit each; the
  /// group's lanes know all of them together. sink(n, quad) takes the n-th sum. For whole warps.
  /// Bits do not depend on the width of the group.
  template <typename Heads, typename Sink>
  __device__ __forceinline__ void sum_runs(std::uint32_t begin, std::uint32_t end, Heads heads,
                                           Sink sink) const {
    pending_sums pending(pending_, strip_columns);
    quad sum = {};
    int run = -1;
    const auto take = [&](const quad& term, const walk_step::how_to_add& how) {
      if (how.what == walk_step::in_block) {
        add(sum, term, how.scale);
      } else if (how.what == walk_step::alone) {
        add_quad(sum, scaled(term, how.scale));
      } else if (how.what == walk_step::new_run) {
        if (run >= 0) sink(run, pending.finish(sum));
        ++run;
        sum = scaled(term, how.scale);
      } else if (how.what != walk_step::nothing) {
        pending.close(how.what % walk_step::neighbour, sum);
        if ((how.what & walk_step::alone_neighbour) != 0) {
          add_quad(sum, scaled(term, how.scale));
        } else {
          pending.wait(how.what % walk_step::neighbour, sum);
          sum = scaled(term, how.scale);
        }
      }
    };
    place before = {0, 0, begin};
    for (std::uint32_t chunk = begin; __any_sync(full_mask, chunk < end) != 0;
         chunk += static_cast<unsigned>(group_.width)) {
      const int count =
          chunk < end ? static_cast<int>(min(end - chunk, static_cast<unsigned>(group_.width))) : 0;
      const occurrence mine = look_up(chunk, end, count, heads(chunk), before);
      __syncwarp();
      const int most = __reduce_max_sync(full_mask, count);
      if (__all_sync(full_mask, mine.position_in_bag < 0) != 0) {
        take_batches(most, has_whole_quads(), take);
      } else {
        take_one_by_one(most, mine, take);
      }
      __syncwarp();
    }
    if (run >= 0) sink(run, pending.finish(sum));
  }

  /// The same for one run, or none: begin == end.
  template <typename Sink>
  __device__ __forceinline__ void sum_run(std::uint32_t begin, std::uint32_t end, Sink sink) const {
    sum_runs(
        begin, end,
        [&](std::uint32_t chunk) { return chunk == begin && group_.lane == 0 ? 1U : 0U; },
        [&](int, const quad& sum) { sink(sum); });
  }

 private:
  static constexpr int rows_per_batch = gradient_walk_policy::rows_per_batch;

  /// Of the last occurrence looked up.
  struct place {
    std::int32_t feature;
    std::int32_t slice;
    std::uint32_t leaf_begin;  // first occurrence of its leaf
  };

  /// Lane l looks up occurrence chunk + l and leaves its step; lanes at and after `count` repeat
  /// the last one as no occurrence.
  __device__ __forceinline__ occurrence look_up(std::uint32_t chunk, std::uint32_t end, int count,
                                                unsigned heads, place& before) const {
    const std::uint32_t index = min(chunk + static_cast<unsigned>(group_.lane), end - 1);
    const occurrence mine =
        find_occurrence(problem_, offsets_type_, positions_[index], before.feature);
    const unsigned run_begins = __reduce_or_sync(full_mask, heads << first_lane_) & up_to_me_;
    std::int32_t feature = __shfl_up_sync(full_mask, mine.feature, 1, group_.width);
    std::int32_t slice = __shfl_up_sync(full_mask, mine.slice, 1, group_.width);
    if (group_.lane == 0) {
      feature = before.feature;
      slice = before.slice;
    }
    unsigned level = feature == mine.feature ? ended_between(slice, mine.slice) : tree_ended;
    if (run_begins >> lane_index() != 0) level = run_ended;
    // Blocks are counted from where the leaf began: in this chunk or before it.
    const unsigned leaf_begins = __ballot_sync(full_mask, level >= leaf_ended) & up_to_me_;
    if (leaf_begins != 0) {
      before.leaf_begin = chunk + static_cast<unsigned>(31 - __clz(static_cast<int>(leaf_begins))) -
                          static_cast<unsigned>(first_lane_);
    }
    if (level == nothing_ended && (index - before.leaf_begin) % numerics::block_occurrences == 0) {
      level = block_ended;
    }
    // Of the last one in the chunk it is not known whether it stays alone.
    const unsigned next_level = __shfl_down_sync(full_mask, level, 1, group_.width);
    const bool is_alone = level <= next_level && group_.lane < count - 1;
    const bool waits = level != nothing_ended && level != run_ended && !is_alone;
    // Sums wait since the last run began, or perhaps since an earlier chunk. Later lanes have
    // higher bits.
    const unsigned waiting = __ballot_sync(full_mask, waits) & up_to_me_;
    const bool none_waits = run_begins != 0 && run_begins > waiting;
    unsigned what = walk_step::neighbour + level;
    if (is_alone) what = none_waits ? walk_step::alone : what + walk_step::alone_neighbour;
    if (level == run_ended) what = walk_step::new_run;
    if (level == nothing_ended) what = walk_step::in_block;
    if (group_.lane >= count) what = walk_step::nothing;
    const void* const row =
        static_cast<const Gradient*>(features_[mine.feature].gradient) + mine.gradient_element;
    for (int slot = group_.lane; slot < max(group_.width, walk_steps_policy::least);
         slot += group_.width) {
      steps_[slot] = {row, {mine.scale, slot == group_.lane ? what : walk_step::nothing}};
    }
    before.feature = from_lane(mine.feature, group_.width - 1);
    before.slice = from_lane(mine.slice, group_.width - 1);
    before.leaf_begin = from_lane(before.leaf_begin, group_.width - 1);
    return mine;
  }

  template <typename Value>
  __device__ __forceinline__ Value from_lane(Value value, int source) const {
    return __shfl_sync(full_mask, value, source, group_.width);
  }

  /// Every row of the chunk can be read a quad at a time.
  __device__ __forceinline__ bool has_whole_quads() const {
    constexpr unsigned quad_bytes = quad_elements * sizeof(Gradient);
    const auto address = reinterpret_cast<std::uint64_t>(steps_[group_.lane].row);
    const bool aligned = static_cast<unsigned>(address) % quad_bytes == 0;
    return __all_sync(full_mask, aligned && dim_ % quad_elements == 0) != 0;
  }

  /// Rows that count whole: several under way.
  template <typename Take>
  __device__ __forceinline__ void take_batches(int most, bool whole, Take take) const {
    using access = detail::packed<Gradient, quad_elements>;
    const walk_step* steps = steps_;
#pragma unroll 1
    for (int first = 0; first < most; first += rows_per_batch, steps += rows_per_batch) {
      access loaded[rows_per_batch];
      const auto row = [&](int k) { return static_cast<const Gradient*>(steps[k].row); };
      if (whole) {
#pragma unroll
        for (int k = 0; k < rows_per_batch; ++k) {
          const auto* const place = row(k) + read_column_;
          __builtin_assume(__isGlobal(place));
          loaded[k] = *reinterpret_cast<const access*>(place);
        }
      } else {
#pragma unroll
        for (int k = 0; k < rows_per_batch; ++k)
          load_stored<1>(loaded[k].value, row(k), column_, dim_);
      }
#pragma unroll
      for (int k = 0; k < rows_per_batch; ++k) take(widened_quad(loaded[k].value), steps[k].how);
    }
  }

  template <typename Take>
  __device__ __forceinline__ void take_one_by_one(int most, const occurrence& mine,
                                                  Take take) const {
#pragma unroll 1
    for (int k = 0; k < most; ++k) {
      quad term = load_quad<1>(static_cast<const Gradient*>(steps_[k].row), column_, dim_);
      keep_won(term, mine, k);
      take(term, steps_[k].how);
    }
  }

  /// Mode max: an occurrence adds nothing to the columns that it did not win.
  __device__ __forceinline__ void keep_won(quad& term, const occurrence& mine, int step) const {
    const int position_in_bag = from_lane(mine.position_in_bag, step);
    const feature_record& feature = features_[from_lane(mine.feature, step)];
    const std::int64_t bag = from_lane(mine.bag, step);
    if (position_in_bag < 0) return;
    const std::int32_t* winners = feature.max_positions + bag * dim_ + column_;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      if (column_ + i < dim_ && winners[i] != position_in_bag) term.value[i] = 0.0F;
    }
  }

  __device__ __forceinline__ static void add(quad& block, const quad& x, float scale) {
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      block.value[i] = numerics::fused_multiply_add(x.value[i], scale, block.value[i]);
    }
  }

  __device__ __forceinline__ static quad scaled(const quad& x, float scale) {
    quad result;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) result.value[i] = x.value[i] * scale;
    return result;
  }

  const device_problem& problem_;
  const feature_record* features_;
  const std::uint32_t* positions_;
  index_type offsets_type_;
  const lane_group& group_;
  int first_lane_;     // of the group
  unsigned up_to_me_;  // lanes of the group up to this one
  walk_step* steps_;   // of this group
  float* pending_;     // of this lane, strip_columns apart
  std::int32_t dim_;
  std::int32_t column_;       // first of the lane's quad
  std::int32_t read_column_;  // lanes beyond the row read its first columns, which nobody uses
};

/// Zero at and after `dim`.
__device__ __forceinline__ quad within_row(quad x, std::int32_t column, std::int32_t dim) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) x.value[i] = column + i < dim ? x.value[i] : 0.0F;
  return x;
}

}  // namespace warpbag::kernels
