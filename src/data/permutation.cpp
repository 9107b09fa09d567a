// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <string>

#include "numerics/philox.hpp"
#include "warpbag/batch_loader.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

constexpr int num_rounds =
    4;  // Luby and Rackoff 1988: four rounds of a random function look random

}  // namespace

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
  // The cycle through `index` comes back to `index` at the latest, so the walk ends, and two walks
  // cannot meet.
  auto value = static_cast<std::uint64_t>(index);
  do {
    value = encrypt(value);
  } while (value >= static_cast<std::uint64_t>(size_));
  return static_cast<std::int64_t>(value);
}

std::uint64_t permutation::encrypt(std::uint64_t value) const noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint32_t round = 0; round < num_rounds; ++round) {
    const std::uint32_t word =
        numerics::random_word(seed_, numerics::random_use::shuffle, round, right, 0, stream_);
    const std::uint64_t next = left ^ (word & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

}  // namespace warpbag
