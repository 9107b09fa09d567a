// SPDX-License-Identifier: Apache-2.0
#include "reduce.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cudasim::nccl {
namespace {

// How to compute with each stored type.
template <class T>
struct Plain {
  using Stored = T;
  using Math = T;
  static T load(T v) { return v; }
  static T store(T v) { return v; }
};
struct Half {
  using Stored = uint16_t;
  using Math = float;
  static float load(uint16_t v) {
    __half_raw r;
    r.x = v;
    return __half2float(__half(r));
  }
  static uint16_t store(float v) { return static_cast<__half_raw>(__float2half_rn(v)).x; }
};
struct Bfloat {
  using Stored = uint16_t;
  using Math = float;
  static float load(uint16_t v) {
    uint32_t bits = uint32_t{v} << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  static uint16_t store(float v) {
    return static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(v)).x;
  }
};
template <__nv_fp8_interpretation_t kind>
struct Fp8 {
  using Stored = uint8_t;
  using Math = float;
  static float load(uint8_t v) {
    __half_raw r = __nv_cvt_fp8_to_halfraw(v, kind);
    return __half2float(__half(r));
  }
  static uint8_t store(float v) { return __nv_cvt_float_to_fp8(v, __NV_SATFINITE, kind); }
};

template <class F>
void with_type(ncclDataType_t type, F&& f) {
  switch (type) {
    case ncclInt8: return f(Plain<int8_t>{});
    case ncclUint8: return f(Plain<uint8_t>{});
    case ncclInt32: return f(Plain<int32_t>{});
    case ncclUint32: return f(Plain<uint32_t>{});
    case ncclInt64: return f(Plain<int64_t>{});
    case ncclUint64: return f(Plain<uint64_t>{});
    case ncclFloat16: return f(Half{});
    case ncclFloat32: return f(Plain<float>{});
    case ncclFloat64: return f(Plain<double>{});
    case ncclBfloat16: return f(Bfloat{});
    case ncclFloat8e4m3: return f(Fp8<__NV_E4M3>{});
    case ncclFloat8e5m2: return f(Fp8<__NV_E5M2>{});
    default: return;
  }
}

bool floating(ncclDataType_t type) {
  return type == ncclFloat16 || type == ncclFloat32 || type == ncclFloat64 ||
         type == ncclBfloat16 || type == ncclFloat8e4m3 || type == ncclFloat8e5m2;
}

// Integer sums and products wrap, as on the device.
template <class M>
M add(M a, M b) {
  if constexpr (std::is_integral_v<M>)
    return static_cast<M>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <class M>
M multiply(M a, M b) {
  if constexpr (std::is_integral_v<M>)
    return static_cast<M>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}

}  // namespace

size_t element_size(ncclDataType_t type) {
  size_t size = 0;
  with_type(type, [&](auto t) { size = sizeof(typename decltype(t)::Stored); });
  return size;
}

const char* type_name(ncclDataType_t type) {
  static const char* names[] = {"int8",    "uint8",    "int32",      "uint32",
                                "int64",   "uint64",   "float16",    "float32",
                                "float64", "bfloat16", "float8e4m3", "float8e5m2"};
  return type >= 0 && type < ncclNumTypes ? names[type] : "?";
}

const char* op_name(int op) {
  static const char* names[] = {"sum", "prod", "max", "min", "avg", "premulsum"};
  return op >= 0 && op <= ncclNumOps ? names[op] : "?";
}

void scale_input(void* data, size_t count, ncclDataType_t type, const Reduction& r, int ranks) {
  bool average = r.op == ncclAvg && floating(type);
  if (!average && r.op != ncclNumOps) return;
  with_type(type, [&](auto t) {
    using T = decltype(t);
    using Math = typename T::Math;
    Math factor;
    if (average) {
      factor = T::load(T::store(static_cast<Math>(Math(1) / static_cast<Math>(ranks))));
    } else {
      typename T::Stored stored;
      std::memcpy(&stored, r.scalar, sizeof stored);
      factor = T::load(stored);
    }
    auto* p = static_cast<typename T::Stored*>(data);
    for (size_t i = 0; i < count; ++i) p[i] = T::store(multiply<Math>(T::load(p[i]), factor));
  });
}

void combine(void* into, const void* from, size_t count, ncclDataType_t type, const Reduction& r) {
  with_type(type, [&](auto t) {
    using T = decltype(t);
    using Math = typename T::Math;
    auto* a = static_cast<typename T::Stored*>(into);
    auto* b = static_cast<const typename T::Stored*>(from);
    auto each = [&](auto f) {
      for (size_t i = 0; i < count; ++i) a[i] = T::store(f(T::load(a[i]), T::load(b[i])));
    };
    switch (r.op) {
      case ncclProd: each([](Math x, Math y) { return multiply<Math>(x, y); }); break;
      case ncclMax: each([](Math x, Math y) { return std::max(x, y); }); break;
      case ncclMin: each([](Math x, Math y) { return std::min(x, y); }); break;
      default: each([](Math x, Math y) { return add<Math>(x, y); }); break;
    }
  });
}

void finish_output(void* data, size_t count, ncclDataType_t type, const Reduction& r, int ranks) {
  if (r.op != ncclAvg || floating(type)) return;
  with_type(type, [&](auto t) {
    using T = decltype(t);
    auto* p = static_cast<typename T::Stored*>(data);
    for (size_t i = 0; i < count; ++i)
      p[i] = T::store(
          static_cast<typename T::Math>(T::load(p[i]) / static_cast<typename T::Math>(ranks)));
  });
}

}  // namespace cudasim::nccl
