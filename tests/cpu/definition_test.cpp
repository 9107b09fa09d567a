// SPDX-License-Identifier: Apache-2.0
// Pooling (N2) and gradient sums (N3) against their definitions, written as recursions over whole
// lists of numbers, to the last bit. The other tests compare backends with each other, or with a
// bound; here the order of additions itself is at stake.

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "numerics/gradient_tree.hpp"
#include "support/random_source.hpp"
#include "support/test_device.hpp"

namespace warpbag {
namespace {

using operations::feature_record;
using operations::table_record;

struct term {
  float value;
  float scale;
};

/// Sums of consecutive groups of 64, again and again until one is left.
float sum_in_levels(std::vector<float> sums) {
  while (sums.size() > 1) {
    std::vector<float> above;
    for (std::size_t i = 0; i < sums.size(); i += 64) {
      float sum = 0.0F;
      for (std::size_t k = i; k < std::min(i + 64, sums.size()); ++k) sum += sums[k];
      above.push_back(sum);
    }
    sums = above;
  }
  return sums.front();
}

float leaf(const std::vector<term>& terms) {
  std::vector<float> blocks;
  for (std::size_t i = 0; i < terms.size(); i += 64) {
    float sum = 0.0F;
    for (std::size_t k = i; k < std::min(i + 64, terms.size()); ++k) {
      sum = std::fma(terms[k].value, terms[k].scale, sum);
    }
    blocks.push_back(sum);
  }
  return sum_in_levels(blocks);
}

/// Terms by slice; the node covers `width` slices from `first`: its four children, empty ones left
/// out.
float node(const std::map<int, std::vector<term>>& slices, int first, int width) {
  if (width == 1) return leaf(slices.at(first));
  float sum = 0.0F;
  for (int child = first; child < first + width; child += width / 4) {
    const auto begin = slices.lower_bound(child);
    if (begin == slices.end() || begin->first >= child + width / 4) continue;
    sum += node(slices, child, width / 4);
  }
  return sum;
}

struct feature_input {
  std::vector<std::int64_t> ids;
  std::vector<float> weights;
  std::vector<float> gradient;
  std::vector<float> output;
  std::int64_t hotness = 0;
  pooling_mode mode = pooling_mode::sum;
};

/// One table that several features of fixed hotness share.
class one_table {
 public:
  one_table(std::int64_t num_rows, std::int32_t dim, support::random_source& random)
      : num_rows_(num_rows), dim_(dim), random_(random) {
    rows_ = draw(num_rows * dim);
    gradient_.assign(rows_.size(), -1.0F);
  }

  void add_feature(std::int64_t num_bags, std::int64_t hotness, pooling_mode mode, bool weighted) {
    feature_input input;
    input.hotness = hotness;
    input.mode = mode;
    for (std::int64_t i = 0; i < num_bags * hotness; ++i) {
      input.ids.push_back(random_.chance(0.8) ? 0 : random_.below(num_rows_));
    }
    if (weighted) input.weights = draw(num_bags * hotness);
    input.gradient = draw(num_bags * dim_);
    input.output.assign(input.gradient.size(), -1.0F);
    features_.push_back(std::move(input));
  }

  void run(int num_threads) {
    table_record table;
    table.rows = rows_.data();
    table.num_rows = num_rows_;
    table.row_stride = dim_;
    table.dim = dim_;
    table.gradient.form = operations::gradient_form::dense;
    table.gradient.values = gradient_.data();
    std::vector<feature_record> records;
    operations::problem problem;
    for (feature_input& input : features_) {
      feature_record record;
      record.mode = input.mode;
      record.ids = input.ids.data();
      record.weights = input.weights.empty() ? nullptr : input.weights.data();
      record.num_ids = static_cast<std::int64_t>(input.ids.size());
      record.hotness = input.hotness;
      record.num_bags = record.batch = record.num_ids / input.hotness;
      record.first_position = problem.total_positions;
      record.first_bag = problem.total_bags;
      record.output = input.output.data();
      record.gradient = input.gradient.data();
      record.output_stride = record.gradient_stride = dim_;
      problem.total_positions += record.num_ids;
      problem.total_bags += record.num_bags;
      records.push_back(record);
    }
    problem.tables = {&table, 1};
    problem.features = records;
    problem.total_rows = num_rows_;
    const auto backend = support::cpu_backend(num_threads).make_device()->make_backend();
    support::run_step(*backend, problem);
  }

