// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "cpu/occurrence_window.hpp"

namespace warpbag::cpu {
namespace {

TEST(SliceFinder, agrees_with_slice_of_for_every_sample_of_small_batches) {
  for (std::int64_t batch = 1; batch <= 700; ++batch) {
    const slice_finder slice(batch);
    for (std::int64_t sample = 0; sample < batch; ++sample) {
      ASSERT_EQ(slice(sample), numerics::slice_of(sample, batch)) << sample << " of " << batch;
    }
  }
}

TEST(SliceFinder, agrees_with_slice_of_beside_every_border_of_large_batches) {
  constexpr std::int64_t most_with_reciprocal = std::int64_t{1} << 26;
  for (const std::int64_t batch :
       {std::int64_t{4095}, std::int64_t{65537}, std::int64_t{6000011}, most_with_reciprocal - 1,
        most_with_reciprocal, most_with_reciprocal + 1, (std::int64_t{1} << 40) + 7}) {
    const slice_finder slice(batch);
    for (std::int64_t border = 0; border <= numerics::num_slices; ++border) {
      const std::int64_t first = border * (batch / numerics::num_slices);
      for (std::int64_t near = -70; near <= 70; ++near) {
        const std::int64_t sample = std::clamp<std::int64_t>(first + near, 0, batch - 1);
        ASSERT_EQ(slice(sample), numerics::slice_of(sample, batch)) << sample << " of " << batch;
      }
    }
  }
}

}  // namespace
}  // namespace warpbag::cpu
