// SPDX-License-Identifier: Apache-2.0
// Warp primitives, barriers and mbarriers.
#include "decoder.h"

namespace cudasim {

// A .sync form waits for its membermask.
Op Decoder::warp_base(Fn fn) {
  Op op = base(Class::sync);
  op.fn = fn;
  op.kind = has("sync") ? Kind::sync : Kind::plain;
  return op;
}

void Decoder::decode_shfl() {
  Op op = warp_base(op_shfl);
  if (has("up"))
    op.sub = 0;
  else if (has("down"))
    op.sub = 1;
  else if (has("bfly"))
    op.sub = 2;
  else if (has("idx"))
    op.sub = 3;
  else
    unsupported("mode");
  op.d = dst(opnd(0), Ty::b32);
  op.d2 = dst2(opnd(0));
  op.a = src(1, Ty::b32), op.b = src(2, Ty::b32), op.c = src(3, Ty::b32);
  if (op.kind == Kind::sync) op.e = src(4, Ty::b32);
  push(op);
}

void Decoder::decode_vote() {
  Op op = warp_base(op_vote);
  if (has("all"))
    op.sub = 0;
  else if (has("any"))
    op.sub = 1;
  else if (has("uni"))
    op.sub = 2;
  else if (has("ballot"))
    op.sub = 3;
  else
    unsupported("mode");
  op.d = dst(0, op.sub == 3 ? Ty::b32 : Ty::pred);
  pred_operand(op, op.a, opnd(1));
  if (op.kind == Kind::sync) op.e = src(2, Ty::b32);
  push(op);
}

void Decoder::decode_match() {
  Op op = warp_base(op_match);
  op.sub = has("all");
  has("any");
  op.ty = ty();
  op.aw = uint8_t(ir::type_bytes(op.ty));
  op.d = dst(opnd(0), Ty::b32);
  op.d2 = dst2(opnd(0));
  op.a = src(1, op.ty);
  op.e = src(2, Ty::b32);
  push(op);
}

void Decoder::decode_redux() {
  Op op = warp_base(op_redux);
  op.ty = ty();
  auto operation = atom_op();
  if (!operation) unsupported("operation");
  op.sub = uint8_t(*operation);
  if (has("abs")) op.sub2 |= 1;
  if (has("NaN")) op.sub2 |= 2;
  op.d = dst(0, op.ty), op.a = src(1, op.ty), op.e = src(2, Ty::b32);
  push(op);
}

void Decoder::decode_elect() {
  Op op = warp_base(op_elect);
  op.d = dst(opnd(0), Ty::b32);
  op.d2 = dst2(opnd(0));
  op.e = src(1, Ty::b32);
  push(op);
}

void Decoder::decode_activemask() {
  Op op = warp_base(op_activemask);
  op.d = dst(0, Ty::b32);
  push(op);
}

void Decoder::decode_barrier() {
  Op op = base(Class::sync);
  ignore({"cta", "aligned"});
  if (has("warp")) {
    has("sync");
    op.kind = Kind::sync;
    op.sub2 = 1;  // lanes may meet at different instructions
    op.e = src(0, Ty::b32);
    op.fn = op_warp_barrier;
    return push(op);
  }
  if (has("cluster")) {
    op.kind = Kind::cluster_barrier;
    op.sub = has("wait");
    ignore({"arrive", "release", "relaxed", "acquire"});
    return push(op);
  }
  op.kind = Kind::barrier;
  size_t k = 0;
  if (has("red")) {
    if (has("popc"))
      op.sub = 2, op.d = dst(0, Ty::u32);
    else if (has("and"))
      op.sub = 3, op.d = dst(0, Ty::pred);
    else if (has("or"))
      op.sub = 4, op.d = dst(0, Ty::pred);
    else
      unsupported("reduction");
    k = 1;
  } else if (has("arrive"))
    op.sub = 1;
  else if (has("sync"))
    op.sub = 0;
  else
    unsupported("barrier form");
  op.a = src(k++, Ty::u32);
  size_t last = in_->ops.size() - (op.sub >= 2 ? 1 : 0);
  if (k < last) op.b = src(k++, Ty::u32);
  if (op.sub >= 2) pred_operand(op, op.c, in_->ops.back());
  push(op);
}

void Decoder::decode_mbarrier() {
  Op op = base(Class::sync);
  op.fn = op_mbarrier;
  op.space = Space::shared;
  ignore({"shared::cluster", "shared", "shared::cta", "cta", "cluster", "release", "acquire",
          "relaxed", "b64"});
  if (has("pending_count")) {
    op.sub = kPendingCount;
    op.d = dst(0, Ty::b32), op.a = src(1, Ty::b64);
    return push(op);
  }
  if (has("init")) {
    op.sub = kInit;
    address(op, opnd(0));
    op.b = src(1, Ty::u32);
    op.bw = 4;
  } else if (has("inval")) {
    op.sub = kInval;
    address(op, opnd(0));
  } else if (has("arrive") || has("arrive_drop")) {
    op.sub = has("arrive_drop") ? kArriveDrop : kArrive;
    has("arrive");
    if (has("expect_tx")) op.sub2 |= 1;
    has("noComplete");
    size_t k = 0;
    if (opnd(0).kind != Operand::kAddr) {
      op.d = dst(opnd(0), Ty::b64);
      k = 1;
    }
    address(op, opnd(k));
    if (in_->ops.size() > k + 1) op.b = src(k + 1, Ty::u32), op.bw = 4;
  } else if (has("expect_tx") || has("complete_tx")) {
    op.sub = has("complete_tx") ? kCompleteTx : kExpectTx;
    address(op, opnd(0));
    op.b = src(1, Ty::u32);
    op.bw = 4;
  } else if (has("test_wait") || has("try_wait")) {
    bool parity = has("parity");
    has("try_wait"), has("test_wait");
    op.sub = parity ? kTestParity : kTestWait;
    op.kind = Kind::yield;
    op.d = dst(0, Ty::pred);
    address(op, opnd(1));
    op.b = src(2, parity ? Ty::u32 : Ty::b64);
    op.bw = parity ? 4 : 8;
  } else
    unsupported("mbarrier form");
  push(op);
}

}  // namespace cudasim
