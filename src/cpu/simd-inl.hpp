// SPDX-License-Identifier: Apache-2.0
// Vectors of fp32 over stored rows, once per instruction set (Highway's foreach_target includes
// this file many times, so there is no #pragma once). Every operation here is elementwise and IEEE:
// the instruction set does not show in the bits.
#if defined(WARPBAG_CPU_SIMD_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef WARPBAG_CPU_SIMD_INL_HPP
#undef WARPBAG_CPU_SIMD_INL_HPP
#else
#define WARPBAG_CPU_SIMD_INL_HPP
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/tuning.hpp"
#include "hwy/highway.h"
#include "numerics/float_formats.hpp"
#include "numerics/lane_reduction.hpp"
#include "warpbag/types.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using numerics::bf16;
using numerics::f16;

using float_tag = hn::ScalableTag<float>;
using floats = hn::Vec<float_tag>;
inline constexpr float_tag float_lanes;
inline constexpr std::int64_t lanes_per_vector =
    static_cast<std::int64_t>(hn::MaxLanes(float_tag()));

/// HWY_TARGET numbers: smaller is better within x86.
inline constexpr bool has_native_f16 = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2;
inline constexpr bool has_masked_loads = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2;

HWY_INLINE floats fused_multiply_add(floats a, floats b, floats c) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  HWY_ALIGN float x[lanes_per_vector], y[lanes_per_vector], z[lanes_per_vector];
  hn::Store(a, float_lanes, x);
  hn::Store(b, float_lanes, y);
  hn::Store(c, float_lanes, z);
  for (std::int64_t i = 0; i < lanes_per_vector; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return hn::Load(float_lanes, z);
#endif
}

template <typename Stored>
HWY_INLINE floats load(const Stored* from) {
  if constexpr (std::is_same_v<Stored, float>) {
    return hn::LoadU(float_lanes, from);
  } else if constexpr (std::is_same_v<Stored, bf16>) {
    const hn::Rebind<std::uint16_t, float_tag> halves;
    const hn::Rebind<std::uint32_t, float_tag> words;
    return hn::BitCast(float_lanes,
                       hn::ShiftLeft<16>(hn::PromoteTo(words, hn::LoadU(halves, &from->bits))));
  } else if constexpr (has_native_f16) {
    const hn::Rebind<hwy::float16_t, float_tag> halves;
    return hn::PromoteTo(float_lanes,
                         hn::LoadU(halves, reinterpret_cast<const hwy::float16_t*>(from)));
  } else {
    HWY_ALIGN float wide[lanes_per_vector];
    for (std::int64_t i = 0; i < lanes_per_vector; ++i) wide[i] = numerics::widen(from[i]);
    return hn::Load(float_lanes, wide);
  }
}

/// The first `count` elements, zeros after them; reads no more than these.
template <typename Stored>
HWY_INLINE floats load_first(const Stored* from, std::int64_t count) {
  if constexpr (std::is_same_v<Stored, float> && has_masked_loads) {
    return hn::MaskedLoad(hn::FirstN(float_lanes, static_cast<std::size_t>(count)), float_lanes,
                          from);
  } else {
    Stored some[lanes_per_vector] = {};
    std::memcpy(some, from, static_cast<std::size_t>(count) * sizeof(Stored));
    return load(some);
  }
}

template <typename Stored>
HWY_INLINE void store(floats x, Stored* to) {
  if constexpr (std::is_same_v<Stored, float>) {
    hn::StoreU(x, float_lanes, to);
  } else if constexpr (std::is_same_v<Stored, bf16>) {
    // numerics::narrow<bf16>: nearest even on the upper half; NaN keeps its upper half, made quiet.
    const hn::Rebind<std::uint32_t, float_tag> words;
    const hn::Rebind<std::uint16_t, float_tag> halves;
    const auto bits = hn::BitCast(words, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1U));
    const auto rounded = hn::ShiftRight<16>(bits + odd + hn::Set(words, 0x7FFFU));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(words, 0x40U));
    const auto is_nan = hn::RebindMask(words, hn::IsNaN(x));
    hn::StoreU(hn::TruncateTo(halves, hn::IfThenElse(is_nan, quiet, rounded)), halves, &to->bits);
  } else if constexpr (has_native_f16) {
    const hn::Rebind<hwy::float16_t, float_tag> halves;
    hn::StoreU(hn::DemoteTo(halves, x), halves, reinterpret_cast<hwy::float16_t*>(to));
  } else {
    HWY_ALIGN float wide[lanes_per_vector];
    hn::Store(x, float_lanes, wide);
    for (std::int64_t i = 0; i < lanes_per_vector; ++i) to[i] = numerics::narrow<Stored>(wide[i]);
  }
}

