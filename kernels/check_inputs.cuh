// SPDX-License-Identifier: Apache-2.0
#pragma once
// One pass over all offsets and ids of a batch. It reads nothing outside the buffers whatever they
// hold, so that garbage is found and not fallen over: an offset is compared before it is followed.

#include "kernels/common/hot_rows.cuh"
#include "kernels/common/last_block.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/warp.cuh"
#include "numerics/gradient_tree.hpp"

namespace warpbag::kernels {

__device__ __forceinline__ void report_fault(const device_problem& problem, std::int32_t feature,
                                             bool is_id, std::int64_t index) {
  atomicMax(&problem.status->batch_fault, ~pack_fault({feature, is_id, index}));
}

/// Offset `index` of a feature: starts at 0, does not decrease, ends within the ids. Says whether
/// it does.
template <typename Index>
__device__ __forceinline__ bool check_offset(const device_problem& problem, std::int32_t number,
                                             std::int64_t index) {
  const feature_record& feature = problem.features[number];
  const std::int64_t num_offsets = feature.num_bags + (feature.has_last_offset ? 1 : 0);
  if (feature.offsets == nullptr || index >= num_offsets) return true;
  const std::int64_t offset = load_index<Index>(feature.offsets, index);
  const bool good = index == 0 ? offset == 0
                               : offset >= load_index<Index>(feature.offsets, index - 1) &&
                                     offset <= feature.num_ids;
  if (!good) report_fault(problem, number, false, index);
  return good;
}

/// The id at a position of a feature: in range where it belongs to a bag. Says 1 for one met under
/// skip or zero.
template <typename Index>
__device__ __forceinline__ unsigned check_position(const device_problem& problem,
                                                   std::int32_t number, std::int64_t position,
                                                   bad_id_policy policy,
                                                   std::uint32_t* bag_of_position) {
  const feature_record& feature = problem.features[number];
  const std::int64_t index = position - feature.first_position;
  const bool in_bag = index < end_of_bags<Index>(feature);
  if (feature.offsets != nullptr) {
    const auto* offsets = static_cast<const Index*>(feature.offsets);
    const std::int64_t bag = last_index(
        feature.num_bags, [&](std::int64_t b) { return std::int64_t{offsets[b]} <= index; });
    bag_of_position[position] =
        in_bag ? static_cast<std::uint32_t>(feature.first_bag + bag) : no_bag;
  }
  if (!in_bag) return 0;
  if (in_range(problem.tables[feature.table], load_index<Index>(feature.ids, index))) return 0;
  if (policy != bad_id_policy::error) return 1;
  report_fault(problem, number, true, index);
  return 0;
}

/// Whether the row at a position is hot; of features without a sample it means nothing.
template <typename Index>
__device__ __forceinline__ bool is_hot_lookup(const device_problem& problem,
                                              const hot_filter* filters, std::int32_t number,
                                              std::int64_t position) {
  const feature_record& feature = problem.features[number];
  if (!may_share_rows(problem.tables[feature.table], feature)) return true;
  const std::uint32_t bucket =
      bucket_of(load_index<Index>(feature.ids, position - feature.first_position));
  return (filters[number].words[bucket / 32] >> bucket % 32 & 1U) != 0;
}

/// Leaves the bits of 32 positions, and behind the last ones the word that pool may read too; by
/// one warp.
template <typename Index>
__device__ __forceinline__ void mark_hot_lookups(const device_problem& problem,
                                                 const hot_row_work& hot, std::int32_t number,
                                                 std::int64_t position) {
  const bool is_hot = position < problem.total_positions &&
                      is_hot_lookup<Index>(problem, hot.filters, number, position);
  const unsigned bits = __ballot_sync(full_mask, is_hot);
  if (lane_index() != 0) return;
  std::uint32_t* const word = hot.lookups + position / warp_size;
  word[0] = bits;
  if (position + warp_size >= problem.total_positions) word[1] = 0;
}

__global__ void clear_status_kernel(device_status* status, bool everything) {
  if (everything) {
    begin_batch(*status);
    status->arrivals = 0;
  }
  status->first_fault = no_fault;
  status->fault_value = 0;
  status->fault_bag = 0;
  status->fault_table = 0;
  status->bad_ids = 0;
}

/// Keeps the first fault since clear_status, with what it says.
template <typename Index>
__device__ __forceinline__ void record_batch(const device_problem& problem) {
  device_status& status = *problem.status;
  if (status.batch_fault == 0) {
    status.bad_ids += status.batch_bad_ids;
    return;
  }
  if (status.first_fault != no_fault) return;
  status.first_fault = ~status.batch_fault;
  const unpacked_fault fault = unpack_fault(status.first_fault);
  const feature_record& feature = problem.features[fault.feature];
  status.fault_table = feature.table;
  status.fault_value = load_index<Index>(fault.is_id ? feature.ids : feature.offsets, fault.index);
  status.fault_bag =
      fault.is_id ? bag_within_feature(problem, feature, static_cast<std::uint32_t>(fault.index))
                  : fault.index;
}

/// Lookups of a bag that count in its mean, for the whole warp, whose lanes share the ids.
template <typename Index>
__device__ __forceinline__ std::int64_t count_lookups(const table_record& table, const void* ids,
                                                      bag_range range, bool count_bad) {
  std::int64_t count = 0;
  for (std::int64_t i = range.begin + lane_index(); i < range.end; i += warp_size) {
    const std::int64_t id = load_index<Index>(ids, i);
    count += in_range(table, id) ? (id != table.padding_idx) : count_bad;
  }
#pragma unroll
  for (int width = warp_size / 2; width > 0; width /= 2) {
    count += __shfl_xor_sync(full_mask, count, width);
  }
  return count;
}

/// Offsets of 32 bags, a lane each, and their scale_of_bag, which means nothing if the batch turns
/// out to be bad. Bags whose ids must be looked at (padding, or bad ids that may be there) are
/// counted by the whole warp, one after the other: only where the bag lies within the ids, and not
/// when an offset is known to be bad, for bags may then overlap and look at every id many times.
template <typename Index>
__device__ __forceinline__ void check_bags(const device_problem& problem, std::int64_t first,
                                           bad_id_policy policy, float* scale_of_bag) {
  const std::int64_t bag = first + lane_index();
  std::int64_t count = 1;
  std::int32_t number = 0;
  bag_range range = {};
  bool good = true;
  bool look = false;
  if (bag < problem.total_bags) {
    number = feature_of_bag(problem, bag);
    const feature_record& feature = problem.features[number];
    good = check_offset<Index>(problem, number, bag - feature.first_bag);
    if (feature.mode == pooling_mode::mean) {
      range = range_of_bag<Index>(feature, bag - feature.first_bag);
      count = range.end - range.begin;
      good = good && range.begin >= 0 && count >= 0 && range.end <= feature.num_ids;
      look = policy != bad_id_policy::error || problem.tables[feature.table].padding_idx >= 0;
    }
  }
  unsigned left = __ballot_sync(full_mask, look);
  if (__all_sync(full_mask, good) == 0 || (left != 0 && *static_cast<volatile unsigned long long*>(
                                                            &problem.status->batch_fault) != 0)) {
    left = 0;
  }
  for (; left != 0; left &= left - 1) {
    const int lane = __ffs(static_cast<int>(left)) - 1;
    const feature_record& feature = problem.features[__shfl_sync(full_mask, number, lane)];
    const bag_range shared = {__shfl_sync(full_mask, range.begin, lane),
                              __shfl_sync(full_mask, range.end, lane)};
    const std::int64_t counted = count_lookups<Index>(problem.tables[feature.table], feature.ids,
                                                      shared, policy == bad_id_policy::zero);
    if (lane_index() == lane) count = counted;
  }
  if (bag < problem.total_bags) {
    scale_of_bag[bag] = count > 0 ? numerics::mean_scale(count) : 1.0F;
  }
}

/// A warp takes 32 positions, or 32 bags, or the last offsets of 32 features. The last block keeps
/// what was found.
template <typename Index>
__global__ void __launch_bounds__(256)
    check_inputs_kernel(const __grid_constant__ device_problem problem, bad_id_policy policy,
                        std::uint32_t* bag_of_position, float* scale_of_bag,
                        const __grid_constant__ hot_row_work hot) {
  std::int64_t item = warp_index();
  std::int64_t end = warps_for(problem.total_positions);
  unsigned bad_ids = 0;
  for (; item < end; item += num_warps()) {
    const std::int64_t position = item * warp_size + lane_index();
    std::int32_t number = 0;
    if (position < problem.total_positions) {
      number = feature_of_position(problem, position);
      bad_ids += check_position<Index>(problem, number, position, policy, bag_of_position);
    }
    if (hot.lookups != nullptr) mark_hot_lookups<Index>(problem, hot, number, position);
  }
  bad_ids = __reduce_add_sync(full_mask, bad_ids);
  if (lane_index() == 0 && bad_ids != 0) {
    atomicAdd(&problem.status->batch_bad_ids, static_cast<unsigned long long>(bad_ids));
  }
  std::int64_t first = end;
  end += warps_for(problem.total_bags);
  for (; item < end; item += num_warps()) {
    check_bags<Index>(problem, (item - first) * warp_size, policy, scale_of_bag);
  }
  first = end;
  end += warps_for(problem.num_features);
  for (; item < end; item += num_warps()) {
    const std::int64_t number = (item - first) * warp_size + lane_index();
    if (number < problem.num_features) {
      check_offset<Index>(problem, static_cast<std::int32_t>(number),
                          problem.features[number].num_bags);
    }
  }
  if (is_last_block(&problem.status->arrivals) && threadIdx.x == 0) record_batch<Index>(problem);
}

}  // namespace warpbag::kernels
