// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sort keys and runs. A key is the global row of an occurrence; every other position (padding, bad,
// beyond the last offset) gets the key `total_rows`, which sorts behind all rows.

#include "kernels/common/look_back.cuh"
#include "kernels/common/records.cuh"
#include "kernels/radix_sort.cuh"

namespace warpbag::kernels {

/// The keys of a problem, made from its ids wherever they are wanted. Of a bad batch all are
/// `total_rows`: it is sorted like any other and has no occurrences.
template <typename Index, typename Key>
struct row_keys {
  using key_type = Key;
  device_problem problem;

  /// What the keys of a feature's positions depend on.
  struct feature_keys {
    const Index* ids;        // less the feature's first position
    std::int64_t past;       // positions from here on belong to later features
    std::int64_t past_bags;  // positions from here on belong to no bag
    std::int64_t num_rows;
    std::int64_t padding_idx;
    std::int64_t first_row;

    __device__ __forceinline__ feature_keys(const device_problem& problem, std::int64_t position) {
      const feature_record& feature = problem.features[feature_of_position(problem, position)];
      const table_record& table = problem.tables[feature.table];
      ids = static_cast<const Index*>(feature.ids) - feature.first_position;
      past = feature.first_position + feature.num_ids;
      past_bags = problem.status->batch_fault == 0
                      ? feature.first_position + end_of_bags<Index>(feature)
                      : 0;
      num_rows = table.num_rows;
      padding_idx = table.padding_idx;
      first_row = table.first_row;
    }
    __device__ __forceinline__ Key key_of(std::int64_t id, Key dead) const {
      const bool in_table = static_cast<std::uint64_t>(id) < static_cast<std::uint64_t>(num_rows);
      return in_table && id != padding_idx ? static_cast<Key>(first_row + id) : dead;
    }
  };

