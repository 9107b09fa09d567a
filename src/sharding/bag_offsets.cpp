// SPDX-License-Identifier: Apache-2.0
#include "sharding/bag_offsets.hpp"

#include <algorithm>
#include <numeric>

namespace warpbag::sharding {

std::vector<std::int64_t> read_indices(operations::device_access& access, const void* from,
                                       index_type type, std::size_t count) {
  std::vector<std::int64_t> values(count);
  if (count == 0) return values;
  if (type == index_type::i64) {
    access.read(values.data(), from, count * sizeof(std::int64_t));
  } else {
    std::vector<std::int32_t> narrow(count);
    access.read(narrow.data(), from, count * sizeof(std::int32_t));
    std::copy(narrow.begin(), narrow.end(), values.begin());
  }
  return values;
}

void write_indices(operations::device_access& access, std::span<const std::int64_t> values,
                   index_type type, void* to) {
  if (values.empty()) return;
  if (type == index_type::i64) {
    access.write(to, values.data(), values.size_bytes());
  } else {
    const std::vector<std::int32_t> narrow(values.begin(), values.end());
    access.write(to, narrow.data(), narrow.size() * sizeof(std::int32_t));
  }
}

std::vector<std::int64_t> offsets_of(std::span<const std::int64_t> sizes) {
  std::vector<std::int64_t> offsets(sizes.size() + 1);
  std::partial_sum(sizes.begin(), sizes.end(), offsets.begin() + 1);
  return offsets;
}

std::vector<std::int64_t> read_offsets(operations::device_access& access,
                                       const operations::feature_record& feature, index_type type,
                                       std::int64_t first, std::int64_t last) {
  const auto count = static_cast<std::size_t>(last - first) + 1;
  if (feature.offsets == nullptr) {
    std::vector<std::int64_t> offsets(count);
    for (std::size_t i = 0; i < count; ++i) {
      offsets[i] = (first + static_cast<std::int64_t>(i)) * feature.hotness;
    }
    return offsets;
  }
  const bool has_end = last < feature.num_bags || feature.has_last_offset;
  const auto* const from = static_cast<const std::byte*>(feature.offsets) +
                           first * static_cast<std::int64_t>(size_of(type));
  auto offsets = read_indices(access, from, type, count - (has_end ? 0 : 1));
  if (!has_end) offsets.push_back(feature.num_ids);
  return offsets;
}

}  // namespace warpbag::sharding
