// SPDX-License-Identifier: Apache-2.0
#pragma once
// A typed array of a test's problem, in host memory. Elements that nobody may write (the gap
// between rows, the elements before the first) hold a pattern that comparisons include.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "warpbag/types.hpp"

namespace warpbag::support {

enum class element_kind : std::uint8_t { f32, f16, bf16, i32, i64, step };

std::size_t size_of(element_kind kind);
element_kind kind_of(dtype type);
element_kind kind_of(index_type type);

struct buffer {
  bool present = false;  // false: the record's pointer is null
  element_kind kind = element_kind::f32;
  std::int64_t stride = 1;  // elements of a row, for messages and for set()
  std::int64_t lead = 0;    // elements before the first
  std::vector<std::byte> bytes;

  buffer() = default;
  buffer(element_kind kind, std::int64_t rows, std::int64_t stride, std::int64_t lead = 0);

  std::size_t lead_bytes() const { return static_cast<std::size_t>(lead) * size_of(kind); }
  std::byte* data() { return bytes.data() + lead_bytes(); }
  const std::byte* data() const { return bytes.data() + lead_bytes(); }

  template <typename Element>
  Element* as() {
    return reinterpret_cast<Element*>(data());
  }
  template <typename Element>
  const Element* as() const {
    return reinterpret_cast<const Element*>(data());
  }

  /// Rounded to nearest even where the kind is narrower.
  void set(std::int64_t index, float value);
  void set(std::int64_t index, std::int64_t value);
  float number(std::int64_t index) const;
};

/// Empty when both hold the same bits, all NaNs counting as the same; else where and how they
/// differ first and how many elements do.
std::string difference(const buffer& expected, const buffer& actual);

}  // namespace warpbag::support
