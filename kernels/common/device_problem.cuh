// SPDX-License-Identifier: Apache-2.0
#pragma once
// The problem of a step as kernels see it: the records of problem.hpp in device memory, and what
// deduplicate made.

#include "numerics/host_device.hpp"
#include "operations/problem.hpp"

namespace warpbag::kernels {

using operations::feature_record;
using operations::table_record;

/// Whether a row's summed gradient is not yet what the optimizer takes.
__host__ __device__ inline bool finishes_gradients(const table_record& table) {
  return table.scale_grad_by_freq || table.optimizer.clipping != clipping_kind::none;
}

__host__ __device__ inline bool rounds_stochastically(const table_record& table) {
  return table.optimizer.stochastic_rounding && table.row_type != dtype::f32;
}

/// Written by check_inputs, read by every later kernel of the step.
struct device_status {
  unsigned long long
      batch_fault;  // 0: the batch is good and later kernels work; else they return at once.
                    // ~(packed fault): the first offender of the batch has the largest value
  unsigned long long batch_bad_ids;  // met under skip or zero in this batch
  // Since clear_status:
  unsigned long long first_fault;  // packed fault of the first bad batch, ~0: none
  long long fault_value;           // the offending id or offset of first_fault,
  long long fault_bag;             // its bag,
  long long fault_table;           // and its table
  unsigned long long bad_ids;      // met under skip or zero in good batches
  unsigned int arrivals;           // of check_inputs' blocks (last_block.cuh)
};

/// First thing of a step: nothing is known against the batch yet.
WARPBAG_HOST_DEVICE void begin_batch(device_status& status) {
  status.batch_fault = 0;
  status.batch_bad_ids = 0;
}

// A fault is packed so that the first offender of a batch has the smallest number: feature (23
// bits), offset before id (1 bit), index within the feature (40 bits). Its complement goes through
// atomicMax, so that 0 can mean "none" and the winner does not depend on the order of threads.

inline constexpr int fault_index_bits = 40;
inline constexpr unsigned long long no_fault = ~0ULL;

struct unpacked_fault {
  std::int32_t feature;
  bool is_id;
  std::int64_t index;
};

WARPBAG_HOST_DEVICE unsigned long long pack_fault(const unpacked_fault& fault) {
  return static_cast<unsigned long long>(fault.feature) << (fault_index_bits + 1) |
         static_cast<unsigned long long>(fault.is_id) << fault_index_bits |
         static_cast<unsigned long long>(fault.index);
}

WARPBAG_HOST_DEVICE unpacked_fault unpack_fault(unsigned long long fault) {
  return {static_cast<std::int32_t>(fault >> (fault_index_bits + 1)),
          (fault >> fault_index_bits & 1U) != 0,
          static_cast<std::int64_t>(fault & ((1ULL << fault_index_bits) - 1U))};
}

struct device_problem {
  const table_record* tables;      // [num_tables]
  const feature_record* features;  // [num_features]
  std::int32_t num_tables;
  std::int32_t num_features;
  std::int64_t total_positions;
  std::int64_t total_bags;
  std::int64_t total_rows;
  device_status* status;
  // [total_positions] global bag (first_bag + bag) of each position in CSR features; no_bag beyond
  // the last offset; not written for features of fixed hotness
  const std::uint32_t* bag_of_position;
  // [total_positions / 32 + 2] a bit of each position of the features that may_share_rows
  // (hot_rows.cuh): its row is hot
  const std::uint32_t* hot_lookups;
  const float* scale_of_bag;  // [total_bags] 1 / count for mean, 1 else (count: lookups that count
                              // in the mean)
};

struct run_policy {
  // A longer run is summed in pieces by other warps. Ids are often numbered by how frequent they
  // are, so that the rows of a tile are all hot: with 64 a warp has at most 1024 occurrences, with
  // 256 it had 4096, a hundred times the mean.
  static constexpr std::uint32_t longest_run = 64;
};

/// Runs of equal rows in ascending order of global row; the positions of a run ascend. Sizes live
/// on the device.
struct device_occurrences {
  const std::int64_t* rows;         // [num_runs] global rows
  const std::uint32_t* run_begins;  // [num_runs + 1] into positions
  const std::uint32_t* positions;   // [run_begins[num_runs]]
  const std::int32_t* num_runs;     // one number, on the device
  // Runs of more than run_policy::longest_run occurrences, in no particular order
  const std::uint32_t* long_runs;
  const std::uint32_t* num_long_runs;  // one number, on the device
};

}  // namespace warpbag::kernels
