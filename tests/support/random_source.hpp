// SPDX-License-Identifier: Apache-2.0
#pragma once
// Draws for tests. mt19937_64 is specified to the bit and nothing of <random>'s distributions is
// used, so a seed gives the same test with every standard library.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <random>

namespace warpbag::support {

class random_source {
 public:
  explicit random_source(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t word() { return engine_(); }

  /// In [0, limit).
  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(limit));
  }

  /// In [0, 1).
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  bool chance(double probability) { return unit() < probability; }

  template <typename Value>
  Value pick(std::initializer_list<Value> values) {
    return values.begin()[below(static_cast<std::int64_t>(values.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

/// 1 ... limit, small numbers more often: uniform in the logarithm.
inline std::int64_t log_uniform(random_source& random, std::int64_t limit) {
  const double x = std::exp(random.unit() * std::log(static_cast<double>(limit) + 1.0));
  return std::clamp(static_cast<std::int64_t>(x), std::int64_t{1}, limit);
}

}  // namespace warpbag::support
