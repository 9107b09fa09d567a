// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the rating formats have in common: a user, an item, a rating, a time.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data/side_column.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::data {

/// One line of a rating file. The tokens are views into the line.
struct interaction {
  std::string_view user;
  std::string_view item;
  bool liked = false;
  std::optional<double> time;
};

/// Collects interactions and makes the dataset of them: features `user`, `item`, `history` (shares
/// the table of `item`), then the side columns.
class interaction_builder {
 public:
  void add(const interaction& row);

  const token_vocabulary& users() const noexcept { return users_; }
  const token_vocabulary& items() const noexcept { return items_; }

  /// Side columns are keyed by item or user id. Times count only if every interaction has one.
  dataset finish(std::int32_t history_length, std::vector<side_column> of_items,
                 std::vector<side_column> of_users, std::int64_t num_skipped_rows) &&;

 private:
  dataset_column history(std::int32_t length) const;

  token_vocabulary users_;
  token_vocabulary items_;
  std::vector<std::uint32_t> user_ids_;
  std::vector<std::uint32_t> item_ids_;
  std::vector<float> labels_;
  std::vector<double> times_;
};

}  // namespace warpbag::data
