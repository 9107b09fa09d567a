// SPDX-License-Identifier: Apache-2.0
#include "kernels/reduce_gradients.cuh"

#include "cuda/error.hpp"
#include "cuda/gradient_workspace.hpp"
#include "cuda/stages.hpp"
#include "kernels/plan_gradients.cuh"
#include "kernels/reduce_long_runs.cuh"
#include "kernels/reduce_narrow_runs.cuh"

namespace warpbag::cuda {

namespace {

constexpr unsigned walk_threads =
    kernels::gradient_walk_policy::warps_per_block * kernels::warp_size;

bool has_form(const operations::problem& problem, operations::gradient_form form) {
  return std::any_of(problem.tables.begin(), problem.tables.end(),
                     [&](const operations::table_record& t) { return t.gradient.form == form; });
}

/// More runs of more than longest_run occurrences than this there are not.
std::int64_t most_long_runs(std::int64_t positions) {
  return positions / (std::int64_t{kernels::run_policy::longest_run} + 1);
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
void sum_long_runs(const launch_context& context, const operations::problem& problem,
                   const gradient_workspace& workspace, const kernels::reduction& work) {
  const std::int64_t positions = problem.total_positions;
  const kernels::width_classes classes = classes_of(problem);
  const dim3 pieces_grid(
      gradient_blocks(context, {}, positions / kernels::long_run_policy::occurrences_per_slot),
      static_cast<unsigned>(classes.count));
  kernels::sum_pieces<Gradient>
      <<<pieces_grid, walk_threads, 0, context.stream>>>(work, workspace.longs, classes);
  check_launch("sum_pieces");
  kernels::finish_long_runs<Gradient>
      <<<gradient_blocks(context, workspace, most_long_runs(positions)), walk_threads, 0,
         context.stream>>>(work, workspace.longs);
  check_launch("finish_long_runs");
}

/// Whether tables are there for the kernel of these rows.
bool has_tables(const operations::problem& problem, bool narrow, bool together) {
  return std::any_of(problem.tables.begin(), problem.tables.end(),
                     [&](const operations::table_record& t) {
                       return t.gradient.form != operations::gradient_form::none &&
                              kernels::is_narrow(kernels::width_class(t.dim)) == narrow &&
                              kernels::updates_rows_together(t) == together;
                     });
}

template <typename Gradient, bool Together>
void sum_short_runs(const launch_context& context, const operations::problem& problem,
                    const gradient_workspace& workspace, const kernels::reduction& work) {
  if (has_tables(problem, true, Together)) {
    kernels::reduce_narrow_runs<Gradient, Together>
        <<<gradient_blocks(context, {}, max_runs(problem)), walk_threads, 0, context.stream>>>(
            work);
    check_launch("reduce_narrow_runs");
  }
  if (has_tables(problem, false, Together)) {
    kernels::reduce_short_runs<Gradient, Together>
        <<<gradient_blocks(context, workspace, max_runs(problem)), walk_threads, 0,
           context.stream>>>(work);
    check_launch("reduce_short_runs");
  }
}

template <typename Gradient>
void reduce(const launch_context& context, const operations::problem& problem,
            step_advance advance) {
  using policy = kernels::long_run_policy;
  const gradient_workspace workspace =
      divide_gradient_workspace(context.gradient_workspace, context.limits);
  const kernels::reduction work = make_reduction(context, problem, workspace);
  const std::int64_t long_runs = most_long_runs(problem.total_positions);
  const unsigned cutting_blocks = long_runs > 0 ? grid_blocks(context, long_runs, 1) : 0;
  kernels::plan_gradients<<<1 + cutting_blocks, policy::plan_threads, 0, context.stream>>>(
      work, workspace.longs, advance == step_advance::wanted);
  check_launch("plan_gradients");
  if (long_runs > 0) sum_long_runs<Gradient>(context, problem, workspace, work);
  sum_short_runs<Gradient, true>(context, problem, workspace, work);
  sum_short_runs<Gradient, false>(context, problem, workspace, work);
}

}  // namespace

void reduce_gradients(const launch_context& context, const operations::problem& problem,
                      step_advance advance) {
  if (has_form(problem, operations::gradient_form::dense)) {
    kernels::zero_dense_gradients<<<grid_blocks(context, problem.total_rows, block_warps),
                                    block_threads, 0, context.stream>>>(context.problem);
    check_launch("zero_dense_gradients");
  }
  if (problem.tables.empty()) return;
  switch (problem.gradient_type) {
    case dtype::f32: reduce<float>(context, problem, advance); return;
    case dtype::f16: reduce<numerics::f16>(context, problem, advance); return;
    case dtype::bf16: reduce<numerics::bf16>(context, problem, advance); return;
  }
}

}  // namespace warpbag::cuda
