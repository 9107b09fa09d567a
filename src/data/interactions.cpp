// SPDX-License-Identifier: Apache-2.0
#include "data/interactions.hpp"

#include <algorithm>
#include <utility>

namespace warpbag::data {

void interaction_builder::add(const interaction& row) {
  user_ids_.push_back(users_.id_of(row.user));
  item_ids_.push_back(items_.id_of(row.item));
  labels_.push_back(row.liked ? 1.0F : 0.0F);
  if (row.time) times_.push_back(*row.time);
}

dataset interaction_builder::finish(std::int32_t history_length, std::vector<side_column> of_items,
                                    std::vector<side_column> of_users,
                                    std::int64_t num_skipped_rows) && {
  if (times_.size() != labels_.size()) times_.clear();
  dataset_parts parts;
  parts.num_skipped_rows = num_skipped_rows;
  parts.features = {{"user", 0, false, false}, {"item", 1, false, false}};
  parts.columns = {{user_ids_, {}, {}, {}}, {item_ids_, {}, {}, {}}};
  if (history_length > 0) {
    parts.features.push_back({"history", 1, true, false});
    parts.columns.push_back(history(history_length));
  }
  const std::int64_t num_users = users_.size();
  const std::int64_t num_items = items_.size();
  parts.tables.push_back({"user", num_users, std::move(users_)});
  parts.tables.push_back({"item", num_items, std::move(items_)});
  for (side_column& column : of_items) std::move(column).add_to(parts, item_ids_);
  for (side_column& column : of_users) std::move(column).add_to(parts, user_ids_);
  parts.labels = std::move(labels_);
  parts.timestamps = std::move(times_);
  return dataset(std::move(parts));
}

// The items of each user in time order, user after user; a history is the window before a sample's
// own place.
dataset_column interaction_builder::history(std::int32_t length) const {
  const std::size_t num_samples = user_ids_.size();
  std::vector<std::uint64_t> begins(static_cast<std::size_t>(users_.size()) + 1);
  for (const std::uint32_t user : user_ids_) ++begins[user + 1];
  for (std::size_t user = 1; user < begins.size(); ++user) begins[user] += begins[user - 1];
  std::vector<std::uint64_t> order(num_samples);  // samples by user; file order within
  std::vector<std::uint64_t> next(begins.begin(), begins.end() - 1);
  for (std::size_t sample = 0; sample < num_samples; ++sample) {
    order[next[user_ids_[sample]]++] = sample;
  }
  const auto at = [&order](std::uint64_t place) {
    return order.begin() + static_cast<std::ptrdiff_t>(place);
  };
  dataset_column column{std::vector<std::uint32_t>(num_samples),
                        std::vector<std::uint64_t>(num_samples),
                        std::vector<std::uint32_t>(num_samples),
                        {}};
  for (std::size_t user = 0; user + 1 < begins.size(); ++user) {
    if (!times_.empty()) {
      std::stable_sort(at(begins[user]), at(begins[user + 1]),
                       [this](std::uint64_t a, std::uint64_t b) { return times_[a] < times_[b]; });
    }
    for (std::uint64_t place = begins[user]; place < begins[user + 1]; ++place) {
      const std::uint64_t size = std::min(place - begins[user], static_cast<std::uint64_t>(length));
      column.ids[place] = item_ids_[order[place]];
      column.begins[order[place]] = place - size;
      column.sizes[order[place]] = static_cast<std::uint32_t>(size);
    }
  }
  return column;
}

}  // namespace warpbag::data
