// SPDX-License-Identifier: Apache-2.0
// Chooses the file that has an operation: by the operation where it is untyped, by the type else.
#include "alu_lanes.h"

namespace cudasim::CUDASIM_ISA {

Fn find(Alu op, const Op& o) {
  switch (op) {
    case Alu::cvt:
    case Alu::cvt_x2:
    case Alu::cvt_pack: return find_convert(op, o);
    case Alu::set:
    case Alu::setp: return find_compare(op, o);
    case Alu::pack:
    case Alu::unpack: return find_move(op, o);
    default: break;
  }
  if (o.ty == Ty::pred || (op == Alu::mov && o.ty == Ty::b128)) return find_move(op, o);
  switch (op) {
    case Alu::and_:
    case Alu::or_:
    case Alu::xor_:
    case Alu::not_:
    case Alu::cnot:
    case Alu::shl:
    case Alu::mov:
    case Alu::selp:
    case Alu::slct:
    case Alu::brev:
    case Alu::popc:
    case Alu::clz:
    case Alu::bfi:
    case Alu::lop3:
    case Alu::shf:
    case Alu::prmt:
    case Alu::mul24:
    case Alu::mul24_hi:
    case Alu::mad24:
    case Alu::mad24_hi:
    case Alu::fns:
    case Alu::bmsk:
    case Alu::szext:
    case Alu::dp4a:
    case Alu::dp2a:
    case Alu::vabsdiff4: return find_bits(op, o);
    default: break;
  }
  switch (o.ty) {
    case Ty::f32:
    case Ty::f64:
    case Ty::f32x2: return find_float(op, o);
    case Ty::f16:
    case Ty::f16x2:
    case Ty::bf16:
    case Ty::bf16x2: return find_half(op, o);
    default: return find_integer(op, o);
  }
}

}  // namespace cudasim::CUDASIM_ISA
