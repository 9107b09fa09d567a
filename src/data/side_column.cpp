// SPDX-License-Identifier: Apache-2.0
#include "data/side_column.hpp"

#include <utility>

#include "data/fields.hpp"
#include "data/malformed_row.hpp"

namespace warpbag::data {

side_column::side_column(std::string name, std::int64_t num_keys)
    : name_(std::move(name)),
      begins_(static_cast<std::size_t>(num_keys)),
      sizes_(static_cast<std::size_t>(num_keys)),
      is_set_(static_cast<std::size_t>(num_keys)) {}

void side_column::check(std::uint32_t key, std::span<const std::string_view> tokens) const {
  if (is_set_[key]) throw malformed_row("a second line for the same id, column", name_);
  for (const std::string_view token : tokens) {
    if (!token.empty()) parse_token(token, name_.c_str());
  }
}

void side_column::set(std::uint32_t key, std::span<const std::string_view> tokens) {
  is_set_[key] = true;
  begins_[key] = ids_.size();
  for (const std::string_view token : tokens) {
    if (!token.empty()) ids_.push_back(vocabulary_.id_of(token));
  }
  sizes_[key] = static_cast<std::uint32_t>(ids_.size() - begins_[key]);
}

void side_column::add_to(dataset_parts& parts, std::span<const std::uint32_t> keys) && {
  dataset_column column;
  column.ids = std::move(ids_);
  column.begins.reserve(keys.size());
  column.sizes.reserve(keys.size());
  for (const std::uint32_t key : keys) {
    column.begins.push_back(begins_[key]);
    column.sizes.push_back(sizes_[key]);
  }
  parts.features.push_back({name_, parts.tables.size(), true, false});
  parts.columns.push_back(std::move(column));
  const std::int64_t num_ids = vocabulary_.size();
  parts.tables.push_back({std::move(name_), num_ids, std::move(vocabulary_)});
}

}  // namespace warpbag::data
