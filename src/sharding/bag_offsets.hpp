// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where bags begin, and other lists of numbers, between a device and the host.

#include <span>
#include <vector>

#include "operations/device_access.hpp"
#include "operations/problem.hpp"

namespace warpbag::sharding {

/// Where bags [first, last] of the feature begin, the last one being one past. Waits.
std::vector<std::int64_t> read_offsets(operations::device_access& access,
                                       const operations::feature_record& feature, index_type type,
                                       std::int64_t first, std::int64_t last);

/// Index numbers of the type that a call has them in. Waits.
std::vector<std::int64_t> read_indices(operations::device_access& access, const void* from,
                                       index_type type, std::size_t count);
void write_indices(operations::device_access& access, std::span<const std::int64_t> values,
                   index_type type, void* to);

/// `count` values of memory of the device. Waits.
template <typename Element>
std::vector<Element> read_values(operations::device_access& access, const Element* from,
                                 std::int64_t count) {
  std::vector<Element> values(static_cast<std::size_t>(count));
  if (count > 0) access.read(values.data(), from, values.size() * sizeof(Element));
  return values;
}
template <typename Element>
void write_values(operations::device_access& access, const std::vector<Element>& values,
                  Element* to) {
  if (!values.empty()) access.write(to, values.data(), values.size() * sizeof(Element));
}

/// [0, sizes[0], sizes[0] + sizes[1], ...]
std::vector<std::int64_t> offsets_of(std::span<const std::int64_t> sizes);

}  // namespace warpbag::sharding
