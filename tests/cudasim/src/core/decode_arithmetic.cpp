// SPDX-License-Identifier: Apache-2.0
// Arithmetic, logic and comparisons.
#include "decoder.h"

namespace cudasim {

void Decoder::simple(Alu a, int sources) {
  Op op = base();
  op.ty = ty();
  op.cls = is_float(op.ty) ? Class::fp : Class::integer;
  op.rnd = is_float(op.ty) ? rounding() : Rnd::rn;
  op.ftz = has("ftz");
  op.sat = has("sat");
  if (has("relu")) op.sub2 = 1;
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  if (sources > 1) op.b = src(2, op.ty);
  if (sources > 2) op.c = src(3, op.ty);
  if (in_->ops.size() != size_t(sources) + 1) unsupported("operand count");
  alu(a, op);
}

// Instructions that are no more than a type, a destination and sources.
bool Decoder::decode_simple() {
  struct Simple {
    Alu alu;
    int sources;
  };
  static const std::unordered_map<std::string_view, Simple> table = {
      {"fma", {Alu::fma, 3}},   {"sad", {Alu::sad, 3}},   {"rem", {Alu::rem, 2}},
      {"abs", {Alu::abs, 1}},   {"neg", {Alu::neg, 1}},   {"and", {Alu::and_, 2}},
      {"or", {Alu::or_, 2}},    {"xor", {Alu::xor_, 2}},  {"not", {Alu::not_, 1}},
      {"cnot", {Alu::cnot, 1}}, {"brev", {Alu::brev, 1}}, {"copysign", {Alu::copysign, 2}}};
  auto it = table.find(in_->op);
  if (it == table.end()) return false;
  simple(it->second.alu, it->second.sources);
  return true;
}

void Decoder::carry_form(Alu a, bool reads) {
  Op op = base();
  op.ty = ty();
  bool writes = has("cc");
  op.sub = uint8_t((reads ? 1 : 0) | (writes ? 2 : 0));
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  op.b = src(2, op.ty);
  if (a == Alu::mad_cc || a == Alu::mad_hi_cc) op.c = src(3, op.ty);
  op.e = carry();
  alu(a, op);
}

void Decoder::decode_add() {
  bool add = in_->op[0] == 'a', reads_carry = in_->op.size() == 4;
  if (reads_carry || mentions("cc"))
    return carry_form(add ? Alu::add_cc : Alu::sub_cc, reads_carry);
  simple(add ? Alu::add : Alu::sub, 2);
}

void Decoder::decode_mul() {
  bool mad = in_->op != "mul", reads_carry = in_->op == "madc";
  if (reads_carry || (mad && mentions("cc"))) {
    bool hi = has("hi");
    has("lo");
    return carry_form(hi ? Alu::mad_hi_cc : Alu::mad_cc, reads_carry);
  }
  Op op = base();
  op.ty = ty();
  if (is_float(op.ty)) return simple(mad ? Alu::fma : Alu::mul, mad ? 3 : 2);
  bool wide = has("wide"), hi = has("hi");
  has("lo");
  op.sat = has("sat");
  Ty result = op.ty;
  if (wide) {
    switch (op.ty) {
      case Ty::u16: result = Ty::u32; break;
      case Ty::s16: result = Ty::s32; break;
      case Ty::u32: result = Ty::u64; break;
      case Ty::s32: result = Ty::s64; break;
      default: unsupported("wide type");
    }
  }
  op.d = dst(0, result);
  op.a = src(1, op.ty);
  op.b = src(2, op.ty);
  if (mad) op.c = src(3, result);
  if (wide)
    alu(mad ? Alu::mad_wide : Alu::mul_wide, op);
  else if (hi)
    alu(mad ? Alu::mad_hi : Alu::mul_hi, op);
  else
    alu(mad ? Alu::mad : Alu::mul, op);
}

void Decoder::decode_mul24() {
  Op op = base();
  op.ty = ty();
  bool mad = in_->op == "mad24", hi = has("hi");
  has("lo");
  op.sat = has("sat");
  op.sub = is_signed(op.ty);
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  op.b = src(2, op.ty);
  if (mad) op.c = src(3, op.ty);
  if (hi)
    alu(mad ? Alu::mad24_hi : Alu::mul24_hi, op);
  else
    alu(mad ? Alu::mad24 : Alu::mul24, op);
}

// The approximate forms are computed exactly.
void Decoder::decode_div() {
  ignore({"full", "approx"});
  simple(Alu::div, 2);
}

void Decoder::decode_minmax() {
  Op op = base();
  op.ty = ty();
  op.cls = is_float(op.ty) ? Class::fp : Class::integer;
  op.ftz = has("ftz");
  if (has("NaN")) op.sub |= 1;
  if (has("xorsign")) op.sub |= 2;
  if (has("abs")) op.sub |= 4;
  if (has("relu")) op.sub2 = 1;
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  op.b = src(2, op.ty);
  Alu a = in_->op == "min" ? Alu::min : Alu::max;
  if (in_->ops.size() == 4) {  // of three: two steps, counted once
    if (op.sub & 6) unsupported("three operands with this modifier");
    uint32_t t = new_slot(ir::type_bytes(op.ty)), d = op.d;
    op.d = t;
    alu(a, op);
    op.a = t;
    op.b = src(3, op.ty);
    op.d = d;
    op.counted = false;
  }
  alu(a, op);
}

void Decoder::decode_function() {
  static const std::unordered_map<std::string_view, Alu> table = {
      {"rcp", Alu::rcp}, {"sqrt", Alu::sqrt}, {"rsqrt", Alu::rsqrt}, {"sin", Alu::sin},
      {"cos", Alu::cos}, {"lg2", Alu::lg2},   {"ex2", Alu::ex2},     {"tanh", Alu::tanh}};
  Op op = base(Class::fp);
  op.ty = ty();
  if (has("approx") && op.ty == Ty::f64) op.sub = 1;
  op.rnd = rounding();
  op.ftz = has("ftz");
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  alu(table.at(in_->op), op);
}

void Decoder::decode_shift() {
  Op op = base();
  op.ty = ty();
  op.d = dst(0, op.ty);
  op.a = src(1, op.ty);
  op.b = src(2, Ty::u32);
  alu(in_->op == "shl" ? Alu::shl : Alu::shr, op);
}

void Decoder::decode_count() {
  Op op = base();
  op.ty = ty();
  op.sub = has("shiftamt");
  op.d = dst(0, Ty::u32);
  op.a = src(1, op.ty);
  alu(in_->op == "popc" ? Alu::popc : in_->op == "clz" ? Alu::clz : Alu::bfind, op);
}

// ------------------------------------------------------------- bits and bytes

void Decoder::decode_bfe() {
  Op op = base();
  op.ty = ty();
  op.d = dst(0, op.ty), op.a = src(1, op.ty), op.b = src(2, Ty::u32), op.c = src(3, Ty::u32);
  alu(Alu::bfe, op);
}

void Decoder::decode_bfi() {
  Op op = base();
  op.ty = ty();
  op.d = dst(0, op.ty), op.a = src(1, op.ty), op.b = src(2, op.ty);
  op.c = src(3, Ty::u32), op.e = src(4, Ty::u32);
  alu(Alu::bfi, op);
}

void Decoder::decode_fns() {
  Op op = base();
  op.ty = ty();
  op.d = dst(0, Ty::b32), op.a = src(1, Ty::b32), op.b = src(2, Ty::b32), op.c = src(3, Ty::b32);
  alu(Alu::fns, op);
}

// bmsk, szext
void Decoder::decode_mask() {
  Op op = base();
  op.ty = ty();
  op.sub = has("clamp");
  has("wrap");
  bool szext = in_->op == "szext";
  if (szext && is_signed(op.ty)) op.sub |= 2;
  op.d = dst(0, op.ty), op.a = src(1, op.ty), op.b = src(2, op.ty);
  alu(szext ? Alu::szext : Alu::bmsk, op);
}

// d, a, b, c all 32 bits wide
void Decoder::words3(Alu a, Op& op) {
  op.ty = Ty::b32;
  op.d = dst(0, Ty::b32), op.a = src(1, Ty::b32), op.b = src(2, Ty::b32), op.c = src(3, Ty::b32);
  alu(a, op);
}

void Decoder::decode_dot() {
  Op op = base();
  bool halves = in_->op == "dp2a";
  op.sub = uint8_t((is_signed(ty(0)) ? 1 : 0) | (is_signed(ty(1)) ? 2 : 0));
  if (halves && has("hi")) op.sub |= 4;
  if (halves) has("lo");
  words3(halves ? Alu::dp2a : Alu::dp4a, op);
}

// Whole words only: no lane masks or selectors.
void Decoder::decode_vabsdiff4() {
  Op op = base();
  if (ty(0) != Ty::u32) unsupported("signed result");
  op.sub = uint8_t((is_signed(ty(1)) ? 1 : 0) | (is_signed(ty(2)) ? 2 : 0) | (has("add") ? 4 : 0));
  words3(Alu::vabsdiff4, op);
}

void Decoder::decode_lop3() {
  Op op = base();
  op.ty = Ty::b32;
  BoolOp b = bool_op();
  op.sub2 = uint8_t(b);
  op.d = dst(opnd(0), Ty::b32);
  op.d2 = dst2(opnd(0));
  op.a = src(1, Ty::b32), op.b = src(2, Ty::b32), op.c = src(3, Ty::b32);
  if (opnd(4).kind != Operand::kInt) unsupported("lop3 table is not a literal");
  op.sub = uint8_t(opnd(4).imm);
  if (b != BoolOp::none) pred_operand(op, op.e, opnd(5));
  alu(Alu::lop3, op);
}

void Decoder::decode_shf() {
  Op op = base();
  op.sub = uint8_t((has("r") ? 1 : 0) | (has("clamp") ? 2 : 0));
  ignore({"l", "wrap"});
  words3(Alu::shf, op);
}

void Decoder::decode_prmt() {
  static constexpr std::string_view kModes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
  Op op = base();
  for (uint8_t k = 0; k < 6; ++k)
    if (has(kModes[k])) op.sub = uint8_t(k + 1);
  words3(Alu::prmt, op);
}

// ---------------------------------------------------- comparison and selection

void Decoder::decode_testp() {
  static constexpr std::string_view kTests[] = {"finite",     "infinite", "number",
                                                "notanumber", "normal",   "subnormal"};
  Op op = base(Class::fp);
  for (uint8_t k = 0; k < 6; ++k)
    if (has(kTests[k])) op.sub = k;
  op.ty = ty();
  op.d = dst(0, Ty::pred), op.a = src(1, op.ty);
  alu(Alu::testp, op);
}

void Decoder::compare_operands(Op& op, Ty source) {
  auto compare = compare_op();
  if (!compare) unsupported("compare operator");
  op.sub = uint8_t(*compare);
  BoolOp b = bool_op();
  op.sub2 = uint8_t(b);
  op.ftz = has("ftz");
  op.cls = is_float(source) ? Class::fp : Class::integer;
  op.a = src(1, source), op.b = src(2, source);
  if (b != BoolOp::none) pred_operand(op, op.c, opnd(3));
}

// f16x2 writes both halves' results to p|q; otherwise q is the complement of the comparison.
void Decoder::decode_setp() {
  Op op = base();
  op.ty = ty();
  op.d = dst(opnd(0), Ty::pred);
  op.d2 = dst2(opnd(0));
  compare_operands(op, op.ty);
  alu(Alu::setp, op);
}

void Decoder::decode_set() {
  Op op = base();
  op.ty = ty(0);
  op.ty2 = ty(1);
  op.d = dst(0, op.ty);
  compare_operands(op, op.ty2);
  alu(Alu::set, op);
}

void Decoder::decode_selp() {
  Op op = base();
  op.ty = ty();
  op.d = dst(0, op.ty), op.a = src(1, op.ty), op.b = src(2, op.ty);
  pred_operand(op, op.c, opnd(3));
  alu(Alu::selp, op);
}

void Decoder::decode_slct() {
  Op op = base();
  op.ty = bits_of(ir::type_bytes(ty(0)));
  op.ty2 = ty(1);
  op.ftz = has("ftz");
  op.d = dst(0, op.ty), op.a = src(1, ty(0)), op.b = src(2, ty(0)), op.c = src(3, op.ty2);
  alu(Alu::slct, op);
}

}  // namespace cudasim
