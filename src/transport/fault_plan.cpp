// SPDX-License-Identifier: Apache-2.0
#include "transport/fault_plan.hpp"

#include <numeric>
#include <string>
#include <utility>

namespace warpbag::ranks {
namespace {

/// One draw per key; the finaliser of SplitMix64 after every word.
std::uint64_t draw(std::initializer_list<std::uint64_t> key) {
  std::uint64_t value = 0;
  for (const std::uint64_t word : key) {
    value += word + 0x9E3779B97F4A7C15U;
    value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
    value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
    value ^= value >> 31U;
  }
  return value;
}

double unit(std::uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1p-53; }

std::uint64_t word(std::int64_t value) { return static_cast<std::uint64_t>(value); }

enum purpose : std::uint64_t { whether_late, how_late, order_of_links };

}  // namespace

fault_plan::fault_plan(int size, const fault_options& options)
    : options_(options),
      calls_(std::make_unique<std::atomic<std::int64_t>[]>(static_cast<std::size_t>(size))) {
  if (!(options.delay_chance >= 0.0 && options.delay_chance <= 1.0) ||
      options.max_delay.count() < 0) {
    throw invalid_argument("in_process_world: delay_chance " +
                           std::to_string(options.delay_chance) + ", max_delay " +
                           std::to_string(options.max_delay.count()) + " us");
  }
  for (const int rank : {options.killed_rank, options.corrupted_rank}) {
    if (rank < -1 || rank >= size) {
      throw invalid_argument("in_process_world: a fault for rank " + std::to_string(rank) + " of " +
                             std::to_string(size));
    }
  }
}

fault_plan::call fault_plan::next_call(int rank) {
  const std::int64_t number = calls_[static_cast<std::size_t>(rank)]++;
  return {number, rank == options_.killed_rank && number >= options_.killed_at_call,
          rank == options_.corrupted_rank && number == options_.corrupted_at_call};
}

bool fault_plan::killed(int rank) const {
  return rank == options_.killed_rank &&
         calls_[static_cast<std::size_t>(rank)] > options_.killed_at_call;
}

std::chrono::microseconds fault_plan::delay(int from, int to, std::int64_t number) const {
  if (options_.delay_chance <= 0.0) return {};
  const auto key = [&](purpose what) {
    return draw({options_.seed, what, word(from), word(to), word(number)});
  };
  if (unit(key(whether_late)) >= options_.delay_chance) return {};
  const double late = unit(key(how_late)) * static_cast<double>(options_.max_delay.count());
  return std::chrono::microseconds(static_cast<std::int64_t>(late));
}

std::vector<int> fault_plan::order(int to, std::int64_t number, int size) const {
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  if (!options_.reorder) return ranks;
  for (std::size_t left = ranks.size(); left > 1; --left) {
    const std::uint64_t random =
        draw({options_.seed, order_of_links, word(to), word(number), left});
    std::swap(ranks[left - 1], ranks[random % left]);
  }
  return ranks;
}

}  // namespace warpbag::ranks
