// SPDX-License-Identifier: Apache-2.0
#include "kernels/sample_weight_gradient.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

template <typename Gradient>
void launch(const launch_context& context, const operations::problem& problem) {
  constexpr int threads = kernels::weight_gradient_policy::threads;
  kernels::sample_weight_gradient_kernel<Gradient>
      <<<grid_blocks(context, problem.total_positions, threads), threads, 0, context.stream>>>(
          context.problem, problem.ids_type);
  check_launch("sample_weight_gradient");
}

}  // namespace

void sample_weight_gradient(const launch_context& context, const operations::problem& problem) {
  const bool wanted =
      std::any_of(problem.features.begin(), problem.features.end(),
                  [](const operations::feature_record& f) { return f.weight_gradient != nullptr; });
  if (!wanted || problem.total_positions == 0) return;
  switch (problem.gradient_type) {
    case dtype::f32: launch<float>(context, problem); return;
    case dtype::f16: launch<numerics::f16>(context, problem); return;
    case dtype::bf16: launch<numerics::bf16>(context, problem); return;
  }
}

}  // namespace warpbag::cuda
