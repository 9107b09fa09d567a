// SPDX-License-Identifier: Apache-2.0
#include "warpbag/dataset.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

void require(bool condition, const std::string& feature, const char* what) {
  if (!condition) throw invalid_argument("feature '" + feature + "': " + what);
}

void check_column(const dataset_parts& parts, std::size_t index) {
  const dataset_feature& feature = parts.features[index];
  const dataset_column& column = parts.columns[index];
  const std::size_t num_samples = parts.labels.size();
  require(feature.table < parts.tables.size(), feature.name, "there is no such table");
  require(column.weights.size() == (feature.weighted ? column.ids.size() : 0), feature.name,
          "a weighted feature has one weight an id, any other has none");
  const std::int64_t num_ids = parts.tables[feature.table].num_ids;
  require(std::all_of(column.ids.begin(), column.ids.end(),
                      [num_ids](std::uint32_t id) { return id < num_ids; }),
          feature.name, "an id is outside its table");
  if (!feature.multi_hot) {
    require(column.ids.size() == num_samples && column.begins.empty() && column.sizes.empty(),
            feature.name, "a single-hot feature has one id a sample");
    return;
  }
  require(column.begins.size() == num_samples && column.sizes.size() == num_samples, feature.name,
          "a multi-hot feature has a begin and a size for every sample");
  for (std::size_t sample = 0; sample < num_samples; ++sample) {
    const std::uint64_t begin = column.begins[sample];
    require(begin <= column.ids.size() && column.sizes[sample] <= column.ids.size() - begin,
            feature.name, "a bag ends beyond the ids");
  }
}

struct bag_range {
  std::size_t begin;
  std::size_t size;
};

bag_range range_of(const dataset_column& column, std::int64_t sample) noexcept {
  const auto index = static_cast<std::size_t>(sample);
  if (column.begins.empty()) return {index, 1};
  return {column.begins[index], column.sizes[index]};
}

/// The sizes first, and then the ids without a look at the room that is left: a push_back for each
/// id was 9 % of a training step.
void gather_column(const dataset_column& column, std::span<const std::int64_t> samples,
                   feature_batch& out) {
  out.offsets.resize(samples.size() + 1);
  std::size_t total = 0;
  for (std::size_t k = 0; k < samples.size(); ++k) {
    out.offsets[k] = static_cast<std::int64_t>(total);
    total += range_of(column, samples[k]).size;
  }
  out.offsets.back() = static_cast<std::int64_t>(total);
  const auto gather = [&](const auto& from, auto& to) {
    to.resize(total);
    auto* next = to.data();
    if (column.begins.empty()) {
      for (const std::int64_t sample : samples) *next++ = from[static_cast<std::size_t>(sample)];
      return;
    }
    for (const std::int64_t sample : samples) {
      const auto [begin, size] = range_of(column, sample);
      next = std::copy_n(from.data() + begin, size, next);
    }
  };
  gather(column.ids, out.ids);
  if (column.weights.empty()) {
    out.weights.clear();
  } else {
    gather(column.weights, out.weights);
  }
}

class fingerprint_hash {
 public:
  void add(std::uint64_t word) noexcept {
    value_ = (value_ ^ word) * 0x9E3779B97F4A7C15ULL;
    value_ ^= value_ >> 29;
  }
  void add(float number) noexcept { add(std::uint64_t{std::bit_cast<std::uint32_t>(number)}); }
  void add(double number) noexcept { add(std::bit_cast<std::uint64_t>(number)); }
  void add(std::uint32_t word) noexcept { add(std::uint64_t{word}); }
  void add(std::string_view text) noexcept {
    add(std::uint64_t{text.size()});
    for (const char c : text) add(std::uint64_t{static_cast<unsigned char>(c)});
  }
  template <typename Element>
  void add_all(const std::vector<Element>& elements) noexcept {
    add(std::uint64_t{elements.size()});
    for (const Element& element : elements) add(element);
  }
  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ULL;
};

}  // namespace

dataset::dataset(dataset_parts parts) : parts_(std::move(parts)) {
  if (parts_.columns.size() != parts_.features.size()) {
    throw invalid_argument("a dataset of " + std::to_string(parts_.features.size()) +
                           " features has " + std::to_string(parts_.columns.size()) + " columns");
  }
  for (std::size_t index = 0; index < parts_.features.size(); ++index) check_column(parts_, index);
  if (!parts_.timestamps.empty() && parts_.timestamps.size() != parts_.labels.size()) {
    throw invalid_argument("a dataset has a timestamp for every sample or none");
  }
  if (!std::all_of(parts_.labels.begin(), parts_.labels.end(),
                   [](float label) { return label == 0.0F || label == 1.0F; })) {
    throw invalid_argument("a label is neither 0 nor 1");
  }
}

std::size_t dataset::feature_index(std::string_view name) const {
  for (std::size_t index = 0; index < parts_.features.size(); ++index) {
    if (parts_.features[index].name == name) return index;
  }
  throw invalid_argument("the dataset has no feature '" + std::string(name) + "'");
}

std::span<const std::uint32_t> dataset::bag(std::size_t feature,
                                            std::int64_t sample) const noexcept {
  const dataset_column& column = parts_.columns[feature];
  const auto [begin, size] = range_of(column, sample);
  return std::span(column.ids).subspan(begin, size);
}

std::span<const float> dataset::bag_weights(std::size_t feature,
                                            std::int64_t sample) const noexcept {
  const dataset_column& column = parts_.columns[feature];
  if (column.weights.empty()) return {};
  const auto [begin, size] = range_of(column, sample);
  return std::span(column.weights).subspan(begin, size);
}

void dataset::gather(std::span<const std::int64_t> samples, batch& out) const {
  for (const std::int64_t sample : samples) {
    if (sample < 0 || sample >= num_samples()) {
      throw invalid_argument("sample " + std::to_string(sample) + " is not one of the dataset's " +
                             std::to_string(num_samples()));
    }
  }
  out.features.resize(parts_.features.size());
  for (std::size_t feature = 0; feature < parts_.features.size(); ++feature) {
    gather_column(parts_.columns[feature], samples, out.features[feature]);
  }
  out.labels.resize(samples.size());
  std::transform(samples.begin(), samples.end(), out.labels.begin(), [this](std::int64_t sample) {
    return parts_.labels[static_cast<std::size_t>(sample)];
  });
}

std::uint64_t dataset::fingerprint() const noexcept {
  fingerprint_hash hash;
  for (const dataset_table& table : parts_.tables) {
    hash.add(table.name);
    hash.add(static_cast<std::uint64_t>(table.num_ids));
    for (std::int64_t id = 0; id < table.vocabulary.size(); ++id) {
      hash.add(table.vocabulary.token(static_cast<std::uint32_t>(id)));
    }
  }
  for (std::size_t index = 0; index < parts_.features.size(); ++index) {
    hash.add(parts_.features[index].name);
    hash.add(std::uint64_t{parts_.features[index].table});
    hash.add_all(parts_.columns[index].ids);
    hash.add_all(parts_.columns[index].begins);
    hash.add_all(parts_.columns[index].sizes);
    hash.add_all(parts_.columns[index].weights);
  }
  hash.add_all(parts_.labels);
  for (const double time : parts_.timestamps) hash.add(time);
  return hash.value();
}

}  // namespace warpbag
