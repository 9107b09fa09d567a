// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which rows of a batch are hot (common/hot_rows.cuh): counts a sample of each large feature's ids.
// Ids are not checked yet; they are counted and not followed.

#include "kernels/common/hot_rows.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// What a block counts.
struct sample_counts {
  // Two buckets a word. 16 bits hold all samples.
  std::uint32_t pairs[hot_row_policy::buckets / 2];
  // Buckets of each count; the last: of that many samples or more, at most 64 of 2^14.
  static constexpr int most = 256;
  std::uint32_t buckets_of[most + 1];
  std::uint32_t least;   // samples of a hot bucket
  std::uint32_t served;  // samples in hot buckets

  __device__ __forceinline__ std::uint32_t of(int bucket) const {
    return pairs[bucket / 2] >> (bucket % 2 * 16) & 0xFFFFU;
  }
};

/// The i-th sample of n positions: one of each n / samples, not always the same of a bag.
__device__ __forceinline__ std::int64_t sampled_position(std::uint32_t i, std::int64_t n) {
  const auto all = static_cast<std::uint64_t>(n);  // below 2^32
  const std::uint32_t within = i * 0x9E3779B9U;    // 2^32 / golden ratio: evenly spread
  return static_cast<std::int64_t>((i * all + (within * all >> 32U)) / hot_row_policy::samples);
}

template <typename Index>
__device__ __forceinline__ void count_samples(const feature_record& feature,
                                              sample_counts& counts) {
  for (std::uint32_t i = threadIdx.x; i < hot_row_policy::samples; i += blockDim.x) {
    const std::uint32_t bucket =
        bucket_of(load_index<Index>(feature.ids, sampled_position(i, feature.num_ids)));
    atomicAdd(&counts.pairs[bucket / 2], 1U << (bucket % 2 * 16));
  }
}

/// The least count, two or more, that no more than `most` buckets reach; by one warp.
__device__ __forceinline__ std::uint32_t least_count(const sample_counts& counts,
                                                     std::uint32_t most) {
  std::uint32_t before = 0;  // buckets of larger counts
  for (int last = sample_counts::most; last > 0; last -= warp_size) {
    const int count = last - lane_index();
    const std::uint32_t reach = sum_up_to_lane(count >= 2 ? counts.buckets_of[count] : 0U);
    const unsigned too_many = __ballot_sync(full_mask, before + reach > most);
    if (too_many != 0) {
      return static_cast<std::uint32_t>(last + 2 - __ffs(static_cast<int>(too_many)));
    }
    before += __shfl_sync(full_mask, reach, warp_size - 1);
  }
  return 2;
}

/// Calls visit(bucket, count) for all buckets, whole warps at a time.
template <typename Visit>
__device__ __forceinline__ void for_buckets(const sample_counts& counts, Visit visit) {
  for (auto bucket = static_cast<int>(threadIdx.x); bucket < hot_row_policy::buckets;
       bucket += static_cast<int>(blockDim.x)) {
    visit(bucket, counts.of(bucket));
  }
}

/// Finds counts.least and counts.served.
__device__ __forceinline__ void find_hot_buckets(sample_counts& counts, const table_record& table) {
  for_buckets(counts, [&](int, std::uint32_t count) {
    if (count >= 2) {
      atomicAdd(&counts.buckets_of[min(count, std::uint32_t{sample_counts::most})], 1U);
    }
  });
  __syncthreads();
  if (threadIdx.x < warp_size) {
    // L1 has lines of 128 bytes, and a warp reads strips of 512.
    const std::int64_t line = 128;
    const std::int64_t bytes =
        min((row_bytes_of(table) + line - 1) / line * line, std::int64_t{warp_size} * 16);
    const auto most = static_cast<std::uint32_t>(hot_row_policy::kept_bytes / bytes);
    const std::uint32_t least = least_count(counts, most);
    if (threadIdx.x == 0) counts.least = least;
  }
  __syncthreads();
  std::uint32_t served = 0;
  for_buckets(counts, [&](int, std::uint32_t count) {
    if (count >= counts.least) served += count;
  });
  served = __reduce_add_sync(full_mask, served);
  if (lane_index() == 0 && served != 0) atomicAdd(&counts.served, served);
  __syncthreads();
}

/// A block for each feature. Where hot rows would serve too few lookups, all count as hot, and L1
/// does what it did.
template <typename Index>
__global__ void __launch_bounds__(hot_row_policy::threads)
    sample_rows_kernel(const __grid_constant__ device_problem problem, hot_filter* filters) {
  __shared__ sample_counts counts;
  const feature_record& feature = problem.features[blockIdx.x];
  const table_record& table = problem.tables[feature.table];
  if (!may_share_rows(table, feature)) return;
  for (std::uint32_t i = threadIdx.x; i < sizeof(counts) / 4; i += blockDim.x) {
    reinterpret_cast<std::uint32_t*>(&counts)[i] = 0;
  }
  __syncthreads();
  count_samples<Index>(feature, counts);
  __syncthreads();
  find_hot_buckets(counts, table);
  const bool pays = counts.served * hot_row_policy::least_share >= hot_row_policy::samples;
  for_buckets(counts, [&](int bucket, std::uint32_t count) {
    const unsigned word = __ballot_sync(full_mask, !pays || count >= counts.least);
    if (lane_index() == 0) filters[blockIdx.x].words[bucket / warp_size] = word;
  });
}

}  // namespace warpbag::kernels
