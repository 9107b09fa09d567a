// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sums of short runs of narrow rows. A warp takes a window of runs at a time, at most 64
// occurrences: its lanes look these up, their gradients come to shared memory, and level by level
// of the gradient tree sums take in their children.
//
// Groups that each go from occurrence to occurrence of their own runs (gradient_walk.cuh) wait for
// the one with most of them, and a step costs all that any of the groups has to do in it. Here the
// parents of a level are a list that the groups share out: all do the same, and about as much.
//
// An occurrence begins a sum at each level up to the one that ended before it, and all of these
// have one place, as each is the first child of the next. The highest of them is taken in by the
// sum of the nearest occurrence to the left that began a higher level, where its parent began.
// Lower levels are done before and children come in their order, so additions are those of N3. They
// start from sums that are never -0, and so are the rule's: gradient_sums.cuh says why nothing else
// matters.

#include "kernels/common/device_problem.cuh"
#include "kernels/common/gradient_occurrence.cuh"
#include "kernels/common/gradient_sums.cuh"
#include "kernels/common/lane_group.cuh"
#include "kernels/common/optimizer_row.cuh"

namespace warpbag::kernels {

struct run_window_policy {
  // As many as the longest of the short runs has: two a lane, and a bit each in a mask.
  static constexpr int occurrences = 64;
  static constexpr int per_lane = occurrences / warp_size;
  // Up to 32 columns, of which the sums of a window are 8 KiB.
  static constexpr int widest_class = 3;
  static constexpr int most_columns = quad_elements << widest_class;
  static constexpr int rows_per_batch = 4;  // that a lane asks for before it stores the first
};

static_assert(run_policy::longest_run <= run_window_policy::occurrences);

/// Whether windows serve tables of a class of group widths.
__host__ __device__ constexpr bool is_narrow(int log_width) {
  return log_width <= run_window_policy::widest_class;
}

/// A bit for each occurrence of a window.
using window_mask = std::uint64_t;

/// Consecutive runs, with the first occurrence of the first and the number of all.
struct window_runs {
  std::int32_t first;
  std::int32_t count;
  std::uint32_t begin;
  int occurrences;
  window_mask heads;  // occurrences that begin a run

  /// As many of the runs [first_, last) as fit; none, if the first is a long one. By whole warps.
  __device__ __forceinline__ window_runs(const std::uint32_t* begins, std::int32_t first_,
                                         std::int32_t last)
      : first(first_), count(0), begin(begins[first_]), occurrences(0), heads(1) {
#pragma unroll
    for (int half = 0; half < run_window_policy::per_lane; ++half) {
      const std::int32_t end = first + 1 + half * warp_size + lane_index();
      std::uint32_t place = ~0U;
      if (end <= last) place = begins[end] - begin;
      const bool fits = place <= run_window_policy::occurrences;
      count += __popc(__ballot_sync(full_mask, fits));
      occurrences = max(occurrences, fits ? static_cast<int>(place) : 0);
      const window_mask head = place < run_window_policy::occurrences ? window_mask{1} << place : 0;
      heads |= or_over_warp(head);
    }
    occurrences = __reduce_max_sync(full_mask, occurrences);
    heads &= ~window_mask{0} >> (run_window_policy::occurrences - max(occurrences, 1));
  }

  __device__ __forceinline__ static window_mask or_over_warp(window_mask mine) {
    const unsigned low = __reduce_or_sync(full_mask, static_cast<unsigned>(mine));
    const unsigned high = __reduce_or_sync(full_mask, static_cast<unsigned>(mine >> warp_size));
    return window_mask{high} << warp_size | low;
  }
};

/// What the lanes tell each other of a window.
struct alignas(16) window_memory {
  struct alignas(16) gradient_row {
    const void* row;
    float factor;  // scale of the first occurrence of a leaf; else 1
    int sum;       // bytes before its sum
  };
  struct alignas(16) parent {
    window_mask children;  // the first occurrence is the highest bit
    int sum;
  };
  gradient_row rows[run_window_policy::occurrences];
  float scales[run_window_policy::occurrences];
  parent parents[run_window_policy::occurrences];
  int positions_in_bag[run_window_policy::occurrences];         // mode max; else -1
  const std::int32_t* winners[run_window_policy::occurrences];  // mode max
  std::int32_t feature;  // of the last occurrence looked up: a guess for the next
};

template <typename Gradient>
class run_window {
 public:
  /// `sums`: room for the sums of 64 occurrences, as wide as the group. `zero_rest`: their columns
  /// beyond the row are to be 0.
  __device__ __forceinline__ run_window(const device_problem& problem,
                                        const std::uint32_t* positions, index_type offsets_type,
                                        const lane_group& group, window_memory& memory, float* sums,
                                        std::int32_t dim, bool zero_rest)
      : problem_(problem),
        positions_(positions),
        offsets_type_(offsets_type),
        group_(group),
        group_index_(group.index),
        memory_(memory),
        sums_{sums + group.lane * quad_elements},
        dim_(dim),
        zero_rest_(zero_rest),
        column_(group.lane * quad_elements) {
    asm("" : "+r"(group_index_));  // else it is worked out again for every row
  }

