// SPDX-License-Identifier: Apache-2.0
// ld and st.
#include <type_traits>

#include "handlers.h"
#include "memory.h"

namespace cudasim {

namespace {

// ------------------------------------------------------- register transfers

// Element e of every active lane: memory pointers to the register `ref` of width dw.
template <class T, class R>
void load_lanes(R* d, uint8_t* const* p, uint32_t mask, uint32_t offset) {
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    T v;
    memcpy(&v, p[i] + offset, sizeof v);
    d[i] = R(std::make_unsigned_t<R>(std::is_signed_v<T> ? std::make_unsigned_t<R>(v) : R(v)));
  }
}

template <class R>
void load_as(Ty ty, R* d, uint8_t* const* p, uint32_t mask, uint32_t offset) {
  switch (ty) {
    case Ty::u8:
    case Ty::b8: return load_lanes<uint8_t>(d, p, mask, offset);
    case Ty::s8: return load_lanes<int8_t>(d, p, mask, offset);
    case Ty::s16: return load_lanes<int16_t>(d, p, mask, offset);
    case Ty::u16:
    case Ty::b16:
    case Ty::f16:
    case Ty::bf16: return load_lanes<uint16_t>(d, p, mask, offset);
    case Ty::s32: return load_lanes<int32_t>(d, p, mask, offset);
    case Ty::u64:
    case Ty::s64:
    case Ty::b64:
    case Ty::f64:
    case Ty::f32x2: return load_lanes<uint64_t>(d, p, mask, offset);
    default: return load_lanes<uint32_t>(d, p, mask, offset);
  }
}

void load_element(Warp& w, const Op& o, uint32_t ref, uint8_t* const* p, uint32_t mask,
                  uint32_t offset) {
  if (ref == kNoRef) return;
  switch (o.dw) {
    case 1: return load_as(o.ty, lanes<uint8_t>(w, ref), p, mask, offset);
    case 2: return load_as(o.ty, lanes<uint16_t>(w, ref), p, mask, offset);
    case 4: return load_as(o.ty, lanes<uint32_t>(w, ref), p, mask, offset);
    case 8: return load_as(o.ty, lanes<uint64_t>(w, ref), p, mask, offset);
    default: {
      uint8_t* d = lanes<uint8_t>(w, ref);
      for (; mask; mask &= mask - 1) {
        int i = __builtin_ctz(mask);
        memcpy(d + 16 * i, p[i] + offset, 16);
      }
    }
  }
}

template <class T>
void store_lanes(const T* s, uint32_t stride, uint8_t* const* p, uint32_t mask, uint32_t offset) {
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    memcpy(p[i] + offset, reinterpret_cast<const uint8_t*>(s) + size_t(i) * stride, sizeof(T));
  }
}

// The low bytes of the register are stored.
void store_element(Warp& w, const Op& o, uint32_t ref, uint8_t* const* p, uint32_t mask,
                   uint32_t offset, uint32_t esize) {
  const uint8_t* s = lanes<uint8_t>(w, ref);
  switch (esize) {
    case 1: return store_lanes<uint8_t>(s, o.dw, p, mask, offset);
    case 2: return store_lanes(reinterpret_cast<const uint16_t*>(s), o.dw, p, mask, offset);
    case 4: return store_lanes(reinterpret_cast<const uint32_t*>(s), o.dw, p, mask, offset);
    case 8: return store_lanes(reinterpret_cast<const uint64_t*>(s), o.dw, p, mask, offset);
    default:
      for (; mask; mask &= mask - 1) {
        int i = __builtin_ctz(mask);
        memcpy(p[i] + offset, s + 16 * i, 16);
      }
  }
}

// ---------------------------------------------- full warps in lane order

// True when the full warp touches bytes [a[0], a[0] + 32 * size) in lane order.
inline bool contiguous(const uint64_t* a, uint64_t size) {
  uint64_t diff = 0;
  for (uint64_t i = 0; i < 32; ++i) diff |= a[i] - a[0] - i * size;
  return diff == 0;
}

inline uint8_t* contiguous_pointer(Warp& w, Space space, const uint64_t* a, uint32_t esize,
                                   Access kind) {
  uint64_t begin = a[0], bytes = uint64_t(esize) * 32;
  if (begin & (esize - 1)) return nullptr;
  if (space == Space::shared)
    return begin + bytes <= w.grid->shared_bytes ? w.block->shared.data() + begin : nullptr;
  if (space != Space::global && space != Space::constant &&
      !(space == Space::generic && !(begin & kWindowMask)))
    return nullptr;
  for (RangeEntry& r : w.ranges)
    if (begin >= r.begin && begin + bytes <= r.end) {
      if (kind != Access::load && (!r.writable || r.constant)) return nullptr;
      if (r.init) {
        if (kind == Access::load) {
          if (w.grid->options->initcheck && memchr(r.init + (begin - r.begin), 0, bytes))
            return nullptr;
        } else
          memset(r.init + (begin - r.begin), 1, bytes);
      }
      return r.host + (begin - r.begin);
    }
  return nullptr;
}

