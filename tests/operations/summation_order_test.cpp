// SPDX-License-Identifier: Apache-2.0
// The orders of summation N2 and N3 (docs/numerics.md), written down once more in the plainest way
// and compared to the last bit: whatever a backend cuts, it must add in this order.

#include <gtest/gtest.h>

#include <cmath>

#include "numerics/float_formats.hpp"
#include "numerics/gradient_tree.hpp"
#include "reference/lookups.hpp"
#include "support/configuration.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::feature_record;
using operations::problem;
using operations::table_record;
using reference::lookup;
using reference::lookup_kind;

#ifdef WARPBAG_TEST_CUDA
constexpr support::drawing_limits limits{600, 4000};
constexpr std::int64_t num_configurations = 15;
constexpr std::int64_t leaf_of_levels = 64 * 64 + 70;
#else
constexpr support::drawing_limits limits{20000, 100000};
constexpr std::int64_t num_configurations = 60;
constexpr std::int64_t leaf_of_levels = 64 * 64 * 64 + 5000;
#endif
constexpr std::uint64_t first_seed = 52000000;

float weight_of(const lookup& x) { return static_cast<float>(x.weight); }

/// N2 for modes sum and mean.
float pooled_value(const table_record& table, const feature_record& feature,
                   const std::vector<lookup>& lookups, std::int64_t column) {
  float total = 0.0F;
  for (std::size_t begin = 0; begin < lookups.size(); begin += 64) {
    float block = 0.0F;
    for (std::size_t i = begin; i < std::min(begin + 64, lookups.size()); ++i) {
      if (lookups[i].kind != lookup_kind::live) continue;
      const auto x = static_cast<float>(reference::row_element(table, lookups[i], column));
      block = feature.weights == nullptr ? block + x : std::fma(weight_of(lookups[i]), x, block);
    }
    total += block;
  }
  const std::int64_t count = reference::count_of(lookups);
  if (feature.mode == pooling_mode::mean && count > 0) total /= static_cast<float>(count);
  return total;
}

/// An occurrence as it enters its leaf: fma(gradient, scale, acc).
struct term {
  float gradient;
  float scale;
};

/// N3: blocks of 64 terms, then 64 sums to one until one is left.
float leaf_sum(const std::vector<term>& terms) {
  std::vector<float> sums;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (i % 64 == 0) sums.push_back(0.0F);
    sums.back() = std::fma(terms[i].gradient, terms[i].scale, sums.back());
  }
  while (sums.size() > 1) {
    std::vector<float> upper;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (i % 64 == 0) upper.push_back(0.0F);
      upper.back() += sums[i];
    }
    sums = upper;
  }
  return sums.front();
}

using leaves = std::vector<std::vector<term>>;  // the terms of each of the 64 slices

bool has_terms(const leaves& slices, std::size_t first, std::size_t width) {
  for (std::size_t slice = first; slice < first + width; ++slice) {
    if (!slices[slice].empty()) return true;
  }
  return false;
}

float tree_sum(const leaves& slices, std::size_t first, std::size_t width) {
  if (width == 1) return leaf_sum(slices[first]);
  float acc = 0.0F;
  for (std::size_t child = first; child < first + width; child += width / 4) {
    if (has_terms(slices, child, width / 4)) acc += tree_sum(slices, child, width / 4);
  }
  return acc;
}

/// One column of a table's gradient from one feature, for each row that it touches.
std::map<std::int64_t, float> gradient_of_feature(const problem& problem,
                                                  const feature_record& feature,
                                                  std::int64_t column) {
  std::map<std::int64_t, leaves> rows;
  for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
    const std::vector<lookup> lookups = reference::lookups_of(problem, feature, bag);
    const float share =
        numerics::mean_scale(std::max<std::int64_t>(1, reference::count_of(lookups)));
    const auto slice =
        static_cast<std::size_t>(numerics::slice_of(feature.first_sample + bag, feature.batch));
    for (const lookup& x : lookups) {
      if (x.kind != lookup_kind::live) continue;
      leaves& slices = rows[x.row];
      slices.resize(64);
      const std::int64_t row = feature.mode == pooling_mode::none ? x.position : bag;
      const auto g = static_cast<float>(reference::element(feature.gradient, problem.gradient_type,
                                                           row * feature.gradient_stride + column));
      float scale = weight_of(x);
      if (feature.mode == pooling_mode::mean) scale = feature.weights ? scale * share : share;
      slices[slice].push_back({g, scale});
    }
  }
  std::map<std::int64_t, float> sums;
  for (const auto& [row, slices] : rows) sums[row] = tree_sum(slices, 0, 64);
  return sums;
}

std::uint32_t bits(float x) { return numerics::bits_as<std::uint32_t>(x); }

void expect_defined_outputs(const problem& problem) {
  for (const feature_record& feature : problem.features) {
    if (feature.mode == pooling_mode::none) continue;
    const table_record& table = problem.tables[static_cast<std::size_t>(feature.table)];
    for (std::int64_t bag = 0; bag < feature.num_bags; ++bag) {
      const std::vector<lookup> lookups = reference::lookups_of(problem, feature, bag);
      for (std::int64_t column = 0; column < table.dim; ++column) {
        const float actual =
            static_cast<const float*>(feature.output)[bag * feature.output_stride + column];
        ASSERT_EQ(bits(actual), bits(pooled_value(table, feature, lookups, column)))
            << "bag " << bag << ", column " << column;
      }
    }
  }
}

