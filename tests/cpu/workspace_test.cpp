// SPDX-License-Identifier: Apache-2.0
// What the CPU backend does with memory: when it allocates, how much, and what a failure leaves.

#include "cpu/workspace.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "cpu/thread_pool.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"
#include "warpbag/error.hpp"

namespace warpbag::cpu {
namespace {

/// Counts, and refuses once `allocations_left` have been granted.
class counting_memory final : public memory_resource {
 public:
  void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream) override {
    if (allocations_left == 0) throw bad_allocation("refused " + std::to_string(bytes) + " bytes");
    allocations_left -= 1;
    allocations += 1;
    bytes_held += bytes;
    return std::aligned_alloc(alignment, (bytes + alignment - 1) & ~(alignment - 1));
  }
  void deallocate(void* memory, std::size_t bytes, cuda_stream) noexcept override {
    bytes_held -= bytes;
    std::free(memory);
  }

  std::int64_t allocations_left = INT64_MAX;
  std::int64_t allocations = 0;
  std::size_t bytes_held = 0;
};

resources resources_with(memory_resource& memory, int num_threads) {
  resources result;
  result.memory = &memory;
  result.num_threads = num_threads;
  return result;
}

constexpr support::drawing_limits small{500, 20000};
constexpr std::uint64_t seed = 20260302;

TEST(CpuWorkspace, holds_the_bytes_that_were_announced_and_gives_all_back) {
  const operations::problem_limits limits = {3, 4, 10000, 2000, 1 << 20, 130, true};
  counting_memory memory;
  {
    const auto backend = operations::make_cpu_backend(resources_with(memory, 0));
    EXPECT_EQ(memory.bytes_held, 0U);
    backend->reserve(limits);
    EXPECT_EQ(memory.bytes_held, operations::cpu_workspace_bytes(limits));
    backend->reserve({1, 1, 1, 1, 1, 1, false});
    EXPECT_EQ(memory.allocations, 1) << "smaller limits are covered";
  }
  EXPECT_EQ(memory.bytes_held, 0U);
}

TEST(CpuWorkspace, grows_in_every_limit_by_itself) {
  const operations::problem_limits limits = {3, 4, 10000, 2000, 1 << 20, 130, true};
  for (const auto member :
       {&operations::problem_limits::tables, &operations::problem_limits::features,
        &operations::problem_limits::positions, &operations::problem_limits::bags,
        &operations::problem_limits::max_dim}) {
    counting_memory memory;
    workspace space(memory, 2);
    space.reserve(limits);
    operations::problem_limits more = limits;
    more.*member += 1000;
    space.reserve(more);
    EXPECT_EQ(memory.allocations, 2);
    EXPECT_EQ(memory.bytes_held, workspace::bytes_for(more, 2));
  }
}

TEST(CpuWorkspace, is_not_allocated_in_a_step_once_reserved) {
  SCOPED_TRACE(seed);
  const support::configuration configuration = support::random_configuration(seed, small);
  support::problem_data data = support::make_tables(configuration);
  counting_memory memory;
  const auto backend = operations::make_cpu_backend(resources_with(memory, 2));
  support::draw_batch(configuration, 0, data);
  const support::bound_problem bound = support::bind(data);
  backend->reserve(support::limits_of(bound.problem));
  memory.allocations_left = 0;
  EXPECT_NO_THROW(support::run_step(*backend, bound.problem));
}

TEST(CpuWorkspace, serves_the_old_limits_as_before_when_growing_fails) {
  for (std::uint64_t s = seed; s < seed + 20; ++s) {
    SCOPED_TRACE(s);
    const support::configuration configuration = support::random_configuration(s, small);
    support::problem_data data = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data);
    support::problem_data expected = data;
    const support::bound_problem bound_expected = support::bind(expected);
    support::run_step(*support::cpu_backend(2).make_device()->make_backend(),
                      bound_expected.problem);

    counting_memory memory;
    const auto backend = operations::make_cpu_backend(resources_with(memory, 2));
    const support::bound_problem bound = support::bind(data);
    backend->reserve(support::limits_of(bound.problem));
    const std::size_t bytes_held = memory.bytes_held;
    memory.allocations_left = 0;
    operations::problem_limits more = support::limits_of(bound.problem);
    more.positions *= 2;
    more.max_dim = 8192;
    EXPECT_THROW(backend->reserve(more), bad_allocation);
    EXPECT_EQ(memory.bytes_held, bytes_held);
    support::run_step(*backend, bound.problem);
    EXPECT_EQ(support::difference(expected, data), "");
  }
}

TEST(CpuWorkspace, fails_cleanly_when_the_first_allocation_fails) {
  counting_memory memory;
  memory.allocations_left = 0;
  const auto backend = operations::make_cpu_backend(resources_with(memory, 2));
  EXPECT_THROW(backend->reserve({1, 1, 100, 10, 1000, 16, false}), bad_allocation);
  memory.allocations_left = 1;
  EXPECT_NO_THROW(backend->reserve({1, 1, 100, 10, 1000, 16, false}));
}

}  // namespace
}  // namespace warpbag::cpu
