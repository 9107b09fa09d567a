// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is known of an item or a user beside its id: genres, age group, occupation.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "warpbag/dataset.hpp"

namespace warpbag::data {

/// A bag of tokens for each key (item or user id) of some table. A key without one has an empty
/// bag.
class side_column {
 public:
  side_column(std::string name, std::int64_t num_keys);

  /// Throws malformed_row where set() may not be called: a second time for a key, or with a token
  /// that is too long.
  void check(std::uint32_t key, std::span<const std::string_view> tokens) const;

  /// Sets the bag of `key`. Empty tokens do not count.
  void set(std::uint32_t key, std::span<const std::string_view> tokens);

  /// Adds this column as a multi-hot feature with a table of its own; sample i has the bag of
  /// keys[i].
  void add_to(dataset_parts& parts, std::span<const std::uint32_t> keys) &&;

 private:
  std::string name_;
  token_vocabulary vocabulary_;
  std::vector<std::uint32_t> ids_;
  std::vector<std::uint64_t> begins_;  // of each key
  std::vector<std::uint32_t> sizes_;   // of each key
  std::vector<bool> is_set_;           // of each key
};

}  // namespace warpbag::data
