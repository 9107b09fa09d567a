// SPDX-License-Identifier: Apache-2.0
// Who sums which slice of the global batch.
#include "sharding/slice_owners.hpp"

#include <gtest/gtest.h>

#include "support/random_source.hpp"

namespace warpbag::sharding {
namespace {

using support::random_source;

std::vector<int> slices_of_each_subtree(const slice_owners& owners, std::size_t rank) {
  std::vector<int> sizes;
  for (const owned_subtree& subtree : owners.subtrees[rank]) sizes.push_back(subtree.num_slices);
  return sizes;
}

TEST(SliceOwners, even_batches_of_powers_of_two_move_nothing) {
  for (const int ranks : {1, 2, 4, 8, 16, 32, 64}) {
    const auto owners =
        assign_slices(std::vector<std::int64_t>(static_cast<std::size_t>(ranks), 128));
    EXPECT_TRUE(owners.moved.empty()) << ranks;
    // One subtree a rank at 1, 4, 16 and 64 ranks, two at 2, 8 and 32.
    const bool is_power_of_4 = ranks == 1 || ranks == 4 || ranks == 16 || ranks == 64;
    for (const auto& subtrees : owners.subtrees) {
      EXPECT_EQ(subtrees.size(), is_power_of_4 ? 1U : 2U) << ranks;
    }
  }
}

TEST(SliceOwners, a_cut_slice_goes_to_the_rank_with_most_of_it) {
  // Slices of 10 samples; slice 2 is samples 20 to 29: 5 of rank 0, 5 of rank 1; slice 4 is 40 to
  // 49: 3 of rank 1, 7 of rank 3 (rank 2 is empty).
  const slice_owners owners = assign_slices(std::vector<std::int64_t>{25, 18, 0, 597});
  EXPECT_EQ(owners.batch, 640);
  EXPECT_EQ(owners.owner[2], 0);
  EXPECT_EQ(owners.owner[3], 1);
  EXPECT_EQ(owners.owner[4], 3);
  ASSERT_EQ(owners.moved.size(), 2U);
  EXPECT_EQ(owners.moved[0].from, 1);
  EXPECT_EQ(owners.moved[0].to, 0);
  EXPECT_EQ(owners.moved[0].first, 25);
  EXPECT_EQ(owners.moved[0].count, 5);
  EXPECT_EQ(owners.moved[1].from, 1);
  EXPECT_EQ(owners.moved[1].to, 3);
  EXPECT_EQ(owners.moved[1].count, 3);
  EXPECT_EQ(slices_of_each_subtree(owners, 0), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(slices_of_each_subtree(owners, 1), (std::vector<int>{1}));
  EXPECT_EQ(slices_of_each_subtree(owners, 2), (std::vector<int>{}));
  EXPECT_EQ(slices_of_each_subtree(owners, 3), (std::vector<int>{1, 1, 1, 1, 4, 4, 16, 16, 16}));
}

TEST(SliceOwners, every_sample_is_summed_once) {
  random_source random(31);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::int64_t> batches(static_cast<std::size_t>(1 + random.below(80)));
    for (std::int64_t& batch : batches) batch = random.chance(0.3) ? 0 : random.below(40);
    const slice_owners owners = assign_slices(batches);
    std::int64_t summed = 0;
    std::vector<std::int64_t> of_rank(batches);
    for (const moved_samples& moved : owners.moved) {
      of_rank[static_cast<std::size_t>(moved.from)] -= moved.count;
      of_rank[static_cast<std::size_t>(moved.to)] += moved.count;
    }
    for (std::size_t rank = 0; rank < batches.size(); ++rank) {
      std::int64_t samples = 0;
      for (const owned_subtree& subtree : owners.subtrees[rank]) samples += subtree.num_samples;
      EXPECT_EQ(samples, of_rank[rank]);
      summed += samples;
    }
    EXPECT_EQ(summed, owners.batch);
    for (std::int64_t sample = 0; sample < owners.batch; ++sample) {
      const std::int32_t slice = numerics::slice_of(sample, owners.batch);
      EXPECT_GE(sample, first_sample_of_slice(slice, owners.batch));
      EXPECT_LT(sample, first_sample_of_slice(slice + 1, owners.batch));
    }
  }
}

}  // namespace
}  // namespace warpbag::sharding
