// SPDX-License-Identifier: Apache-2.0
#pragma once
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; SC 2011)
// and how warpbag keys it (N5).

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

struct philox_block {
  std::uint32_t word[4];
};

/// The upper half of a product. Of the 64-bit form nvcc makes more than one multiplication, as it
/// does not see that the factors are below 2^32: a fifth of the generator.
WARPBAG_HOST_DEVICE std::uint32_t high_product(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  return __umulhi(a, b);
#else
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
#endif
}

WARPBAG_HOST_DEVICE philox_block philox4x32_10(philox_block counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    constexpr std::uint32_t multiplier0 = 0xD2511F53U;
    constexpr std::uint32_t multiplier1 = 0xCD9E8D57U;
    counter = {{high_product(multiplier1, counter.word[2]) ^ counter.word[1] ^ key0,
                multiplier1 * counter.word[2],
                high_product(multiplier0, counter.word[0]) ^ counter.word[3] ^ key1,
                multiplier0 * counter.word[0]}};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

/// What a random number is for; part of the counter, so that uses never share numbers.
enum class random_use : std::uint32_t { initialisation = 0, rounding = 1, data = 2, shuffle = 3 };

/// Four random words for columns 4 * column_group ... 4 * column_group + 3 of a row.
/// Counter: row (48 bits), column group (16 bits), step (32 bits), table (28 bits), use (4 bits);
/// key: the seed. A table has fewer than 2^48 rows, a run fewer than 2^32 steps.
WARPBAG_HOST_DEVICE philox_block random_words(std::uint64_t seed, random_use use,
                                              std::uint32_t table, std::uint64_t row,
                                              std::uint32_t column_group, std::uint64_t step) {
  const philox_block counter = {
      {static_cast<std::uint32_t>(row),
       (static_cast<std::uint32_t>(row >> 32) & 0xFFFFU) | column_group << 16,
       static_cast<std::uint32_t>(step),
       (table & 0xFFFFFFFU) | static_cast<std::uint32_t>(use) << 28}};
  return philox4x32_10(counter, seed);
}

/// The word of one column.
WARPBAG_HOST_DEVICE std::uint32_t random_word(std::uint64_t seed, random_use use,
                                              std::uint32_t table, std::uint64_t row,
                                              std::uint32_t column, std::uint64_t step) {
  return random_words(seed, use, table, row, column / 4, step).word[column % 4];
}

/// In (0, 1): (word + 0.5) * 2^-32, exact in double.
WARPBAG_HOST_DEVICE double unit_interval(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

}  // namespace warpbag::numerics