// The host bytes of a full warp's registers when one copy will do; null otherwise.
inline uint8_t* bulk_pointer(Warp& w, const Op& o, const uint64_t* a, uint32_t mask, uint32_t esize,
                             Access kind) {
  bool whole = mask == ~0u && o.n == 1 && o.dw == esize && esize >= 4;
  if (!whole || !contiguous(a, esize)) return nullptr;
  uint8_t* p = contiguous_pointer(w, o.space, a, esize, kind);
  if (p && w.grid->observe)
    observe(w, o.space == Space::shared ? Space::shared : Space::global, kind, o.sem, a, mask,
            esize, o.past_l1);
  return p;
}

// Parameters of calls and of device functions: in the frame, one copy a lane
void frame_params(Warp& w, const Op& o, uint8_t** p) {
  uint32_t stride = w.frame->fn->param_bytes;
  for (int i = 0; i < 32; ++i) p[i] = w.frame->params.data() + size_t(i) * stride + o.imm;
}

}  // namespace

void op_load(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  alignas(64) uint64_t a[32];
  addresses(w, o, a);
  uint32_t esize = ir::type_bytes(o.ty), bytes = esize * o.n;
  if (o.sem == Sem::sync) w.spinny = true;
  if (uint8_t* p = bulk_pointer(w, o, a, mask, esize, Access::load)) {
    memcpy(lanes<uint8_t>(w, o.refs[0]), p, size_t(esize) * 32);
    return;
  }
  uint8_t* p[32];
  auto part = [&](Space space, const uint64_t* at, uint32_t m) {
    resolve(w, space, at, m, bytes, Access::load, p);
    for (uint32_t k = 0; k < o.n; ++k) load_element(w, o, o.refs[k], p, m, k * esize);
    if (w.grid->observe) observe(w, space, Access::load, o.sem, at, m, bytes, o.past_l1);
  };
  if (o.space == Space::generic)
    split_generic(a, mask, part);
  else
    part(o.space, a, mask);
}

void op_store(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  alignas(64) uint64_t a[32];
  addresses(w, o, a);
  uint32_t esize = ir::type_bytes(o.ty), bytes = esize * o.n;
  if (o.sem == Sem::sync) w.spinny = true;
  if (uint8_t* p = bulk_pointer(w, o, a, mask, esize, Access::store)) {
    memcpy(p, lanes<uint8_t>(w, o.refs[0]), size_t(esize) * 32);
    return;
  }
  if (o.space == Space::constant)
    throw DeviceFault{kIllegalAddress, "store to constant memory", __builtin_ctz(mask)};
  uint8_t* p[32];
  auto part = [&](Space space, const uint64_t* at, uint32_t m) {
    resolve(w, space, at, m, bytes, Access::store, p);
    for (uint32_t k = 0; k < o.n; ++k) store_element(w, o, o.refs[k], p, m, k * esize, esize);
    if (w.grid->observe) observe(w, space, Access::store, o.sem, at, m, bytes);
  };
  if (o.space == Space::generic)
    split_generic(a, mask, part);
  else
    part(o.space, a, mask);
}

// ld.param of a kernel parameter at a fixed offset: the same for every lane
void op_load_kernel_param(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  uint32_t esize = ir::type_bytes(o.ty);
  const uint8_t* s = param_pointer(w, uint64_t(o.imm), esize * o.n, __builtin_ctz(mask));
  uint8_t* p[32];
  for (auto& x : p) x = const_cast<uint8_t*>(s);
  for (uint32_t k = 0; k < o.n; ++k) load_element(w, o, o.refs[k], p, mask, k * esize);
}

void op_load_frame_param(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  uint8_t* p[32];
  frame_params(w, o, p);
  uint32_t esize = ir::type_bytes(o.ty);
  for (uint32_t k = 0; k < o.n; ++k) load_element(w, o, o.refs[k], p, mask, k * esize);
}

void op_store_frame_param(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  uint8_t* p[32];
  frame_params(w, o, p);
  uint32_t esize = ir::type_bytes(o.ty);
  for (uint32_t k = 0; k < o.n; ++k) store_element(w, o, o.refs[k], p, mask, k * esize, esize);
}

}  // namespace cudasim
