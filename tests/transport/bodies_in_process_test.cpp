// SPDX-License-Identifier: Apache-2.0
// The common bodies over in-process ranks, with and without faults that change nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/bodies.hpp"
#include "transport/worlds.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using testing::outcome;
using testing::transport_body;

void run_body(const transport_body& body, int size, const fault_options& faults) {
  SCOPED_TRACE(std::string(body.name) + " on " + std::to_string(size) + " ranks");
  in_process_world world(size, faults);
  const auto outcomes = testing::run_world(
      world, [&](std::unique_ptr<transport> control) { body.run(*control, control->split(0)); });
  EXPECT_THAT(outcomes, ::testing::Each(outcome{}));
}

TEST(InProcessBodies, every_collective_works) {
  for (const int size : {1, 2, 3, 4}) {
    for (const transport_body& body : testing::collective_bodies()) run_body(body, size, {});
  }
}

TEST(InProcessBodies, late_and_reordered_messages_change_nothing) {
  const fault_options faults = {
      .seed = 3, .delay_chance = 0.2, .max_delay = 100us, .reorder = true};
  for (const transport_body& body : testing::collective_bodies()) run_body(body, 4, faults);
}

TEST(InProcessBodies, every_failure_is_the_same_on_every_rank) {
  for (const int size : {1, 2, 4}) {
    for (const transport_body& body : testing::failure_bodies()) run_body(body, size, {});
  }
}

}  // namespace
}  // namespace warpbag
