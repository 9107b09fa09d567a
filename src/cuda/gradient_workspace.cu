// SPDX-License-Identifier: Apache-2.0
#include "cuda/gradient_workspace.hpp"

#include <algorithm>

#include "cuda/error.hpp"
#include "cuda/stages.hpp"

namespace warpbag::cuda {

namespace {

using policy = kernels::long_run_policy;

/// Sums of rows wider than shared memory holds: 32 MiB whatever the dim, which is 1024 warps of the
/// widest rows.
constexpr std::int64_t wide_sum_elements = std::int64_t{1} << 23;

class divider {
 public:
  explicit divider(void* base) : base_(static_cast<char*>(base)) {}

  template <typename Element>
  Element* take(std::int64_t count) {
    auto* const part = reinterpret_cast<Element*>(base_ + bytes_);
    bytes_ += (static_cast<std::size_t>(count) * sizeof(Element) + 255) / 256 * 256;
    return base_ == nullptr ? nullptr : part;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  char* base_;
  std::size_t bytes_ = 0;
};

kernels::long_run_work divide_long_run_work(divider& parts,
                                            const operations::problem_limits& limits) {
  kernels::long_run_work longs = {};
  std::int64_t slots = limits.positions / policy::occurrences_per_slot + 1;
  longs.counters = parts.take<kernels::long_run_counters>(1);
  const std::int64_t num_cut = limits.positions / (std::int64_t{policy::longest_piece} + 1) + 1;
  longs.leaf_begins = parts.take<std::uint32_t>(num_cut * numerics::num_slices);
  longs.piece_capacity = slots;
  longs.pieces = parts.take<kernels::piece>(slots * policy::width_classes);
  longs.partial_stride = (limits.max_dim + 3) / 4 * 4;
  longs.partials[0] = parts.take<float>(slots * longs.partial_stride);
  for (int level = 0; level < policy::max_levels; ++level) {
    slots = slots / policy::sums_per_slot + 1;
    longs.combinations[level] = parts.take<kernels::combination>(slots);
    longs.partials[level + 1] = parts.take<float>(slots * longs.partial_stride);
  }
  return longs;
}

}  // namespace

gradient_workspace divide_gradient_workspace(void* base, const operations::problem_limits& limits) {
  gradient_workspace workspace;
  divider parts(base);
  workspace.plan = parts.take<kernels::planned_table>(limits.tables + 1);
  const int strips = kernels::num_strips(static_cast<std::int32_t>(limits.max_dim));
  if (strips > kernels::gradient_walk_policy::sums_per_lane) {
    workspace.wide_sums = parts.take<float>(wide_sum_elements);
    workspace.wide_warps = wide_sum_elements / (std::int64_t{strips} * kernels::strip_columns);
  }
  if (limits.positions > kernels::run_policy::longest_run) {
    workspace.longs = divide_long_run_work(parts, limits);
  }
  if (limits.positions > kernels::pool_policy::longest_bag) {
    // The sums of blocks lie where a backward has those of pieces.
    static_assert(kernels::pool_policy::positions_per_slot == policy::occurrences_per_slot);
    const std::int64_t slots = limits.positions / policy::occurrences_per_slot + 1;
    workspace.long_bags = {workspace.longs.partials[0], workspace.longs.partial_stride,
                           parts.take<unsigned long long>(slots * strips), strips};
  }
  workspace.bytes = parts.bytes();
  return workspace;
}

kernels::reduction make_reduction(const launch_context& context, const operations::problem& problem,
                                  const gradient_workspace& workspace) {
  const bool has_partials = std::any_of(problem.features.begin(), problem.features.end(),
                                        [](const auto& f) { return f.partials != nullptr; });
  return {context.problem, context.occurrences, problem.ids_type,
          workspace.plan,  workspace.wide_sums, static_cast<std::int32_t>(context.limits.max_dim),
          has_partials};
}

unsigned gradient_blocks(const launch_context& context, const gradient_workspace& workspace,
                         std::int64_t warps) {
  using walk = kernels::gradient_walk_policy;
  const std::int64_t most = workspace.wide_warps > 0 ? workspace.wide_warps : warps;
  const std::int64_t wanted = std::min(warps, most) / walk::warps_per_block;
  // Twice what the device holds: the second half levels out what the first leaves uneven, and more
  // would find nothing to do, for most batches have far fewer rows than lookups.
  const std::int64_t enough =
      std::int64_t{context.num_multiprocessors} * walk::blocks_per_multiprocessor * 2;
  return static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, enough));
}

void reset_gradient_workspace(const launch_context& context) {
  const gradient_workspace workspace =
      divide_gradient_workspace(context.gradient_workspace, context.limits);
  const auto clear = [&](void* counters, std::size_t bytes) {
    if (counters != nullptr) WARPBAG_CUDA_TRY(cudaMemsetAsync(counters, 0, bytes, context.stream));
  };
  clear(workspace.longs.counters, sizeof(kernels::long_run_counters));
  const std::int64_t slots = context.limits.positions / policy::occurrences_per_slot + 1;
  clear(workspace.long_bags.arrived,
        static_cast<std::size_t>(slots * workspace.long_bags.strips) * sizeof(unsigned long long));
}

kernels::long_bag_work long_bags_of(const launch_context& context) {
  return divide_gradient_workspace(context.gradient_workspace, context.limits).long_bags;
}

std::size_t reduce_gradients_workspace_bytes(const operations::problem_limits& limits) {
  return divide_gradient_workspace(nullptr, limits).bytes;
}

}  // namespace warpbag::cuda
