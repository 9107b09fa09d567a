// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reading a problem in host memory, one element at a time.

#include <cstdint>
#include <vector>

#include "operations/problem.hpp"

namespace warpbag::reference {

/// Element `index` of a vector of `type`, widened exactly.
double element(const void* data, dtype type, std::int64_t index);

std::int64_t index_at(const void* data, index_type type, std::int64_t index);

/// Positions [begin, end) of the feature's ids.
struct bag_range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

bag_range range_of(const operations::problem& problem, const operations::feature_record& feature,
                   std::int64_t bag);

/// What a lookup is to its bag (src/operations/problem.hpp: occurrence; types.hpp: bad_id_policy).
enum class lookup_kind : std::uint8_t {
  live,      ///< reads a row and trains it
  frozen,    ///< mode none on the padding row: read, not trained
  zero_row,  ///< a bad id under policy zero: a row of zeros that counts
  absent     ///< padding, or a bad id under policy skip
};

struct lookup {
  lookup_kind kind = lookup_kind::absent;
  std::int64_t row = -1;      // when live or frozen
  std::int64_t position = 0;  // within the feature's ids
  std::int64_t bag = 0;
  double weight = 1.0;
};

/// The lookups of a bag in order, absent ones too.
std::vector<lookup> lookups_of(const operations::problem& problem,
                               const operations::feature_record& feature, std::int64_t bag);

/// Lookups that count in the mean.
std::int64_t count_of(const std::vector<lookup>& lookups);

/// Element of the row that a lookup reads: 0 when it reads none.
double row_element(const operations::table_record& table, const lookup& lookup,
                   std::int64_t column);

/// For each column, which lookup of the bag wins mode max: an index into `lookups`, or -1.
std::vector<std::int32_t> winners_of(const operations::table_record& table,
                                     const std::vector<lookup>& lookups);

}  // namespace warpbag::reference