template <typename Stored>
HWY_INLINE void store_first(floats x, Stored* to, std::int64_t count) {
  Stored some[lanes_per_vector];
  store(x, some);
  std::memcpy(to, some, static_cast<std::size_t>(count) * sizeof(Stored));
}

/// Widens a row into fp32 scratch of padded(dim) floats and fills the padding with zeros.
template <typename Stored>
HWY_INLINE void widen_row(const Stored* from, float* to, std::int64_t dim,
                          std::int64_t padded_dim) {
  std::int64_t j = 0;
  for (; j + lanes_per_vector <= dim; j += lanes_per_vector) {
    hn::Store(load(from + j), float_lanes, to + j);
  }
  if (j < dim) {
    hn::Store(load_first(from + j, dim - j), float_lanes, to + j);
    j += lanes_per_vector;
  }
  for (; j < padded_dim; j += lanes_per_vector)
    hn::Store(hn::Zero(float_lanes), float_lanes, to + j);
}

/// Rounds a scratch row to nearest even.
template <typename Stored>
HWY_INLINE void narrow_row(const float* from, Stored* to, std::int64_t dim) {
  std::int64_t j = 0;
  for (; j + lanes_per_vector <= dim; j += lanes_per_vector) {
    store(hn::Load(float_lanes, from + j), to + j);
  }
  if (j < dim) store_first(hn::Load(float_lanes, from + j), to + j, dim - j);
}

/// Dot product of two scratch rows in the order of N4. Zeros in the padding change no lane, but for
/// the sign of a lane that is -0, which shows only in a result of -0: callers add +0 where the
/// product can be negative.
HWY_INLINE float dot(const float* a, const float* b, std::int64_t dim) {
  constexpr std::int64_t group = 4 * lanes_per_vector;  // element 4 i + k of a group is in lane i
  constexpr std::int64_t groups = numerics::num_lanes / lanes_per_vector;
  static_assert(numerics::num_lanes % lanes_per_vector == 0);
  HWY_ALIGN float lanes[numerics::num_lanes];
  floats sums[groups];
  for (std::int64_t g = 0; g < groups; ++g) sums[g] = hn::Zero(float_lanes);
  for (std::int64_t first = 0; first < dim; first += group * groups) {
    for (std::int64_t g = 0; g < groups; ++g) {
      floats a0, a1, a2, a3, b0, b1, b2, b3;
      hn::LoadInterleaved4(float_lanes, a + first + g * group, a0, a1, a2, a3);
      hn::LoadInterleaved4(float_lanes, b + first + g * group, b0, b1, b2, b3);
      sums[g] = fused_multiply_add(a0, b0, sums[g]);
      sums[g] = fused_multiply_add(a1, b1, sums[g]);
      sums[g] = fused_multiply_add(a2, b2, sums[g]);
      sums[g] = fused_multiply_add(a3, b3, sums[g]);
    }
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    hn::Store(sums[g], float_lanes, lanes + g * lanes_per_vector);
  }
  return numerics::butterfly(lanes, numerics::add_lanes{});
}

/// Calls strip.template at<Vectors>(first, count) for consecutive strips of columns of a row: as
/// many vectors as stay in registers, and for the last strip `count` < lanes_per_vector elements.
template <typename Strip>
HWY_INLINE void for_each_strip(std::int64_t first, std::int64_t last, const Strip& strip) {
  std::int64_t j = first;
  for (; j + 8 * lanes_per_vector <= last; j += 8 * lanes_per_vector) {
    strip.template at<8, false>(j, lanes_per_vector);
  }
  if (j + 4 * lanes_per_vector <= last) {
    strip.template at<4, false>(j, lanes_per_vector);
    j += 4 * lanes_per_vector;
  }
  if (j + 2 * lanes_per_vector <= last) {
    strip.template at<2, false>(j, lanes_per_vector);
    j += 2 * lanes_per_vector;
  }
  if (j + lanes_per_vector <= last) {
    strip.template at<1, false>(j, lanes_per_vector);
    j += lanes_per_vector;
  }
  if (j < last) strip.template at<1, true>(j, last - j);
}

/// Asks for the cache lines of a row that will be read soon, or for the first of them.
HWY_INLINE void prefetch_row(const void* row, std::int64_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(row);
  const std::uintptr_t end =
      begin + static_cast<std::uintptr_t>(std::min(bytes, tuning::most_bytes_asked_for));
  constexpr std::uintptr_t line_bytes = tuning::cache_line_bytes;
  for (std::uintptr_t line = begin & ~(line_bytes - 1); line < end; line += line_bytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(line));
  }
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
