// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the lanes of a warp hold a row where no reduction over it is wanted, so that the layout is
// free: a lane holds 16 bytes (8 of narrow rows of 16-bit elements) in parts of one access each,
// and the lanes' accesses of one part are neighbours, so that every request is as few sectors as
// its bytes need, whatever the alignment of the rows.

#include <type_traits>

#include "kernels/common/vector_io.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

template <typename Stored_, int Width>
struct row_format {
  using stored = Stored_;
  static constexpr int width = Width;  // elements per access
  static constexpr int elements = Width == octet_elements ? octet_elements : quad_elements;
  static constexpr int parts = elements / width;
  // What an access loads: words of one fp32 or of one or two 16-bit elements.
  using word = std::conditional_t<sizeof(stored) == 4, float,
                                  std::conditional_t<Width == 1, std::uint16_t, std::uint32_t>>;
  static constexpr int word_elements = static_cast<int>(sizeof(word) / sizeof(stored));
  static constexpr int words = width / word_elements;
  // A lane holds its part in one access of 16 bytes.
  static constexpr bool takes_hints = width * sizeof(stored) == 16;
};

/// An address in global memory, not yet a pointer: pointers that come out of arithmetic which the
/// compiler does not follow would be converted once a row.
using global_address = std::uint64_t;

__device__ __forceinline__ global_address to_global(const void* pointer) {
  return __cvta_generic_to_global(pointer);
}

/// base + number * bytes. Of this product and sum ptxas makes one IMAD.WIDE; of mad.wide.u32, which
/// is one instruction of PTX, it makes three (IMAD.WIDE, IADD3, IMAD.X; CUDA 13.0).
__device__ __forceinline__ global_address address_of(global_address base, std::uint32_t number,
                                                     std::uint32_t bytes) {
  global_address product;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(number), "r"(bytes));
  return base + product;
}

// Loads of memory that the kernel does not write, as the registers that arithmetic wants.

__device__ __forceinline__ void load_global(float (&x)[4], global_address address) {
  asm("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];"
      : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
      : "l"(address));
}
__device__ __forceinline__ void load_global(float (&x)[2], global_address address) {
  asm("ld.global.nc.v2.f32 {%0, %1}, [%2];" : "=f"(x[0]), "=f"(x[1]) : "l"(address));
}
__device__ __forceinline__ void load_global(float (&x)[1], global_address address) {
  asm("ld.global.nc.f32 %0, [%1];" : "=f"(x[0]) : "l"(address));
}
__device__ __forceinline__ void load_global(std::uint32_t (&x)[4], global_address address) {
  asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
      : "l"(address));
}
__device__ __forceinline__ void load_global(std::uint32_t (&x)[2], global_address address) {
  asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(x[0]), "=r"(x[1]) : "l"(address));
}
__device__ __forceinline__ void load_global(std::uint32_t (&x)[1], global_address address) {
  asm("ld.global.nc.u32 %0, [%1];" : "=r"(x[0]) : "l"(address));
}
__device__ __forceinline__ void load_global(std::uint16_t (&x)[1], global_address address) {
  asm("ld.global.nc.u16 %0, [%1];" : "=h"(x[0]) : "l"(address));
}

// The same of rows that many bags share or do not (hot_rows.cuh): L1 keeps hot ones, the others go
// past it. Of the two loads one is done, and ptxas lets neither wait for the other.

#define WARPBAG_LOAD_HOT_OR_PAST(shape, results) \
  "{ .reg .pred hot; setp.ne.u32 hot, %5, 0;"    \
  " @hot ld.global.nc." shape " " results        \
  ", [%4];"                                      \
  " @!hot ld.global.nc.L1::no_allocate." shape " " results ", [%4]; }"

__device__ __forceinline__ void load_global(float (&x)[4], global_address address,
                                            std::uint32_t hot) {
  asm(WARPBAG_LOAD_HOT_OR_PAST("v4.f32", "{%0, %1, %2, %3}")
      : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
      : "l"(address), "r"(hot));
}
__device__ __forceinline__ void load_global(std::uint32_t (&x)[4], global_address address,
                                            std::uint32_t hot) {
  asm(WARPBAG_LOAD_HOT_OR_PAST("v4.u32", "{%0, %1, %2, %3}")
      : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
      : "l"(address), "r"(hot));
}

#undef WARPBAG_LOAD_HOT_OR_PAST

// Stores.

__device__ __forceinline__ void store_global(global_address address, const float (&x)[4]) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(address), "f"(x[0]), "f"(x[1]),
               "f"(x[2]), "f"(x[3])
               : "memory");
}
__device__ __forceinline__ void store_global(global_address address, const float (&x)[2]) {
  asm volatile("st.global.v2.f32 [%0], {%1, %2};" ::"l"(address), "f"(x[0]), "f"(x[1]) : "memory");
}
__device__ __forceinline__ void store_global(global_address address, const float (&x)[1]) {
  asm volatile("st.global.f32 [%0], %1;" ::"l"(address), "f"(x[0]) : "memory");
}

// The elements in such registers.

