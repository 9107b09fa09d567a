// SPDX-License-Identifier: Apache-2.0
// Names and sizes of PTX types.
#include "ir.h"

namespace cudasim::ir {

namespace {

const std::unordered_map<std::string_view, Ty> kTypes = {
    {"pred", Ty::pred},   {"b8", Ty::b8},         {"b16", Ty::b16},       {"b32", Ty::b32},
    {"b64", Ty::b64},     {"b128", Ty::b128},     {"u8", Ty::u8},         {"u16", Ty::u16},
    {"u32", Ty::u32},     {"u64", Ty::u64},       {"s8", Ty::s8},         {"s16", Ty::s16},
    {"s32", Ty::s32},     {"s64", Ty::s64},       {"f16", Ty::f16},       {"f16x2", Ty::f16x2},
    {"bf16", Ty::bf16},   {"bf16x2", Ty::bf16x2}, {"f32", Ty::f32},       {"f64", Ty::f64},
    {"tf32", Ty::tf32},   {"e4m3x2", Ty::e4m3x2}, {"e5m2x2", Ty::e5m2x2}, {"u16x2", Ty::u16x2},
    {"s16x2", Ty::s16x2}, {"f32x2", Ty::f32x2}};

}  // namespace

Ty parse_type(std::string_view name) {
  auto it = kTypes.find(name);
  return it == kTypes.end() ? Ty::none : it->second;
}

uint32_t type_bytes(Ty t) {
  switch (t) {
    case Ty::none:
    case Ty::pred: return 0;
    case Ty::b8:
    case Ty::u8:
    case Ty::s8: return 1;
    case Ty::b16:
    case Ty::u16:
    case Ty::s16:
    case Ty::f16:
    case Ty::bf16:
    case Ty::e4m3x2:
    case Ty::e5m2x2: return 2;
    case Ty::b64:
    case Ty::u64:
    case Ty::s64:
    case Ty::f64:
    case Ty::f32x2: return 8;
    case Ty::b128: return 16;
    default: return 4;
  }
}

bool is_float(Ty t) {
  switch (t) {
    case Ty::f16:
    case Ty::f16x2:
    case Ty::bf16:
    case Ty::bf16x2:
    case Ty::f32:
    case Ty::f64:
    case Ty::f32x2:
    case Ty::tf32: return true;
    default: return false;
  }
}

}  // namespace cudasim::ir
