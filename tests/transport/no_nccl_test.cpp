// SPDX-License-Identifier: Apache-2.0
// A build without NCCL says so.
#include <gtest/gtest.h>

#include "warpbag/transport.hpp"

namespace warpbag {
namespace {

TEST(NoNccl, every_way_to_it_says_that_this_build_has_none) {
  const resources here = {{device_kind::cuda, 0}, nullptr, nullptr, 0};
  in_process_world world(1);
  const auto bootstrap = world.connect(0);
  EXPECT_FALSE(has_nccl());
  EXPECT_THROW(make_nccl_id(), device_unavailable);
  EXPECT_THROW(make_nccl_transport(here, 0, 1, nccl_id()), device_unavailable);
  EXPECT_THROW(make_nccl_transport(here, nullptr), device_unavailable);
  EXPECT_THROW(make_nccl_transport(here, *bootstrap), device_unavailable);
  EXPECT_THROW(make_nccl_transport(here, 0, 1, "meeting", "job 7"), device_unavailable);
  EXPECT_THROW(make_nccl_transport_from_environment(here), device_unavailable);
  EXPECT_THROW(make_nccl_transports({}), device_unavailable);
}

}  // namespace
}  // namespace warpbag