  /// The sum of run first + p comes to place p. For whole warps. The memory's guess of a feature
  /// has to be one.
  __device__ __forceinline__ void sum(const window_runs& runs) const {
    unsigned ended[run_window_policy::per_lane];
    __syncwarp();  // the window before
    std::int32_t feature = memory_.feature;
    const bool simple = look_up(runs, feature, ended);
    unsigned levels = 0;
#pragma unroll
    for (const unsigned level : ended) levels |= 1U << level;
    levels = __reduce_or_sync(full_mask, levels) & sums_up_to(run_ended);
    __syncwarp();
    if (lane_index() == 0) memory_.feature = feature;
    load_rows(runs.occurrences, simple);
    __syncwarp();
    for (; levels != 0; levels &= levels - 1) {
      const auto level = static_cast<unsigned>(__ffs(static_cast<int>(levels)) - 1);
      add_children(runs, ended, level);
    }
  }

  __device__ __forceinline__ int sum_bytes() const {
    return group_.width * static_cast<int>(sizeof(quad));
  }
  /// The sum at a place.
  __device__ __forceinline__ lane_gradient at(int place) const {
    return {sums_.data + place * group_.width * quad_elements};
  }

 private:
  /// Lane l looks up occurrences l and l + 32, and of each what ended before it. Returns whether
  /// all rows can be read a quad at a time and count whole.
  __device__ __forceinline__ bool look_up(const window_runs& runs, std::int32_t& feature,
                                          unsigned (&ended)[run_window_policy::per_lane]) const {
    bool simple = dim_ % quad_elements == 0;
    unsigned last_leaf = 0;
#pragma unroll
    for (int half = 0; half < run_window_policy::per_lane; ++half) {
      ended[half] = run_ended;
      if (half * warp_size >= runs.occurrences) continue;
      const int place = half * warp_size + lane_index();
      const bool is_there = place < runs.occurrences;
      const std::uint32_t index =
          runs.begin + static_cast<unsigned>(min(place, runs.occurrences - 1));
      const occurrence mine = find_occurrence(problem_, offsets_type_, positions_[index], feature);
      const unsigned leaf = leaf_number(mine.feature, mine.slice);
      unsigned leaf_to_my_left = __shfl_up_sync(full_mask, leaf, 1);
      if (lane_index() == 0) leaf_to_my_left = last_leaf;
      last_leaf = __shfl_sync(full_mask, leaf, warp_size - 1);
      feature = __shfl_sync(full_mask, mine.feature, warp_size - 1);
      if (!is_there) continue;
      if ((runs.heads >> place & 1) == 0) ended[half] = ended_between(leaf_to_my_left, leaf);
      const auto* const row = static_cast<const Gradient*>(mine.gradient) + mine.gradient_element;
      memory_.rows[place] = {row, ended[half] > nothing_ended ? mine.scale : 1.0F,
                             sum_of(runs, place)};
      memory_.scales[place] = mine.scale;
      constexpr unsigned quad_bytes = quad_elements * sizeof(Gradient);
      if (reinterpret_cast<std::uint64_t>(row) % quad_bytes != 0) simple = false;
      memory_.positions_in_bag[place] = mine.position_in_bag;
      if (mine.position_in_bag >= 0) {
        memory_.winners[place] =
            problem_.features[mine.feature].max_positions + std::int64_t{mine.bag} * dim_;
        simple = false;
      }
    }
    return __all_sync(full_mask, simple) != 0;
  }

  /// Runs have the first places, where their sums will be, and the occurrences that begin none
  /// those behind.
  __device__ __forceinline__ int sum_of(const window_runs& runs, int occurrence) const {
    const window_mask up_to_it = (window_mask{2} << occurrence) - 1;
    const int run = __popcll(runs.heads & up_to_it) - 1;
    const bool is_head = (runs.heads >> occurrence & 1) != 0;
    const int place = is_head ? run : runs.count + occurrence - run - 1;
    return place * sum_bytes();
  }

