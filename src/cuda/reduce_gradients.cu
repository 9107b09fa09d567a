// SPDX-License-Identifier: Apache-2.0
#include "kernels/reduce_gradients.cuh"

#include "cuda/error.hpp"
#include "cuda/gradient_workspace.hpp"
#include "cuda/stages.hpp"
#include "kernels/reduce_long_runs.cuh"

namespace warpbag::cuda {

namespace {

constexpr unsigned walk_threads =
    kernels::gradient_walk_policy::warps_per_block * kernels::warp_size;

bool has_form(const operations::problem& problem, operations::gradient_form form) {
  return std::any_of(problem.tables.begin(), problem.tables.end(),
                     [&](const operations::table_record& t) { return t.gradient.form == form; });
}

kernels::width_classes classes_of(const operations::problem& problem) {
  kernels::width_classes classes;
  for (int log_width = 0; log_width <= kernels::widest_class; ++log_width) {
    const bool present = std::any_of(problem.tables.begin(), problem.tables.end(),
                                     [&](const operations::table_record& t) {
                                       return kernels::width_class(t.dim) == log_width;
                                     });
    if (present) classes.log_width[classes.count++] = log_width;
  }
  return classes;
}

template <typename Gradient>
void reduce_long_runs(const launch_context& context, const operations::problem& problem,
                      const gradient_workspace& workspace, const kernels::reduction& work) {
  using policy = kernels::long_run_policy;
  const std::int64_t positions = problem.total_positions;
  const kernels::long_run_work& longs = workspace.longs;
  const std::int64_t most_runs = positions / (kernels::run_policy::longest_run + 1);
  const std::int64_t most_pieces = positions / policy::occurrences_per_slot;
  WARPBAG_CUDA_TRY(cudaMemsetAsync(longs.counters, 0, sizeof(*longs.counters), context.stream));
  kernels::find_long_runs<<<grid_blocks(context, max_runs(problem), block_threads), block_threads,
                            0, context.stream>>>(work, longs);
  check_launch("find_long_runs");
  kernels::
      cut_long_runs<<<grid_blocks(context, most_runs, 1), policy::cut_threads, 0, context.stream>>>(
          work, longs);
  check_launch("cut_long_runs");
  const kernels::width_classes classes = classes_of(problem);
  const dim3 pieces_grid(gradient_blocks(context, {}, most_pieces),
                         static_cast<unsigned>(classes.count));
  kernels::sum_pieces<Gradient>
      <<<pieces_grid, walk_threads, 0, context.stream>>>(work, longs, classes);
  check_launch("sum_pieces");
  std::int64_t most_sums = positions / numerics::block_occurrences + 1;
  for (int level = 0; most_sums > policy::most_sums_in_leaf; ++level) {
    most_sums = most_sums / numerics::block_occurrences + 1;
    kernels::combine_blocks<<<grid_blocks(context, most_sums, block_warps), block_threads, 0,
                              context.stream>>>(work, longs, level);
    check_launch("combine_blocks");
  }
  kernels::finish_long_runs<Gradient>
      <<<gradient_blocks(context, workspace, most_runs), walk_threads, 0, context.stream>>>(work,
                                                                                            longs);
  check_launch("finish_long_runs");
}

template <typename Gradient>
void reduce(const launch_context& context, const operations::problem& problem) {
  const gradient_workspace workspace =
      divide_gradient_workspace(context.gradient_workspace, context.limits);
  const kernels::reduction work = make_reduction(context, problem, workspace);
  kernels::plan_runs<<<1, kernels::table_plan_policy::threads, 0, context.stream>>>(work);
  check_launch("plan_runs");
  if (problem.total_positions > kernels::run_policy::longest_run) {
    reduce_long_runs<Gradient>(context, problem, workspace, work);
  }
  kernels::reduce_short_runs<Gradient>
      <<<gradient_blocks(context, workspace, max_runs(problem)), walk_threads, 0, context.stream>>>(
          work);
  check_launch("reduce_short_runs");
}

}  // namespace

void reduce_gradients(const launch_context& context, const operations::problem& problem) {
  if (has_form(problem, operations::gradient_form::dense)) {
    kernels::zero_dense_gradients<<<grid_blocks(context, problem.total_rows, block_warps),
                                    block_threads, 0, context.stream>>>(context.problem);
    check_launch("zero_dense_gradients");
  }
  if (problem.tables.empty()) return;
  switch (problem.gradient_type) {
    case dtype::f32: reduce<float>(context, problem); return;
    case dtype::f16: reduce<numerics::f16>(context, problem); return;
    case dtype::bf16: reduce<numerics::bf16>(context, problem); return;
  }
}

}  // namespace warpbag::cuda
