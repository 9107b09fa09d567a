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

/// Some occurrences as the steps of the walk see them, to be read 16 bytes at a time.
struct alignas(16) walk_batch {
  static constexpr int size = gradient_walk_policy::rows_per_batch;

  // What becomes of an occurrence, and of the sum before it. Between these: sums_up_to() what ended
  // before it, and another sum begins with it.
  enum kind : int {
    nothing = -1,                      // no occurrence
    in_block = sums_up_to(0),          // it goes on with the block at hand
    new_run = sums_up_to(run_ended),   // the run before it ends
    alone = sums_up_to(run_ended) + 1  // + what ended: it is a sum of its own, and goes straight
                                       // into the sum to its left
  };

  const void* rows[size];  // of the gradient
  float scales[size];
  int what[size];    // kind
  int unused[size];  // keeps the batches of a warp's groups in different banks
};

/// Shared memory of a warp's walk. Groups of fewer lanes than a batch has rows have one each.
struct alignas(16) walk_memory {
  walk_batch batches[warp_size];
  float pending[pending_sums::most][strip_columns];
};

/// Stands for the heads of a single run.
struct no_heads {};

/// The walk of a warp's groups over one strip of columns. No leaf has more occurrences than
/// LongestLeaf.
template <typename Gradient, std::uint32_t LongestLeaf>
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
        batches_(memory.batches + group.index * max(group.width / walk_batch::size, 1)),
        pending_(memory.pending[0] + lane_index() * quad_elements),
        dim_(dim),
        column_(column),
        read_column_(min(column, max(dim - quad_elements, 0))) {}

  __device__ __forceinline__ std::int32_t dim() const { return dim_; }
  __device__ __forceinline__ std::int32_t column() const { return column_; }
  /// Sums the occurrences [begin, end), which are whole runs: none or more for each group, but
  /// `end` is never 0 and occurrence end - 1 is one of the group's table. heads(chunk) is what this
  /// lane knows of the occurrences of [chunk, chunk + width) that begin another run, a bit each;
  /// the group's lanes know all of them together, and `begin` may be among them. sink(n, quad)
  /// takes the n-th sum. For whole warps. Bits do not depend on the width of the group.
  template <typename Heads, typename Sink>
  __device__ __forceinline__ void sum_runs(std::uint32_t begin, std::uint32_t end, Heads heads,
                                           Sink sink) const {
    pending_sums pending(pending_, strip_columns);
    quad sum = {};
    int run = 0;
    const auto take = [&](const quad& term, float scale, int what) {
      if (what <= walk_batch::in_block) {
        if (what == walk_batch::in_block) add(sum, term, scale);
        return;
      }
      const auto ended = static_cast<unsigned>(what);
      pending.close(ended, sum);
      if (what >= walk_batch::alone) {
        add_quad(sum, scaled(term, scale));
        return;
      }
      if (!__is_same(Heads, no_heads) && what == walk_batch::new_run) {
        sink(run, own_columns(pending_sums::finished(sum)));
        ++run;
      } else {
        pending.wait(ended, sum);
      }
      sum = scaled(term, scale);
    };
    place before = {0, begin};
    for (std::uint32_t chunk = begin; __any_sync(full_mask, chunk < end) != 0;
         chunk += static_cast<unsigned>(group_.width)) {
      const int count =
          chunk < end ? static_cast<int>(min(end - chunk, static_cast<unsigned>(group_.width))) : 0;
      const occurrence mine = look_up(begin, chunk, end, count, heads, before);
      __syncwarp();
      const int most = __reduce_max_sync(full_mask, count);
      if (__all_sync(full_mask, mine.position_in_bag < 0) != 0) {
        take_batches(most, has_whole_quads(mine), take);
      } else {
        take_one_by_one(most, mine, take);
      }
      __syncwarp();
    }
    if (begin < end) sink(run, own_columns(pending.finish(sum)));
  }

  /// The same for one run, or none: begin == end.
  template <typename Sink>
  __device__ __forceinline__ void sum_run(std::uint32_t begin, std::uint32_t end, Sink sink) const {
    sum_runs(begin, end, no_heads{}, [&](int, const quad& sum) { sink(sum); });
  }

 private:
  /// Of the last occurrence looked up.
  struct place {
    unsigned leaf;             // leaf_number()
    std::uint32_t leaf_begin;  // first occurrence of the leaf
  };

  /// Lane l looks up occurrence chunk + l and leaves its step; lanes at and after `count` repeat
  /// the last one as no occurrence.
  template <typename Heads>
  __device__ __forceinline__ occurrence look_up(std::uint32_t begin, std::uint32_t chunk,
                                                std::uint32_t end, int count, Heads heads,
                                                place& before) const {
    const std::uint32_t index = min(chunk + static_cast<unsigned>(group_.lane), end - 1);
    const occurrence mine =
        find_occurrence(problem_, offsets_type_, positions_[index],
                        static_cast<std::int32_t>(before.leaf / numerics::num_slices));
    const unsigned leaf = leaf_number(mine.feature, mine.slice);
    unsigned leaf_to_my_left = __shfl_up_sync(full_mask, leaf, 1, group_.width);
    if (group_.lane == 0) leaf_to_my_left = before.leaf;
    before.leaf = from_lane(leaf, group_.width - 1);
    unsigned level = ended_between(leaf_to_my_left, leaf);
    if constexpr (!__is_same(Heads, no_heads)) {
      const unsigned run_begins = __reduce_or_sync(full_mask, heads(chunk) << first_lane_);
      if ((run_begins >> lane_index() & 1U) != 0) level = run_ended;
    }
    if constexpr (LongestLeaf > numerics::block_occurrences) {
      // Blocks are counted from where the leaf began: in this chunk or before it.
      const unsigned leaf_begins = __ballot_sync(full_mask, level >= leaf_ended) & up_to_me_;
      if (leaf_begins != 0) {
        before.leaf_begin = chunk +
                            static_cast<unsigned>(31 - __clz(static_cast<int>(leaf_begins))) -
                            static_cast<unsigned>(first_lane_);
      }
      if (level == nothing_ended &&
          (index - before.leaf_begin) % numerics::block_occurrences == 0) {
        level = block_ended;
      }
      before.leaf_begin = from_lane(before.leaf_begin, group_.width - 1);
    }
    // Of the last one in the chunk it is not known whether it stays alone.
    const unsigned next_level = __shfl_down_sync(full_mask, level, 1, group_.width);
    const bool is_alone = level <= next_level && group_.lane < count - 1;
    auto what = static_cast<int>(sums_up_to(level));
    if (is_alone && level - block_ended <= tree_ended - block_ended) what += walk_batch::alone;
    if (index == begin) what = walk_batch::alone;  // no run ends before the first
    if (group_.lane >= count) what = walk_batch::nothing;
    const void* const row = row_of(mine);
    for (int slot = group_.lane; slot < max(group_.width, walk_batch::size); slot += group_.width) {
      walk_batch& batch = batches_[slot / walk_batch::size];
      batch.rows[slot % walk_batch::size] = row;
      batch.scales[slot % walk_batch::size] = mine.scale;
      batch.what[slot % walk_batch::size] = slot == group_.lane ? what : walk_batch::nothing;
    }
    return mine;
  }

  template <typename Value>
  __device__ __forceinline__ Value from_lane(Value value, int source) const {
    return __shfl_sync(full_mask, value, source, group_.width);
  }

  __device__ __forceinline__ static const Gradient* row_of(const occurrence& found) {
    return static_cast<const Gradient*>(found.gradient) + found.gradient_element;
  }

  /// Every row of the chunk can be read a quad at a time.
  __device__ __forceinline__ bool has_whole_quads(const occurrence& mine) const {
    constexpr unsigned quad_bytes = quad_elements * sizeof(Gradient);
    const auto address = reinterpret_cast<std::uint64_t>(row_of(mine));
    return __all_sync(full_mask, static_cast<unsigned>(address) % quad_bytes == 0) != 0 &&
           dim_ % quad_elements == 0;
  }

  /// Rows that count whole: several under way.
  template <typename Take>
  __device__ __forceinline__ void take_batches(int most, bool whole, Take take) const {
    using access = detail::packed<Gradient, quad_elements>;
    const walk_batch* batch = batches_;
#pragma unroll 1
    for (int first = 0; first < most; first += walk_batch::size, ++batch) {
      const walk_batch steps = *batch;
      access loaded[walk_batch::size];
      const auto row = [&](int k) { return static_cast<const Gradient*>(steps.rows[k]); };
      if (whole) {
#pragma unroll
        for (int k = 0; k < walk_batch::size; ++k) {
          const auto* const place = row(k) + read_column_;
          __builtin_assume(__isGlobal(place));
          loaded[k] = *reinterpret_cast<const access*>(place);
        }
      } else if (dim_ >= quad_elements) {
#pragma unroll
        for (int k = 0; k < walk_batch::size; ++k) {
          const auto* const place = row(k) + read_column_;
          __builtin_assume(__isGlobal(place));
#pragma unroll
          for (int i = 0; i < quad_elements; ++i) loaded[k].value[i] = place[i];
        }
      } else {
#pragma unroll
        for (int k = 0; k < walk_batch::size; ++k) load_stored<1>(loaded[k].value, row(k), 0, dim_);
      }
#pragma unroll
      for (int k = 0; k < walk_batch::size; ++k) {
        take(widened_quad(loaded[k].value), steps.scales[k], steps.what[k]);
      }
    }
  }

  template <typename Take>
  __device__ __forceinline__ void take_one_by_one(int most, const occurrence& mine,
                                                  Take take) const {
#pragma unroll 1
    for (int step = 0; step < most; ++step) {
      const walk_batch& batch = batches_[step / walk_batch::size];
      const int k = step % walk_batch::size;
      quad term = load_quad<1>(static_cast<const Gradient*>(batch.rows[k]), read_column_, dim_);
      keep_won(term, mine, step);
      take(term, batch.scales[k], batch.what[k]);
    }
  }

  /// The columns that are this lane's own, of those that it read; beyond the row 0, apart from
  /// lanes that have none of it.
  __device__ __forceinline__ quad own_columns(quad x) const {
    if (dim_ % quad_elements == 0) return x;
    const std::int32_t before = column_ - read_column_;
#pragma unroll
    for (int step = quad_elements / 2; step > 0; step /= 2) {
#pragma unroll
      for (int i = 0; i < quad_elements; ++i) {
        if ((before & step) != 0) x.value[i] = i + step < quad_elements ? x.value[i + step] : 0.0F;
      }
    }
    return x;
  }

  /// Mode max: an occurrence adds nothing to the columns that it did not win.
  __device__ __forceinline__ void keep_won(quad& term, const occurrence& mine, int step) const {
    const int position_in_bag = from_lane(mine.position_in_bag, step);
    const feature_record& feature = features_[from_lane(mine.feature, step)];
    const std::int64_t bag = from_lane(mine.bag, step);
    if (position_in_bag < 0) return;
    const std::int32_t* winners = feature.max_positions + bag * dim_ + read_column_;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      if (read_column_ + i < dim_ && winners[i] != position_in_bag) term.value[i] = 0.0F;
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
  int first_lane_;       // of the group
  unsigned up_to_me_;    // lanes of the group up to this one
  walk_batch* batches_;  // of this group
  float* pending_;       // of this lane, strip_columns apart
  std::int32_t dim_;
  std::int32_t column_;  // first of the lane's quad
  // Where a lane's quad goes beyond the row it reads, and adds, the last quad of the row instead:
  // four accesses without a question.
  std::int32_t read_column_;
};

/// Zero at and after `dim`.
__device__ __forceinline__ quad within_row(quad x, std::int32_t column, std::int32_t dim) {
#pragma unroll
  for (int i = 0; i < quad_elements; ++i) x.value[i] = column + i < dim ? x.value[i] : 0.0F;
  return x;
}

}  // namespace warpbag::kernels