void expect_defined_gradients(const problem& problem) {
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    const table_record& table = problem.tables[t];
    if (table.gradient.form == operations::gradient_form::none) continue;
    for (std::int64_t column = 0; column < table.dim; ++column) {
      std::map<std::int64_t, float> total;
      for (const feature_record& feature : problem.features) {
        if (feature.table != static_cast<std::int32_t>(t)) continue;
        for (const auto& [row, sum] : gradient_of_feature(problem, feature, column)) {
          total[row] += sum;  // starts at +0
        }
      }
      const auto* values = static_cast<const float*>(table.gradient.values);
      for (const auto& [row, sum] : total) {
        ASSERT_EQ(bits(values[row * table.dim + column]), bits(sum))
            << "table " << t << ", row " << row << ", column " << column;
      }
    }
  }
}

/// Modes and types with which the sums can be seen as they are.
support::configuration visible_sums(std::uint64_t seed) {
  support::configuration c = support::random_configuration(seed, limits);
  c.values = support::value_choice::ordinary;
  c.output_type = dtype::f32;
  for (support::table_configuration& table : c.tables) {
    table.form = operations::gradient_form::dense;
    table.value_type = dtype::f32;
    table.renormalize = false;
    table.scale_grad_by_freq = false;
    table.optimizer.clipping = clipping_kind::none;
  }
  for (support::feature_configuration& feature : c.features) {
    if (feature.mode == pooling_mode::max) feature.mode = pooling_mode::sum;
  }
  return c;
}

/// Every id the same: one row whose leaves are long. One bag: one leaf of all occurrences.
support::configuration one_hot_row(std::int64_t num_bags, std::int64_t num_lookups) {
  support::configuration c;
  c.seed = 8;
  support::table_configuration table;
  table.num_rows = 3;
  table.dim = 2;
  table.form = operations::gradient_form::dense;
  c.tables = {table};
  support::feature_configuration feature;
  feature.layout = support::bag_layout::offsets;
  feature.mode = pooling_mode::mean;
  feature.weighted = true;
  feature.ids = support::id_choice::equal;
  feature.num_bags = feature.batch = num_bags;
  feature.num_lookups = num_lookups;
  c.features = {feature};
  return c;
}

/// Bags around the sizes at which one, or what is left of it, is cut; their lookups plain or
/// checked, unweighted and weighted.
support::configuration long_bags(std::int32_t dim, dtype type, index_type ids, bool may_be_bad) {
  support::configuration c;
  c.seed = 9;
  c.ids_type = ids;
  if (may_be_bad) {
    c.policy = bad_id_policy::skip;
    c.bad_id_chance = 0.1;
  }
  support::table_configuration table;
  table.num_rows = 200;
  table.dim = dim;
  table.row_type = type;
  table.form = operations::gradient_form::none;
  if (may_be_bad) table.padding_idx = 7;
  c.tables = {table};
  support::feature_configuration feature;
  feature.layout = support::bag_layout::offsets_with_last;
  feature.unused_ids = 700;
  feature.lengths = {0,   513, 1,   512, 514, 255,  575, 576,  577, 511,
                     640, 641, 767, 768, 769, 1023, 3,   1025, 0,   2049};
  feature.num_bags = feature.batch = std::ssize(feature.lengths);
  c.features = {feature, feature};
  c.features[1].layout = support::bag_layout::offsets;
  c.features[1].unused_ids = 0;
  c.features[1].mode = pooling_mode::mean;
  c.features[1].weighted = true;
  return c;
}

class SummationOrder : public ::testing::TestWithParam<support::backend_choice> {
 protected:
  static void run(const support::configuration& configuration) {
    SCOPED_TRACE(::testing::PrintToString(configuration));
    const auto device = GetParam().make_device();
    const auto backend = device->make_backend();
    support::problem_data data = support::make_tables(configuration);
    support::draw_batch(configuration, 0, data);
    support::placed_problem placed(data, *device);
    support::run_step(*backend, placed.get());
    placed.fetch();
    const support::bound_problem bound = support::bind(data);
    ASSERT_NO_FATAL_FAILURE(expect_defined_outputs(bound.problem));
    ASSERT_NO_FATAL_FAILURE(expect_defined_gradients(bound.problem));
  }
};

TEST_P(SummationOrder, is_the_documented_one_for_random_configurations) {
  for (const std::uint64_t seed : support::seeds_of_test(first_seed, num_configurations)) {
    ASSERT_NO_FATAL_FAILURE(run(visible_sums(seed)));
  }
}

TEST_P(SummationOrder, is_the_documented_one_in_leaves_of_several_levels) {
  for (const std::int64_t num_bags : {1, 3, 64, 70}) {
    ASSERT_NO_FATAL_FAILURE(run(one_hot_row(num_bags, leaf_of_levels)));
  }
}

TEST_P(SummationOrder, is_the_documented_one_in_long_bags) {
  for (const std::int32_t dim : {1, 6, 33, 132}) {
    for (const bool may_be_bad : {false, true}) {
      const index_type ids = dim % 2 == 0 ? index_type::i64 : index_type::i32;
      ASSERT_NO_FATAL_FAILURE(run(long_bags(dim, dtype::f32, ids, may_be_bad)));
    }
  }
  for (const std::int32_t dim : {2, 8, 264}) {
    ASSERT_NO_FATAL_FAILURE(run(long_bags(dim, dtype::bf16, index_type::i32, false)));
  }
}

WARPBAG_FOR_EVERY_BACKEND(SummationOrder);

}  // namespace
}  // namespace warpbag