__device__ __forceinline__ void widen(float (&out)[1], float x, float) { out[0] = x; }
__device__ __forceinline__ void widen(float (&out)[1], std::uint16_t x, numerics::f16) {
  out[0] = __half2float(__ushort_as_half(x));
}
__device__ __forceinline__ void widen(float (&out)[1], std::uint16_t x, numerics::bf16) {
  out[0] = __uint_as_float(std::uint32_t{x} << 16U);
}
__device__ __forceinline__ void widen(float (&out)[2], std::uint32_t x, numerics::f16) {
  asm("{ .reg .f16 low, high; mov.b32 {low, high}, %2; cvt.f32.f16 %0, low; cvt.f32.f16 %1, high; }"
      : "=f"(out[0]), "=f"(out[1])
      : "r"(x));
}
__device__ __forceinline__ void widen(float (&out)[2], std::uint32_t x, numerics::bf16) {
  out[0] = __uint_as_float(x << 16U);
  out[1] = __uint_as_float(x & 0xFFFF0000U);
}

/// The parts of rows that one lane of a group reads and writes. A group of g lanes holds g *
/// elements columns from `strip` on.
template <typename Format>
struct lane_parts {
  global_address rows;  // this lane's first part in row 0
  std::uint64_t row_bytes;
  std::uint64_t from_first[Format::parts];  // bytes, modulo 2^64, from the first part to each
  std::int32_t column[Format::parts];  // at or after dim: read somewhere in the row, never written

  __device__ __forceinline__ lane_parts(const void* row_0, std::int64_t row_stride,
                                        std::int32_t dim, int log_group, std::int32_t strip) {
    using stored = typename Format::stored;
    const int lane = lane_index() & ((1 << log_group) - 1);
    std::int32_t first = 0;
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
      column[p] = strip + ((p << log_group) + lane) * Format::width;
      const std::int32_t read = column[p] < dim ? column[p] : strip;
      if (p == 0) first = read;
      from_first[p] = static_cast<std::uint64_t>(std::int64_t{read - first}) * sizeof(stored);
    }
    rows = to_global(static_cast<const stored*>(row_0) + first);
    row_bytes = static_cast<std::uint64_t>(row_stride) * sizeof(stored);
    strip_bytes_ = static_cast<std::uint32_t>(first - strip) * sizeof(stored);
  }

  /// Where this lane's part of a row begins; the 32-bit form needs rows below 4 GiB.
  __device__ __forceinline__ global_address row(std::uint32_t number) const {
    return address_of(rows, number, static_cast<std::uint32_t>(row_bytes));
  }
  __device__ __forceinline__ global_address row(std::uint64_t number) const {
    return rows + number * row_bytes;
  }
  /// The same in something as wide as a strip.
  __device__ __forceinline__ global_address zeros(const void* strip) const {
    return to_global(strip) + strip_bytes_;
  }

  /// What the lane holds of a row, as loaded.
  struct loaded {
    typename Format::word word[Format::parts][Format::words];
  };

  __device__ __forceinline__ loaded load(global_address first) const {
    loaded result;
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
      load_global(result.word[p], p == 0 ? first : first + from_first[p]);
    }
    return result;
  }

  /// The same in one access of 16 bytes; hot: 0 for a row that is not.
  __device__ __forceinline__ loaded load(global_address first, std::uint32_t hot) const {
    static_assert(Format::takes_hints);
    loaded result;
    load_global(result.word[0], first, hot);
    return result;
  }

  static __device__ __forceinline__ lane_values<Format::elements> widened(const loaded& loaded) {
    lane_values<Format::elements> result;
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
#pragma unroll
      for (int w = 0; w < Format::words; ++w) {
        float part[Format::word_elements];
        widen(part, loaded.word[p][w], typename Format::stored{});
#pragma unroll
        for (int i = 0; i < Format::word_elements; ++i) {
          result.value[p * Format::width + w * Format::word_elements + i] = part[i];
        }
      }
    }
    return result;
  }

  /// Writes the first `count` parts to a row of fp32 where they are at first, first +
  /// bytes_to_next, ..., in accesses as wide, of 16 bytes at most.
  static __device__ __forceinline__ void store_floats(global_address first,
                                                      std::uint32_t bytes_to_next, int count,
                                                      const lane_values<Format::elements>& values) {
    constexpr int width = Format::width < quad_elements ? Format::width : quad_elements;
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
      if (p >= count) return;
#pragma unroll
      for (int begin = 0; begin < Format::width; begin += width) {
        float part[width];
#pragma unroll
        for (int i = 0; i < width; ++i) part[i] = values.value[p * Format::width + begin + i];
        store_global(first + begin * sizeof(float), part);
      }
      first += bytes_to_next;
    }
  }

  /// Rounds and writes to a row of another matrix, in accesses of `Width` elements.
  template <typename Stored, int Width>
  __device__ __forceinline__ void store(Stored* row, std::int32_t dim,
                                        const lane_values<Format::elements>& values) const {
#pragma unroll
    for (int p = 0; p < Format::parts; ++p) {
      lane_values<Format::width> part;
#pragma unroll
      for (int i = 0; i < Format::width; ++i) part.value[i] = values.value[p * Format::width + i];
      std::int32_t first = column[p];
      // Else the columns of narrower stores are computed before the loop over bags, in registers
      // that rows under way need.
      if constexpr (Width < Format::width) asm volatile("" : "+r"(first));
      store_values<Width>(row, first, dim, part);
    }
  }

 private:
  std::uint32_t strip_bytes_;
};

}  // namespace warpbag::kernels
