// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kernels of pool, a file for each part and type of ids: they take most of the compiler's time,
// so they are compiled side by side. Each does nothing where its part has no warps.

#include "cuda/launch_context.hpp"

namespace warpbag::cuda {

template <typename Index>
void launch_pool_sums(const launch_context& context, const operations::problem& problem);
template <>
void launch_pool_sums<std::int32_t>(const launch_context&, const operations::problem&);
template <>
void launch_pool_sums<std::int64_t>(const launch_context&, const operations::problem&);

template <typename Index>
void launch_pool_others(const launch_context& context, const operations::problem& problem);
template <>
void launch_pool_others<std::int32_t>(const launch_context&, const operations::problem&);
template <>
void launch_pool_others<std::int64_t>(const launch_context&, const operations::problem&);

}  // namespace warpbag::cuda
