// SPDX-License-Identifier: Apache-2.0
#include "data/renumber.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "warpbag/error.hpp"

namespace warpbag::data {
namespace {

constexpr std::uint32_t cold = token_vocabulary::not_found;

bool is_computed(const dataset_table& table) {
  return table.num_ids > 0 && table.vocabulary.size() == 0;
}

/// For each id of `from` the id of the same token in `to`, or `cold`.
std::vector<std::uint32_t> same_tokens(const token_vocabulary& from, const token_vocabulary& to) {
  std::vector<std::uint32_t> ids(static_cast<std::size_t>(from.size()));
  for (std::size_t id = 0; id < ids.size(); ++id) {
    ids[id] = to.find(from.token(static_cast<std::uint32_t>(id)));
  }
  return ids;
}

/// `column` with new ids. Bags may overlap, so they cannot be copied one by one: the ids that are
/// not cold move together, and a bag goes where its ends went.
dataset_column with_ids(const dataset_column& column, const std::vector<std::uint32_t>& new_ids,
                        std::size_t num_samples, std::int64_t& cold_lookups) {
  dataset_column out;
  std::vector<std::uint64_t> kept(1, 0);  // how many ids before each place stay
  for (std::size_t place = 0; place < column.ids.size(); ++place) {
    const std::uint32_t id = new_ids[column.ids[place]];
    if (id != cold) {
      out.ids.push_back(id);
      if (!column.weights.empty()) out.weights.push_back(column.weights[place]);
    }
    kept.push_back(out.ids.size());
  }
  const bool multi_hot = !column.begins.empty();
  for (std::size_t sample = 0; sample < num_samples; ++sample) {
    const std::uint64_t begin = multi_hot ? column.begins[sample] : sample;
    const std::uint32_t size = multi_hot ? column.sizes[sample] : 1;
    const std::uint64_t new_size = kept[begin + size] - kept[begin];
    out.begins.push_back(kept[begin]);
    out.sizes.push_back(static_cast<std::uint32_t>(new_size));
    cold_lookups += static_cast<std::int64_t>(size - new_size);
  }
  return out;
}

void check_features(std::span<const dataset_feature> here,
                    std::span<const dataset_feature> trained) {
  const auto require_all = [](std::span<const dataset_feature> wanted,
                              std::span<const dataset_feature> among, const char* fault) {
    for (const dataset_feature& feature : wanted) {
      const bool found = std::any_of(
          among.begin(), among.end(),
          [&](const dataset_feature& candidate) { return candidate.name == feature.name; });
      if (!found) throw invalid_argument("feature '" + feature.name + "': " + fault);
    }
  };
  require_all(trained, here, "the model has it, the data do not");
  require_all(here, trained, "the data have it, the model does not");
}

}  // namespace

renumbered_dataset renumber(dataset samples, std::span<const dataset_table> tables,
                            std::span<const dataset_feature> features) {
  check_features(samples.features(), features);
  std::vector<std::size_t> sources;
  for (const dataset_feature& feature : features) {
    sources.push_back(samples.feature_index(feature.name));
  }
  dataset_parts from = std::move(samples).release();
  dataset_parts to;
  to.tables.assign(tables.begin(), tables.end());
  std::vector<std::int64_t> cold_lookups(features.size(), 0);
  for (std::size_t f = 0; f < features.size(); ++f) {
    dataset_feature feature = from.features[sources[f]];
    dataset_column& column = from.columns[sources[f]];
    const dataset_table& old_table = from.tables[feature.table];
    dataset_table& table = to.tables[features[f].table];
    feature.table = features[f].table;
    if (is_computed(old_table) != is_computed(table)) {
      throw invalid_argument("table '" + table.name +
                             "': the ids of one side stand for tokens, those of the other do not");
    }
    if (is_computed(table)) {
      table.num_ids = std::max(table.num_ids, old_table.num_ids);
      to.columns.push_back(std::move(column));
    } else {
      feature.multi_hot = true;
      to.columns.push_back(with_ids(column, same_tokens(old_table.vocabulary, table.vocabulary),
                                    from.labels.size(), cold_lookups[f]));
    }
    to.features.push_back(std::move(feature));
  }
  to.labels = std::move(from.labels);
  to.timestamps = std::move(from.timestamps);
  to.num_skipped_rows = from.num_skipped_rows;
  return {dataset(std::move(to)), std::move(cold_lookups)};
}

}  // namespace warpbag::data
