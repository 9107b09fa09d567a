// SPDX-License-Identifier: Apache-2.0
#include "warpbag/generator.hpp"

#include <array>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "data/power_law.hpp"
#include "numerics/elementary.hpp"
#include "numerics/philox.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using numerics::philox_block;
using numerics::random_use;
using numerics::unit_interval;

// What a random number of the generator is for: the `table` of its Philox counter (N5).
enum class purpose : std::uint32_t { user_rows, item_rows, interaction, history };

philox_block draw(std::uint64_t seed, purpose use, std::int64_t row, std::uint32_t column_group) {
  return numerics::random_words(seed, random_use::data, static_cast<std::uint32_t>(use),
                                static_cast<std::uint64_t>(row), column_group, 0);
}

// Uniform with mean 0 and the given variance: that of an interval of width w is w^2 / 12.
double centred(std::uint32_t word, double variance) {
  return (unit_interval(word) - 0.5) * numerics::square_root(12.0 * variance);
}

/// The planted rows of one table: a first-order weight and a vector for each id.
class planted_table {
 public:
  planted_table(const generator_options& options, purpose use, std::int64_t num_ids)
      : dim_(static_cast<std::size_t>(options.dim)),
        weights_(static_cast<std::size_t>(num_ids)),
        vectors_(static_cast<std::size_t>(num_ids) * dim_) {
    // Two such elements have a product of variance 1 / dim, dim of them a sum of variance 1.
    const double variance = 1.0 / numerics::square_root(static_cast<double>(options.dim));
    for (std::int64_t id = 0; id < num_ids; ++id) {
      const auto row = static_cast<std::size_t>(id);
      weights_[row] = centred(draw(options.seed, use, id, 0).word[0], 1.0);
      for (std::size_t j = 0; j < dim_; ++j) {
        const auto group = static_cast<std::uint32_t>(1 + j / 4);
        vectors_[row * dim_ + j] =
            centred(draw(options.seed, use, id, group).word[j % 4], variance);
      }
    }
  }

  double weight(std::uint32_t id) const { return weights_[id]; }
  std::span<const double> vector(std::uint32_t id) const {
    return std::span(vectors_).subspan(id * dim_, dim_);
  }

 private:
  std::size_t dim_;
  std::vector<double> weights_;
  std::vector<double> vectors_;
};

double inner_product(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
  return sum;
}

void check(const generator_options& options) {
  // Ids are stored in 32 bits, histories keep as many ids as samples times their length.
  constexpr std::int64_t max_ids = std::numeric_limits<std::uint32_t>::max();
  const auto require = [](bool condition, const char* what, const std::string& value) {
    if (!condition) throw invalid_argument(std::string("generator: ") + what + " = " + value);
  };
  require(options.num_samples >= 1, "num_samples", std::to_string(options.num_samples));
  require(options.num_users >= 1 && options.num_users <= max_ids, "num_users",
          std::to_string(options.num_users));
  require(options.num_items >= 1 && options.num_items <= max_ids, "num_items",
          std::to_string(options.num_items));
  require(options.exponent >= 0.0 && options.exponent <= 10.0, "exponent",
          std::to_string(options.exponent));
  require(options.history_length >= 0 && options.history_length <= 65535, "history_length",
          std::to_string(options.history_length));
  require(options.dim >= 1 && options.dim <= 1024, "dim", std::to_string(options.dim));
}

/// Draws one sample after the other into the columns of a dataset.
class planted_model {
 public:
  explicit planted_model(const generator_options& options)
      : options_(options),
        users_(options, purpose::user_rows, options.num_users),
        items_(options, purpose::item_rows, options.num_items),
        user_law_(options.num_users, options.exponent),
        item_law_(options.num_items, options.exponent),
        mean_(static_cast<std::size_t>(options.dim)) {}

  planted_dataset generate() && {
    dataset_parts parts;
    parts.tables.push_back({"user", options_.num_users, {}});
    parts.tables.push_back({"item", options_.num_items, {}});
    parts.features = {{"user", 0, false, false}, {"item", 1, false, false}};
    parts.columns.resize(2);
    if (options_.history_length > 0) {
      parts.features.push_back({"history", 1, true, false});
      parts.columns.resize(3);
    }
    std::vector<float> logits;
    for (std::int64_t sample = 0; sample < options_.num_samples; ++sample) {
      const philox_block random = draw(options_.seed, purpose::interaction, sample, 0);
      const auto user = static_cast<std::uint32_t>(user_law_(unit_interval(random.word[0])));
      const auto item = static_cast<std::uint32_t>(item_law_(unit_interval(random.word[1])));
      parts.columns[0].ids.push_back(user);
      parts.columns[1].ids.push_back(item);
      double logit = users_.weight(user) + items_.weight(item) +
                     inner_product(users_.vector(user), items_.vector(item));
      if (options_.history_length > 0) {
        add_history(sample, random.word[2], parts.columns[2]);
        logit +=
            inner_product(users_.vector(user), mean_) + inner_product(items_.vector(item), mean_);
      }
      const bool positive = unit_interval(random.word[3]) < numerics::sigmoid(logit);
      parts.labels.push_back(positive ? 1.0F : 0.0F);
      parts.timestamps.push_back(static_cast<double>(sample));
      logits.push_back(static_cast<float>(logit));
    }
    return {dataset(std::move(parts)), std::move(logits)};
  }

 private:
  // Adds the history of a sample and leaves its mean vector in mean_ (zeros when it is empty).
  void add_history(std::int64_t sample, std::uint32_t length_word, dataset_column& column) {
    const auto choices = static_cast<std::uint64_t>(options_.history_length) + 1;
    const auto length = static_cast<std::uint32_t>(length_word * choices >> 32);
    column.begins.push_back(column.ids.size());
    column.sizes.push_back(length);
    mean_.assign(mean_.size(), 0.0);
    philox_block random{};
    for (std::uint32_t k = 0; k < length; ++k) {
      if (k % 4 == 0) random = draw(options_.seed, purpose::history, sample, k / 4);
      const auto item = static_cast<std::uint32_t>(item_law_(unit_interval(random.word[k % 4])));
      column.ids.push_back(item);
      const std::span<const double> vector = items_.vector(item);
      for (std::size_t j = 0; j < mean_.size(); ++j) mean_[j] += vector[j];
    }
    for (double& element : mean_) element /= length == 0 ? 1.0 : static_cast<double>(length);
  }

  generator_options options_;
  planted_table users_;
  planted_table items_;
  data::power_law user_law_;
  data::power_law item_law_;
  std::vector<double> mean_;
};

}  // namespace

planted_dataset generate_dataset(const generator_options& options) {
  check(options);
  return planted_model(options).generate();
}

}  // namespace warpbag
