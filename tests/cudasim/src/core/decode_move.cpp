// SPDX-License-Identifier: Apache-2.0
// mov and cvt.
#include "decoder.h"

namespace cudasim {

void Decoder::decode_mov() {
  const Operand& s = opnd(1);
  if (s.kind == Operand::kVec || opnd(0).kind == Operand::kVec) return decode_mov_vector();
  Op op = base();
  op.ty = ty();
  if (op.ty == Ty::pred) {
    op.d = dst(0, Ty::pred);
    pred_operand(op, op.a, s);
    return alu(Alu::mov, op);
  }
  Ty t = op.ty;
  op.d = dst(0, t);
  op.a = src(s, t);
  op.ty = bits_of(ir::type_bytes(t));
  alu(Alu::mov, op);
}

// Packs a vector of registers into one, or the reverse.
void Decoder::decode_mov_vector() {
  Op op = base();
  op.ty = ty();
  const Operand &d = opnd(0), &s = opnd(1);
  bool pack = s.kind == Operand::kVec;
  const auto& v = pack ? s.list : d.list;
  op.n = uint8_t(v.size());
  uint32_t bytes = ir::type_bytes(op.ty);
  if (op.n < 2 || bytes % op.n) unsupported("vector length");
  Ty element = bits_of(bytes / op.n);
  std::vector<uint32_t> refs;
  for (const Operand& e : v) refs.push_back(pack ? src(e, element) : dst(e, element));
  op.list = list(refs);
  if (pack)
    op.d = dst(d, op.ty);
  else
    op.a = src(s, op.ty);
  alu(pack ? Alu::pack : Alu::unpack, op);
}

// Cache policies have no effect: any value does.
void Decoder::decode_createpolicy() {
  ignore_all();
  Op op = base();
  op.ty = Ty::b64;
  op.d = dst(0, Ty::b64), op.a = pool(8, 0);
  alu(Alu::mov, op);
}

void Decoder::decode_cvt() {
  if (mentions("pack")) return decode_cvt_pack();
  Op op = base(Class::convert);
  op.ty = ty(0);
  op.ty2 = ty(1);
  if (has("rni"))
    op.sub = uint8_t(ToInt::rni);
  else if (has("rzi"))
    op.sub = uint8_t(ToInt::rzi);
  else if (has("rmi"))
    op.sub = uint8_t(ToInt::rmi);
  else if (has("rpi"))
    op.sub = uint8_t(ToInt::rpi);
  op.rnd = rounding();
  op.ftz = has("ftz");
  op.sat = has("sat");
  if (has("relu")) op.sub2 |= 1;
  if (has("satfinite")) op.sub2 |= 2;
  if (op.ty == Ty::f16x2 || op.ty == Ty::bf16x2 || op.ty == Ty::e4m3x2 || op.ty == Ty::e5m2x2) {
    op.d = dst(0, op.ty);
    op.a = src(1, op.ty2);
    if (op.ty2 == Ty::f32) op.b = src(2, Ty::f32);
    if (in_->ops.size() != (op.ty2 == Ty::f32 ? 3u : 2u)) unsupported("operand count");
    return alu(Alu::cvt_x2, op);
  }
  if (op.ty == Ty::tf32) {
    op.d = dst(0, Ty::b32), op.a = src(1, Ty::f32);
    return alu(Alu::cvt, op);
  }
  op.d = any_dst(opnd(0), op.dw);
  if (op.d == kNoRef) unsupported("sink destination");
  op.a = any_src(opnd(1), op.ty2, op.aw);
  if (op.aw < ir::type_bytes(op.ty2) || op.dw < ir::type_bytes(op.ty))
    unsupported("register narrower than the type");
  if (in_->ops.size() != 2) unsupported("operand count");
  alu(Alu::cvt, op);
}

void Decoder::decode_cvt_pack() {
  ignore({"pack", "sat"});
  Op op = base(Class::convert);
  op.ty = ty(0);
  bool known = op.ty == Ty::u16 || op.ty == Ty::s16 || op.ty == Ty::u8 || op.ty == Ty::s8;
  if (!known || ty(1) != Ty::s32) unsupported("cvt.pack types");
  op.d = dst(0, Ty::b32), op.a = src(1, Ty::s32), op.b = src(2, Ty::s32);
  if (in_->ops.size() > 3) op.c = src(3, Ty::b32);
  alu(Alu::cvt_pack, op);
}

}  // namespace cudasim
