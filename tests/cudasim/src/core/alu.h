// SPDX-License-Identifier: Apache-2.0
// Arithmetic handlers, built twice from alu_*.cpp: for any x86-64 and for AVX2.
#pragma once

#include "program.h"

namespace cudasim {

enum class Alu : uint8_t {
  add,
  sub,
  mul,
  mul_hi,
  mul_wide,
  mad,
  mad_hi,
  mad_wide,
  mul24,
  mul24_hi,
  mad24,
  mad24_hi,
  sad,
  div,
  rem,
  abs,
  neg,
  min,
  max,
  fma,
  and_,
  or_,
  xor_,
  not_,
  cnot,
  lop3,
  shl,
  shr,
  shf,
  prmt,
  popc,
  clz,
  bfind,
  fns,
  brev,
  bfe,
  bfi,
  bmsk,
  szext,
  dp4a,
  dp2a,
  add_cc,
  sub_cc,
  mad_cc,
  mad_hi_cc,
  rcp,
  sqrt,
  rsqrt,
  sin,
  cos,
  lg2,
  ex2,
  tanh,
  copysign,
  testp,
  setp,
  set,
  selp,
  slct,
  mov,
  pack,
  unpack,
  cvt,
  cvt_x2,
  cvt_pack,
  vabsdiff4,
};

// Compare operators (Op::sub of setp, set).
enum class Cmp : uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };
enum class BoolOp : uint8_t { none, and_, or_, xor_ };
// Op::sub of float-to-float and float-to-integer cvt: how to round to an integer.
enum class ToInt : uint8_t { none, rni, rzi, rmi, rpi };

// Null when the combination is unsupported. Reads o.ty, ty2, sub, rnd, ftz, sat, widths.
Fn alu_function(Alu op, const Op& o);

namespace alu_base {
Fn find(Alu op, const Op& o);
}
namespace alu_avx2 {
Fn find(Alu op, const Op& o);
}

}  // namespace cudasim
