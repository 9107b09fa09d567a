// SPDX-License-Identifier: Apache-2.0
#pragma once
// Ids for benchmarks, by the laws that other libraries draw theirs from. The same "alpha" gives
// different data under different laws, so results always tell the distinct rows too.

#include <cstdint>
#include <span>
#include <string_view>

#include "numerics/philox.hpp"
#include "warpbag/batch_loader.hpp"

namespace warpbag::bench {

/// uniform: each row alike. power_law: cuEmbed's, bounded and continuous: density x^-alpha on [1,
/// num_rows + 1), row floor(x) - 1. zipf: FBGEMM's, P(x) ~ x^-alpha on all positive integers,
/// alpha > 1, row (x - 1) mod num_rows. all_equal: one row.
enum class id_law : std::uint8_t { uniform, power_law, zipf, all_equal };
std::string_view to_string(id_law law);

/// Draws the ids of one feature, bag after bag: the same numbers on every machine. As in the
/// libraries that they are from, ids of power_law and zipf are distinct within a bag, and their hot
/// rows are spread over the table by a permutation.
class id_source {
 public:
  /// `stream`: features of the same seed draw different ids. Throws invalid_argument for an alpha
  /// that the law has not.
  id_source(std::int64_t num_rows, id_law law, double alpha, std::uint64_t seed,
            std::uint32_t stream);

  /// One bag. Throws invalid_argument where ids are distinct and the bag is longer than the table.
  void draw(std::span<std::int64_t> bag);
  /// A number in (0, 1) from the same stream.
  double uniform();

 private:
  std::int64_t draw_distinct(std::span<const std::int64_t> taken);
  std::int64_t draw_rank();
  std::int64_t draw_power_law();
  std::int64_t draw_zipf();

  std::int64_t num_rows_;
  id_law law_;
  double alpha_;
  std::uint64_t seed_;
  std::uint32_t stream_;
  std::uint64_t num_drawn_ = 0;
  numerics::philox_block words_ = {};
  permutation row_of_rank_;
};

}  // namespace warpbag::bench
