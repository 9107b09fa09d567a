// SPDX-License-Identifier: Apache-2.0
#pragma once
// Checks that several of the validate files use.

#include <optional>

#include "collection/call_records.hpp"
#include "collection/refuse.hpp"
#include "warpbag/tensor_view.hpp"

namespace warpbag::collection {

template <typename Enum>
bool is_one_of(Enum value, Enum last) {
  return value <= last;
}

template <typename Enum>
int number_of(Enum value) {
  return static_cast<int>(value);
}

/// Refuses nullptr where there are elements, and an address that is not a multiple of `alignment`.
inline void check_pointer(const void* pointer, std::int64_t elements, std::size_t alignment,
                          const subject& name, const char* what) {
  if (pointer == nullptr && elements > 0) {
    refuse(name, ": ", what, " is nullptr, but has ", elements, " elements");
  }
  if (reinterpret_cast<std::uintptr_t>(pointer) % alignment != 0) {
    refuse(name, ": ", what, " at ", pointer, " is not aligned to its ", alignment,
           "-byte elements");
  }
}

/// padding_idx as a row: a negative one counts from the end; -1 is none.
inline std::int64_t padding_row(const std::optional<std::int64_t>& padding_idx,
                                std::int64_t num_rows) {
  if (!padding_idx) return -1;
  return *padding_idx < 0 ? *padding_idx + num_rows : *padding_idx;
}

/// Refuses a matrix that is not [rows, dim] with a known type, a stride >= dim and bytes that fit.
void check_matrix(const const_tensor_view& view, std::int64_t rows, std::int64_t dim,
                  const subject& name, const char* what);

/// Refuses a span whose length is not that of the tables or features it belongs to.
inline void check_count(std::size_t given, std::size_t wanted, const char* what, const char* per) {
  if (given != wanted) refuse(given, " ", what, " for ", wanted, " ", per);
}

}  // namespace warpbag::collection