  void expect_outputs_by_definition() const {
    for (const feature_input& input : features_) {
      for (std::size_t i = 0; i < input.output.size(); ++i) {
        ASSERT_EQ(input.output[i], pooled(input, static_cast<std::int64_t>(i) / dim_,
                                          static_cast<std::int64_t>(i) % dim_))
            << "element " << i;
      }
    }
  }

  void expect_gradients_by_definition() const {
    for (std::int64_t row = 0; row < num_rows_; ++row) {
      for (std::int64_t column = 0; column < dim_; ++column) {
        ASSERT_EQ(gradient_[static_cast<std::size_t>(row * dim_ + column)], summed(row, column))
            << "row " << row << ", column " << column;
      }
    }
  }

 private:
  std::vector<float> draw(std::int64_t count) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<float>(random_.unit() - 0.5));
    }
    return values;
  }

  float pooled(const feature_input& input, std::int64_t bag, std::int64_t column) const {
    float total = 0.0F;
    for (std::int64_t block = 0; block < input.hotness; block += 64) {
      float sum = 0.0F;
      for (std::int64_t i = block; i < std::min(block + 64, input.hotness); ++i) {
        const auto position = static_cast<std::size_t>(bag * input.hotness + i);
        const float x = rows_[static_cast<std::size_t>(input.ids[position] * dim_ + column)];
        sum = input.weights.empty() ? sum + x : std::fma(input.weights[position], x, sum);
      }
      total += sum;
    }
    return input.mode == pooling_mode::mean ? total / static_cast<float>(input.hotness) : total;
  }

  float summed(std::int64_t row, std::int64_t column) const {
    float total = 0.0F;
    for (const feature_input& input : features_) {
      std::map<int, std::vector<term>> slices;
      const std::int64_t batch = static_cast<std::int64_t>(input.ids.size()) / input.hotness;
      for (std::size_t position = 0; position < input.ids.size(); ++position) {
        if (input.ids[position] != row) continue;
        const std::int64_t bag = static_cast<std::int64_t>(position) / input.hotness;
        const float weight = input.weights.empty() ? 1.0F : input.weights[position];
        const float mean =
            input.mode == pooling_mode::mean ? 1.0F / static_cast<float>(input.hotness) : 1.0F;
        slices[static_cast<int>(bag * 64 / batch)].push_back(
            {input.gradient[static_cast<std::size_t>(bag * dim_ + column)], weight * mean});
      }
      if (!slices.empty()) total += node(slices, 0, 64);
    }
    return total;
  }

  std::int64_t num_rows_;
  std::int32_t dim_;
  support::random_source& random_;
  std::vector<float> rows_;
  std::vector<float> gradient_;
  std::vector<feature_input> features_;
};

constexpr std::uint64_t seed = 20260304;

void expect_by_definition(one_table& table) {
  for (const int threads : {1, 2, 5}) {
    SCOPED_TRACE(threads);
    table.run(threads);
    table.expect_outputs_by_definition();
    table.expect_gradients_by_definition();
  }
}

TEST(Definition, holds_for_leaves_of_one_two_and_three_levels) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  for (const std::int64_t hotness : {1, 3, 64, 65, 90, 5300}) {
    one_table table(4, 3, random);
    table.add_feature(100, hotness, pooling_mode::sum, false);
    expect_by_definition(table);
  }
}

TEST(Definition, holds_for_batches_smaller_and_larger_than_the_slices) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  for (const std::int64_t batch : {1, 2, 5, 63, 64, 65, 200}) {
    one_table table(30, 37, random);
    table.add_feature(batch, 7, pooling_mode::mean, false);
    expect_by_definition(table);
  }
}

TEST(Definition, holds_for_features_that_share_a_table) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  one_table table(5, 20, random);
  table.add_feature(70, 40, pooling_mode::sum, true);
  table.add_feature(33, 90, pooling_mode::mean, true);
  table.add_feature(200, 1, pooling_mode::sum, false);
  expect_by_definition(table);
}

TEST(Definition, holds_for_a_bag_that_is_cut_by_columns) {
  SCOPED_TRACE(seed);
  support::random_source random(seed);
  one_table table(50, 130, random);
  table.add_feature(2, 9000, pooling_mode::sum, true);
  expect_by_definition(table);
}

}  // namespace
}  // namespace warpbag
