// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rows of any stored type, four elements (a quad) at a time, as fp32.
//
// A lane works on quads: elements 4 q, ..., 4 q + 3. Where lane l of a warp takes quads l, l + 32,
// l + 64, ... element j is in lane (j / 4) % 32, which is the layout that N4 reductions need.
//
// A quad is one access of 16 bytes (fp32) or 8 bytes (fp16, bf16) where base address, stride and
// dim allow it; else two or four narrower ones. The number of elements per access, `Width`, is a
// property of the matrix (access_width), divides dim, and so no access straddles the end of a row.
//
// Where the layout is free a lane may hold eight elements (an octet) instead, which is one access
// of 16 bytes in fp16 and bf16.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "numerics/float_formats.hpp"
#include "warpbag/types.hpp"

namespace warpbag::kernels {

inline constexpr int quad_elements = 4;

inline constexpr int octet_elements = 8;

/// Neighbouring elements of a row, in one lane.
template <int Elements>
struct lane_values {
  float value[Elements];
};

using quad = lane_values<quad_elements>;

// The hardware conversions: widening is exact and narrowing is to nearest even, so they have the
// bits of src/numerics/float_formats.hpp (NaNs aside, which all count as one) in one instruction.
__device__ __forceinline__ float widened(float x) { return x; }
__device__ __forceinline__ float widened(numerics::bf16 x) { return numerics::widen(x); }
__device__ __forceinline__ float widened(numerics::f16 x) {
  return __half2float(__ushort_as_half(x.bits));
}

template <typename Stored>
__device__ __forceinline__ Stored narrowed(float x) {
  if constexpr (sizeof(Stored) == 4) {
    return x;
  } else if constexpr (__is_same(Stored, numerics::f16)) {
    return {__half_as_ushort(__float2half_rn(x))};
  } else {
    return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
  }
}

namespace detail {

/// `Count` elements that move in one instruction.
template <typename Stored, int Count>
struct alignas(sizeof(Stored) * Count) packed {
  Stored value[Count];
};

}  // namespace detail

/// Elements per access (4, 2 or 1) that suit every row of a matrix.
__device__ __forceinline__ int access_width(const void* base, std::int64_t stride, std::int64_t dim,
                                            dtype type) {
  const std::uint64_t element = type == dtype::f32 ? 4 : 2;
  const std::uint64_t address = reinterpret_cast<std::uint64_t>(base) / element;
  const std::uint64_t all =
      address | static_cast<std::uint64_t>(stride) | static_cast<std::uint64_t>(dim);
  return all % 4 == 0 ? 4 : (all % 2 == 0 ? 2 : 1);
}

/// Part of a row as it is stored; elements at and after `dim` are zero and are not read.
template <int Width, typename Stored, int Elements>
__device__ __forceinline__ void load_stored(Stored (&out)[Elements], const Stored* row,
                                            std::int32_t column, std::int32_t dim) {
  using access = detail::packed<Stored, Width>;
  __builtin_assume(__isGlobal(row));
#pragma unroll
  for (int part = 0; part < Elements; part += Width) {
    access loaded = {};
    if (column + part < dim) loaded = *reinterpret_cast<const access*>(row + column + part);
#pragma unroll
    for (int i = 0; i < Width; ++i) out[part + i] = loaded.value[i];
  }
}

template <typename Stored, int Elements>
__device__ __forceinline__ lane_values<Elements> widened_values(const Stored (&stored)[Elements]) {
  lane_values<Elements> result;
#pragma unroll
  for (int i = 0; i < Elements; ++i) result.value[i] = widened(stored[i]);
  return result;
}

template <typename Stored>
__device__ __forceinline__ quad widened_quad(const Stored (&stored)[quad_elements]) {
  return widened_values(stored);
}

/// Elements column, ..., column + 3 of a row, widened; zero at and after `dim`.
template <int Width, typename Stored>
__device__ __forceinline__ quad load_quad(const Stored* row, std::int32_t column,
                                          std::int32_t dim) {
  Stored stored[quad_elements];
  load_stored<Width>(stored, row, column, dim);
  return widened_values(stored);
}

/// Writes elements as given; those at and after `dim` are left alone.
template <int Width, typename Stored, int Elements>
__device__ __forceinline__ void store_stored(Stored* row, std::int32_t column, std::int32_t dim,
                                             const Stored (&values)[Elements]) {
  using access = detail::packed<Stored, Width>;
  __builtin_assume(__isGlobal(row));
#pragma unroll
  for (int part = 0; part < Elements; part += Width) {
    access stored;
#pragma unroll
    for (int i = 0; i < Width; ++i) stored.value[i] = values[part + i];
    if (column + part < dim) *reinterpret_cast<access*>(row + column + part) = stored;
  }
}

/// Writes elements rounded to nearest even.
template <int Width, typename Stored, int Elements>
__device__ __forceinline__ void store_values(Stored* row, std::int32_t column, std::int32_t dim,
                                             const lane_values<Elements>& values) {
  Stored stored[Elements];
#pragma unroll
  for (int i = 0; i < Elements; ++i) stored[i] = narrowed<Stored>(values.value[i]);
  store_stored<Width>(row, column, dim, stored);
}

template <int Width, typename Stored>
__device__ __forceinline__ void store_quad(Stored* row, std::int32_t column, std::int32_t dim,
                                           const quad& values) {
  store_values<Width>(row, column, dim, values);
}

template <typename Stored_, int Width_>
struct row_access {
  using stored = Stored_;
  static constexpr int width = Width_;
};

/// Calls function(Stored{}) for a stored type that is known at run time.
template <typename Function>
__device__ __forceinline__ void with_stored_type(dtype type, Function&& function) {
  switch (type) {
    case dtype::f32: function(float{}); return;
    case dtype::f16: function(numerics::f16{}); return;
    case dtype::bf16: function(numerics::bf16{}); return;
  }
}

/// Calls function(row_access<Stored, Width>{}) for a matrix whose type and access width are known
/// at run time. The choice is made once, outside the caller's loop over rows.
template <typename Function>
__device__ __forceinline__ void with_row_access(dtype type, int width, Function&& function) {
  const auto with_width = [&](auto stored) {
    using Stored = decltype(stored);
    switch (width) {
      case 4: function(row_access<Stored, 4>{}); return;
      case 2: function(row_access<Stored, 2>{}); return;
      default: function(row_access<Stored, 1>{}); return;
    }
  };
  with_stored_type(type, with_width);
}

}  // namespace warpbag::kernels
