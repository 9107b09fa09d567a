// SPDX-License-Identifier: Apache-2.0
#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/permutation.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "numerics/philox.hpp"
#include "warpbag/batch_loader.hpp"
#include "warpbag/error.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::HWY_NAMESPACE {

/// A loop over the values in each round, which the compiler turns into vectors.
void encrypt_all(std::span<std::uint64_t> values, int half_bits, std::uint64_t seed,
                 std::uint32_t stream) {
  constexpr std::uint32_t num_rounds =
      4;  // Luby and Rackoff 1988: four rounds of a random function look random
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  for (std::uint32_t round = 0; round < num_rounds; ++round) {
    for (std::uint64_t& value : values) {
      const std::uint64_t right = value & mask;
      const std::uint32_t word =
          numerics::random_word(seed, numerics::random_use::shuffle, round, right, 0, stream);
      value = right << half_bits | ((value >> half_bits) ^ (word & mask));
    }
  }
}

}  // namespace warpbag::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag {

HWY_EXPORT(encrypt_all);

permutation::permutation(std::int64_t size, std::uint64_t seed, std::uint32_t stream)
    : size_(size), seed_(seed), stream_(stream), half_bits_(1) {
  if (size < 0 || size > std::int64_t{1} << 62) {
    throw invalid_argument("a permutation of " + std::to_string(size) +
                           " elements: not in [0, 2^62]");
  }
  if (size > 1) {
    const int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(size) - 1));
    half_bits_ = (bits + 1) / 2;
  }
}

std::int64_t permutation::operator()(std::int64_t index) const noexcept {
  std::int64_t image = 0;
  images(index, {&image, 1});
  return image;
}

void permutation::images(std::int64_t first, std::span<std::int64_t> out) const noexcept {
  // Walks go side by side: the rounds of one are a chain of dependent products, and where a walk
  // ends cannot be predicted.
  constexpr std::size_t most_walks = 128;
  std::array<std::uint64_t, most_walks> values;
  std::array<std::size_t, most_walks> places;
  for (std::size_t done = 0; done < out.size();) {
    std::size_t walks = std::min(most_walks, out.size() - done);
    for (std::size_t k = 0; k < walks; ++k) {
      values[k] = static_cast<std::uint64_t>(first) + done + k;
      places[k] = done + k;
    }
    done += walks;
    // The cycle through an index comes back to it at the latest, so every walk ends, and two walks
    // cannot meet.
    while (walks > 0) {
      encrypt({values.data(), walks});
      std::size_t left = 0;
      for (std::size_t k = 0; k < walks; ++k) {
        const std::uint64_t value = values[k];
        const std::size_t place = places[k];
        out[place] = static_cast<std::int64_t>(value);  // to be overwritten if the walk goes on
        values[left] = value;
        places[left] = place;
        left += value >= static_cast<std::uint64_t>(size_) ? 1 : 0;
      }
      walks = left;
    }
  }
}

void permutation::encrypt(std::span<std::uint64_t> values) const noexcept {
  HWY_DYNAMIC_DISPATCH(encrypt_all)(values, half_bits_, seed_, stream_);
}

}  // namespace warpbag
#endif
