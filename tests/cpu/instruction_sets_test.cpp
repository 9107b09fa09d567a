// SPDX-License-Identifier: Apache-2.0
// Every instruction set that the machine has, down to the build's baseline, trains the same bits.

#include <gtest/gtest.h>

#include "cpu/simd_targets.hpp"  // before highway.h, which reads it
#include "hwy/highway.h"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

constexpr support::drawing_limits limits{500, 40000};
constexpr std::uint64_t first_seed = 20260303;
constexpr std::int64_t num_configurations = 150;

/// Runs with one instruction set while it lives.
class chosen_target {
 public:
  explicit chosen_target(std::int64_t target) { hwy::GetChosenTarget().Update(target); }
  chosen_target(const chosen_target&) = delete;
  chosen_target& operator=(const chosen_target&) = delete;
  ~chosen_target() { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
};

support::problem_data trained(const support::configuration& configuration) {
  const auto device = support::cpu_backend(2).make_device();
  const auto backend = device->make_backend();
  support::problem_data data = support::make_tables(configuration);
  for (std::int64_t step = 0; step < configuration.steps; ++step) {
    support::draw_batch(configuration, step, data);
    const support::bound_problem bound = support::bind(data);
    support::run_step(*backend, bound.problem);
  }
  return data;
}

TEST(InstructionSets, train_the_same_bits_for_random_configurations) {
  const std::vector<std::int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const std::uint64_t seed : support::seeds_of_test(first_seed, num_configurations)) {
    const support::configuration configuration = support::random_configuration(seed, limits);
    SCOPED_TRACE(::testing::PrintToString(configuration));
    support::problem_data expected = trained(configuration);
    for (const std::int64_t target : targets) {
      const chosen_target choice(target);
      support::problem_data actual = trained(configuration);
      ASSERT_EQ(support::difference(expected, actual), "") << hwy::TargetName(target);
    }
  }
}

}  // namespace
}  // namespace warpbag
