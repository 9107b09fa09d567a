// SPDX-License-Identifier: Apache-2.0
#pragma once
// Non-owning views. They are trivially copyable, never allocate, and do not know which device their
// memory is on: the call they are given to does, and says so.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "warpbag/types.hpp"

namespace warpbag {

/// A matrix [rows, dim] whose rows are contiguous and `stride` elements apart (stride >= dim).
template <typename Void>
struct basic_tensor_view {
  Void* data = nullptr;
  dtype type = dtype::f32;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::int64_t stride = 0;

  constexpr basic_tensor_view() = default;
  constexpr basic_tensor_view(Void* data_, dtype type_, std::int64_t rows_, std::int64_t dim_)
      : basic_tensor_view(data_, type_, rows_, dim_, dim_) {}
  constexpr basic_tensor_view(Void* data_, dtype type_, std::int64_t rows_, std::int64_t dim_,
                              std::int64_t stride_)
      : data(data_), type(type_), rows(rows_), dim(dim_), stride(stride_) {}

  /// A mutable view is a const view.
  template <typename Other>
  requires(std::is_const_v<Void> && !std::is_const_v<Other>) constexpr basic_tensor_view(
      const basic_tensor_view<Other>& other)  // NOLINT(google-explicit-constructor)
      : basic_tensor_view(other.data, other.type, other.rows, other.dim, other.stride) {}
};

using tensor_view = basic_tensor_view<void>;
using const_tensor_view = basic_tensor_view<const void>;

static_assert(std::is_trivially_copyable_v<tensor_view>);

/// A vector of ids or offsets.
struct index_view {
  const void* data = nullptr;
  index_type type = index_type::i64;
  std::int64_t size = 0;

  constexpr index_view() = default;
  constexpr index_view(const std::int32_t* data_, std::int64_t size_)
      : data(data_), type(index_type::i32), size(size_) {}
  constexpr index_view(const std::int64_t* data_, std::int64_t size_)
      : data(data_), type(index_type::i64), size(size_) {}
  constexpr index_view(const void* data_, index_type type_, std::int64_t size_)
      : data(data_), type(type_), size(size_) {}
};

}  // namespace warpbag
