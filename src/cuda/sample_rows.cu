// SPDX-License-Identifier: Apache-2.0
#include "kernels/sample_rows.cuh"

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

void sample_rows(const launch_context& context, const operations::problem& problem,
                 kernels::hot_filter* filters) {
  const auto launch = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(problem.features.size()), kernels::hot_row_policy::threads, 0,
             context.stream>>>(context.problem, filters);
  };
  if (problem.ids_type == index_type::i32) {
    launch(kernels::sample_rows_kernel<std::int32_t>);
  } else {
    launch(kernels::sample_rows_kernel<std::int64_t>);
  }
  check_launch("sample_rows");
}

}  // namespace warpbag::cuda