  /// The gradient of each occurrence comes to its place, scaled if it begins a leaf. No sum is -0
  /// from there on.
  __device__ __forceinline__ void load_rows(int occurrences, bool simple) const {
    using access = detail::packed<Gradient, quad_elements>;
    constexpr int batch = run_window_policy::rows_per_batch;
    const int groups = warp_size >> group_.log_width;
    const std::int32_t read_column = column_ < dim_ ? column_ : 0;
#pragma unroll 1
    for (int first = 0; first < occurrences; first += batch * groups) {
      access loaded[batch];
      window_memory::gradient_row rows[batch];
#pragma unroll
      for (int k = 0; k < batch; ++k) {
        rows[k] = memory_.rows[min(first + k * groups + group_index_, occurrences - 1)];
        const auto* const row = static_cast<const Gradient*>(rows[k].row);
        if (simple) {
          const auto* const place = row + read_column;
          __builtin_assume(__isGlobal(place));
          loaded[k] = *reinterpret_cast<const access*>(place);
        } else {
          load_stored<1>(loaded[k].value, row, column_, dim_);
        }
      }
#pragma unroll
      for (int k = 0; k < batch; ++k) {
        const int i = first + k * groups + group_index_;
        if (i >= occurrences) break;
        quad x = widened_quad(loaded[k].value);
        if (!simple) keep_won(x, i);
#pragma unroll
        for (float& value : x.value) value = value * rows[k].factor + 0.0F;
        if (zero_rest_ && column_ >= dim_) x = {};
        sums_.store_at(rows[k].sum, x);
      }
    }
  }

  /// Mode max: an occurrence adds nothing to the columns that it did not win.
  __device__ __forceinline__ void keep_won(quad& x, int place) const {
    const int position_in_bag = memory_.positions_in_bag[place];
    if (position_in_bag < 0) return;
    const std::int32_t* const winners = memory_.winners[place] + column_;
#pragma unroll
    for (int i = 0; i < quad_elements; ++i) {
      if (column_ + i < dim_ && winners[i] != position_in_bag) x.value[i] = 0.0F;
    }
  }

  /// The sums that begin where `level` ended are taken in by those to their left that begin where
  /// more did.
  __device__ __forceinline__ void add_children(const window_runs& runs,
                                               const unsigned (&ended)[run_window_policy::per_lane],
                                               unsigned level) const {
    const auto which = [&](auto predicate) {
      const unsigned low = __ballot_sync(full_mask, predicate(ended[0]));
      const unsigned high = __ballot_sync(full_mask, predicate(ended[1]));
      return window_mask{high} << warp_size | low;
    };
    const window_mask children = which([&](unsigned mine) { return mine == level; });
    const window_mask parents = which([&](unsigned mine) { return mine > level; });
    int count = 0;
#pragma unroll
    for (int half = 0; half < run_window_policy::per_lane; ++half) {
      if (half * warp_size >= runs.occurrences) break;
      const int place = half * warp_size + lane_index();
      const window_mask right_of_me = ~window_mask{1} << place;
      const window_mask next = parents & right_of_me;
      const window_mask mine = children & right_of_me & (next - 1) & ~next;
      const bool has_children = ended[half] > level && mine != 0;
      const unsigned others = __ballot_sync(full_mask, has_children);
      if (has_children) {
        memory_.parents[count + __popc(others & ((1U << lane_index()) - 1))] = {
            __brevll(mine), memory_.rows[place].sum};
      }
      count += __popc(others);
    }
    __syncwarp();
    if (level == nothing_ended) {
      add_listed(count, [&](quad& sum, const quad& x, int child) {
        const float scale = memory_.scales[child];
#pragma unroll
        for (int i = 0; i < quad_elements; ++i) {
          sum.value[i] = numerics::fused_multiply_add(x.value[i], scale, sum.value[i]) + 0.0F;
        }
      });
    } else {
      add_listed(count, [](quad& sum, const quad& x, int) { add_quad(sum, x); });
    }
    __syncwarp();
  }

  template <typename Add>
  __device__ __forceinline__ void add_listed(int count, Add add) const {
#pragma unroll 1
    for (int i = group_index_; i < count; i += warp_size >> group_.log_width) {
      const window_memory::parent parent = memory_.parents[i];
      quad sum = sums_.load_at(parent.sum);
      window_mask left = parent.children;
#pragma unroll 1
      do {
        const int child = __clzll(static_cast<long long>(left));
        add(sum, sums_.load_at(memory_.rows[child].sum), child);
        left ^= window_mask{1} << (run_window_policy::occurrences - 1) >> child;
      } while (left != 0);
      sums_.store_at(parent.sum, sum);
    }
  }

  const device_problem& problem_;
  const std::uint32_t* positions_;
  index_type offsets_type_;
  const lane_group& group_;
  int group_index_;
  window_memory& memory_;
  lane_gradient sums_;
  std::int32_t dim_;
  bool zero_rest_;
  std::int32_t column_;  // first of the lane's quad
};

}  // namespace warpbag::kernels
