// SPDX-License-Identifier: Apache-2.0
#include "numerics/gradient_tree.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace warpbag::numerics {
namespace {

TEST(SliceOf, is_the_sample_itself_in_a_batch_of_64) {
  for (std::int64_t sample = 0; sample < 64; ++sample) EXPECT_EQ(slice_of(sample, 64), sample);
}

TEST(SliceOf, cuts_every_batch_into_ascending_slices_of_nearly_equal_size) {
  for (const std::int64_t batch : {1, 2, 63, 64, 65, 127, 1000, 4096, 65537}) {
    std::vector<std::int64_t> sizes(64, 0);
    std::int32_t previous = 0;
    for (std::int64_t sample = 0; sample < batch; ++sample) {
      const std::int32_t slice = slice_of(sample, batch);
      ASSERT_GE(slice, previous);
      ASSERT_LT(slice, 64);
      previous = slice;
      ++sizes[static_cast<std::size_t>(slice)];
    }
    for (const std::int64_t size : sizes) {
      EXPECT_GE(size, batch / 64);
      EXPECT_LE(size, batch / 64 + 1);
    }
  }
}

TEST(SliceOf, cuts_at_rank_borders_when_the_ranks_share_the_batch_evenly) {
  for (const std::int64_t ranks : {2, 4, 8, 16, 32, 64}) {
    const std::int64_t batch = ranks * 37;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      EXPECT_EQ(slice_of(rank * 37, batch), rank * 64 / ranks);
      if (rank == 0) continue;
      EXPECT_EQ(slice_of(rank * 37 - 1, batch), rank * 64 / ranks - 1);
    }
  }
}

TEST(SliceOf, does_not_overflow_in_a_batch_of_2_to_the_56) {
  const std::int64_t batch = std::int64_t{1} << 56;
  EXPECT_EQ(slice_of(batch - 1, batch), 63);
  EXPECT_EQ(slice_of(batch / 2, batch), 32);
}

TEST(SumsEnded, counts_the_levels_of_the_tree_between_two_slices) {
  EXPECT_EQ(sums_ended(5, 5), 0);
  EXPECT_EQ(sums_ended(4, 7), 1);
  EXPECT_EQ(sums_ended(3, 4), 2);
  EXPECT_EQ(sums_ended(0, 15), 2);
  EXPECT_EQ(sums_ended(15, 16), 3);
  EXPECT_EQ(sums_ended(0, 63), 3);
  for (std::int32_t slice = 0; slice < 64; ++slice) {
    for (std::int32_t next = slice; next < 64; ++next) {
      const int ended = (slice != next ? 1 : 0) + (slice / 4 != next / 4 ? 1 : 0) +
                        (slice / 16 != next / 16 ? 1 : 0);
      EXPECT_EQ(sums_ended(slice, next), ended) << slice << " " << next;
    }
  }
}

TEST(MeanScale, is_the_reciprocal_rounded_once) {
  EXPECT_EQ(mean_scale(1), 1.0F);
  EXPECT_EQ(mean_scale(3), 1.0F / 3.0F);
  EXPECT_EQ(mean_scale(std::int64_t{1} << 40), 0x1p-40F);
}

}  // namespace
}  // namespace warpbag::numerics