  /// Mostly all positions are in bags of one feature: then the ids are on their way together.
  template <int Keys>
  __device__ __forceinline__ void load(Key (&keys)[Keys], std::uint32_t first,
                                       std::uint32_t left) const {
#pragma unroll
    for (Key& key : keys) key = ~Key{0};
    if (left == 0) return;
    const auto dead = static_cast<Key>(problem.total_rows);
    feature_keys feature(problem, first);
    if (first + std::int64_t{Keys * warp_size} <= feature.past_bags) {
      const Index* const mine = feature.ids + first + lane_index();
      Index ids[Keys];
#pragma unroll
      for (int i = 0; i < Keys; ++i) ids[i] = mine[i * warp_size];
#pragma unroll
      for (int i = 0; i < Keys; ++i) keys[i] = feature.key_of(ids[i], dead);
      return;
    }
#pragma unroll
    for (int i = 0; i < Keys; ++i) {
      if (place_of(i) >= left) break;
      const std::int64_t position = first + place_of(i);
      if (position >= feature.past) feature = feature_keys(problem, position);
      keys[i] = position < feature.past_bags ? feature.key_of(feature.ids[position], dead) : dead;
    }
  }
};

struct find_runs_policy {
  static constexpr int threads = 256;
  static constexpr int warps = threads / warp_size;
  // 2^16 keys are 32 tiles, which a warp that looks back sees at once.
  static constexpr int keys_per_thread = 8;
  static constexpr int keys_per_warp = keys_per_thread * warp_size;
  static constexpr int tile = threads * keys_per_thread;
  static_assert(tile <= static_cast<int>(look_back::most_in_tile));
};

/// What find_runs makes, and where tiles tell how many runs begin in them.
struct found_runs {
  std::int64_t* rows;
  std::uint32_t* run_begins;
  std::int32_t* num_runs;
  std::uint32_t* long_runs;      // in no particular order
  std::uint32_t* num_long_runs;  // 0 before, unless there are no keys
  std::uint32_t* next_tile;      // 0 before
  std::uint32_t* told;           // [tiles] 0 before
};

template <typename Key>
__device__ __forceinline__ void write_run(const device_problem& problem, const Key* sorted_keys,
                                          const found_runs& found, std::uint32_t run,
                                          std::uint32_t begin, Key key) {
  found.run_begins[run] = begin;
  if (key == static_cast<Key>(problem.total_rows)) {  // the run of dead keys is the sentinel
    *found.num_runs = static_cast<std::int32_t>(run);
    return;
  }
  found.rows[run] = static_cast<std::int64_t>(key);
  if (problem.total_positions - begin > run_policy::longest_run &&
      sorted_keys[begin + run_policy::longest_run] == key) {
    found.long_runs[atomicAdd(found.num_long_runs, 1U)] = run;
  }
}

/// Where runs of equal sorted keys begin, numbered in their order.
template <typename Key>
__global__ void __launch_bounds__(find_runs_policy::threads)
    find_runs(const __grid_constant__ device_problem problem, const Key* sorted_keys,
              const __grid_constant__ found_runs found) {
  using policy = find_runs_policy;
  __shared__ std::uint32_t begins_of_warp[policy::warps];
  __shared__ std::uint32_t runs_before;
  const auto count = static_cast<std::uint32_t>(problem.total_positions);
  if (count == 0) {
    if (threadIdx.x == 0) {
      found.run_begins[0] = 0;
      *found.num_runs = 0;
      *found.num_long_runs = 0;
    }
    return;
  }
  const std::uint32_t tile = take_tile(found.next_tile);
  const std::uint32_t tile_left = count - tile * policy::tile;
  const unsigned warp = threadIdx.x / warp_size;
  const std::uint32_t first_of_warp = warp * policy::keys_per_warp;
  const std::uint32_t first = tile * policy::tile + first_of_warp;
  const std::uint32_t left = tile_left > first_of_warp ? tile_left - first_of_warp : 0;
  Key keys[policy::keys_per_thread];
  key_array<Key>{sorted_keys}.load(keys, first, left);
  Key before = left > 0 && first > 0 ? sorted_keys[first - 1] : ~Key{0};  // no key is that large
  unsigned begins[policy::keys_per_thread];
  int num_begins = 0;
#pragma unroll
  for (int i = 0; i < policy::keys_per_thread; ++i) {
    const Key neighbour = __shfl_up_sync(full_mask, keys[i], 1);
    const bool begin = keys[i] != (lane_index() == 0 ? before : neighbour);
    begins[i] = __ballot_sync(full_mask, begin && place_of(i) < left);
    num_begins += __popc(begins[i]);
    before = __shfl_sync(full_mask, keys[i], warp_size - 1);
  }
  if (lane_index() == 0) begins_of_warp[warp] = static_cast<std::uint32_t>(num_begins);
  __syncthreads();
  if (warp == 0) {
    const std::uint32_t mine = lane_index() < policy::warps ? begins_of_warp[lane_index()] : 0;
    const std::uint32_t sum = __reduce_add_sync(full_mask, mine);
    if (lane_index() == 0 && tile > 0) look_back::tell_own(found.told + tile, sum);
    const std::uint32_t all_before = look_back::before(found.told, tile);
    if (lane_index() == 0) {
      look_back::tell_total(found.told + tile, all_before + sum);
      runs_before = all_before;
      const bool is_last = tile_left <= policy::tile;
      if (is_last && sorted_keys[count - 1] != static_cast<Key>(problem.total_rows)) {
        found.run_begins[all_before + sum] = count;
        *found.num_runs = static_cast<std::int32_t>(all_before + sum);
      }
    }
  }
  __syncthreads();
  std::uint32_t run = runs_before;
  for (unsigned w = 0; w < warp; ++w) run += begins_of_warp[w];
  const unsigned lanes_below = (1U << lane_index()) - 1;
#pragma unroll
  for (int i = 0; i < policy::keys_per_thread; ++i) {
    if ((begins[i] >> lane_index() & 1U) != 0) {
      const auto place = static_cast<std::uint32_t>(__popc(begins[i] & lanes_below));
      write_run(problem, sorted_keys, found, run + place, first + place_of(i), keys[i]);
    }
    run += static_cast<std::uint32_t>(__popc(begins[i]));
  }
}

}  // namespace warpbag::kernels
