// SPDX-License-Identifier: Apache-2.0
#pragma once
// The stages of a step on a CUDA device, one .cu of the same name each. All of them enqueue on
// context.stream and return; none allocates, waits, or reads device memory on the host. Each does
// nothing on the device when the batch is bad (device_status::batch_fault). They throw cuda_error.

#include <span>
#include <vector>

#include "cuda/launch_context.hpp"
#include "kernels/common/hot_rows.cuh"
#include "kernels/common/routing_work.cuh"
#include "numerics/initialisation.hpp"
#include "operations/problem.hpp"
#include "operations/routing.hpp"
#include "operations/row_lanes.hpp"

namespace warpbag::cuda {

/// Puts records into device memory by way of kernel parameters. new_batch: a batch begins with
/// them, whose status this is; else nullptr.
void upload(cudaStream_t stream, std::span<const std::uint64_t> words, std::uint64_t* destination,
            kernels::device_status* new_batch = nullptr);

/// Finds the hot rows of the batch's large features (kernels/common/hot_rows.cuh).
void sample_rows(const launch_context& context, const operations::problem& problem,
                 kernels::hot_filter* filters);
/// Judges the batch that upload began; writes bag_of_position, scale_of_bag and the status.
void check_inputs(const launch_context& context, const operations::problem& problem,
                  std::uint32_t* bag_of_position, float* scale_of_bag,
                  const kernels::hot_row_work& hot);
/// Forgets what was found since the last call; `everything`: the fault of this batch too.
void clear_status(cudaStream_t stream, kernels::device_status* status, bool everything);

/// Where deduplicate works and what it makes (workspace.hpp).
struct deduplicate_buffers {
  void* keys[2];
  std::uint32_t* positions[2];
  void* scratch;
  std::int64_t* rows;
  std::uint32_t* run_begins;
  std::int32_t* num_runs;
  std::uint32_t* long_runs;
  std::uint32_t* num_long_runs;
};
kernels::device_occurrences deduplicate(const launch_context& context,
                                        const operations::problem& problem,
                                        const deduplicate_buffers& buffers);
std::size_t deduplicate_scratch_bytes(const operations::problem_limits& limits);
/// Has to be done once to new scratch memory of deduplicate or route.
void reset_deduplicate_scratch(const launch_context& context, void* scratch);

/// Where route works: what deduplicate has left free, and memory of its own (workspace.hpp).
struct route_buffers {
  std::uint32_t* keys[2];
  std::uint32_t* runs[2];
  void* scratch;  // may be deduplicate's
};
void route(const launch_context& context, const operations::problem& problem,
           const kernels::routing_work& work, std::int64_t num_destinations,
           const route_buffers& buffers);
std::size_t route_scratch_bytes(const operations::problem_limits& limits);
/// Records of all features, on the device.
void split_by_subtree(const launch_context& context, const operations::problem& problem,
                      const operations::subtree_record* records);
/// Records of all tables, on the device; packed nullptr: nothing is wanted of this one.
void pack_partials(const launch_context& context, const operations::problem& problem,
                   const operations::packed_record* tables);
void unpack_partials(const launch_context& context, std::int64_t count, const std::int64_t* packed,
                     const std::uint32_t* occurrences, std::int64_t* rows,
                     operations::partial_record* partials);
/// max_norm: after deduplicate.
void add_row_lanes(const launch_context& context, const operations::problem& problem,
                   operations::row_reduction which);
void write_rows(const launch_context& context, const operations::table_record& table,
                const std::int64_t* rows, std::int64_t count, const void* values);

/// The records of a part of pool's features, with its warps dealt to them. Returns their number.
std::int64_t make_pool_records(const operations::problem& problem, std::size_t part,
                               int num_multiprocessors, std::vector<kernels::pool_record>& records);
/// Reads bag_of_position. context.long_bags is long_bags_of(context).
void pool(const launch_context& context, const operations::problem& problem);
void renormalize_rows(const launch_context& context, const operations::problem& problem);
void sample_weight_gradient(const launch_context& context, const operations::problem& problem);
/// numerics::advance on the step_state of every table whose gradient form is `form`.
void advance_steps(const launch_context& context, const operations::problem& problem,
                   operations::gradient_form form);
/// Whether reduce_gradients does advance_steps for the tables of gradient form fused first.
enum class step_advance : bool { done, wanted };
void reduce_gradients(const launch_context& context, const operations::problem& problem,
                      step_advance advance);
/// Room for pool in the gradient workspace: forward and backward take turns on a stream.
kernels::long_bag_work long_bags_of(const launch_context& context);
/// Has to be done to a new gradient workspace, and when a call of reduce_gradients threw.
void reset_gradient_workspace(const launch_context& context);
/// The optimizer on tables of gradient form sparse; steps are already advanced.
void update_rows(const launch_context& context, const operations::problem& problem);

void initialize_rows(const launch_context& context, const operations::table_record& table,
                     numerics::init_kind kind, float scale);
void fill(const launch_context& context, float* memory, std::int64_t count, float value);

/// Bytes of launch_context::gradient_workspace (256-byte aligned).
std::size_t reduce_gradients_workspace_bytes(const operations::problem_limits& limits);

}  // namespace warpbag::cuda
