// SPDX-License-Identifier: Apache-2.0
// cp.async, cp.async.bulk and cp.reduce.async.bulk.
#include "decoder.h"

namespace cudasim {

void Decoder::decode_cp() {
  bool reduce = has("reduce");
  ignore({"async"});
  if (has("tensor")) unsupported("tensor maps");
  if (mentions("commit_group") || mentions("wait_group") || mentions("wait_all"))
    return decode_cp_group();
  if (has("mbarrier")) {
    Op op = base(Class::memory);
    ignore({"arrive", "shared", "shared::cta", "b64"});
    op.sub = has("noinc");
    op.fn = op_cp_async_arrive;
    address(op, opnd(0));
    return push(op);
  }
  if (!mentions("bulk")) return decode_cp_async();
  has_prefix("L2::");
  if (!mentions("prefetch")) return decode_cp_bulk(reduce);
  ignore({"bulk", "prefetch", "L2", "global"});
  Op op = base(Class::memory);
  op.fn = op_nothing;
  push(op);
}

void Decoder::decode_cp_group() {
  Op op = base(Class::memory);
  op.fn = op_cp_async_group;
  op.sub = has("bulk");
  if (has("commit_group")) {
    op.imm = -1;
  } else if (has("wait_all")) {
    op.imm = -2;
  } else {
    ignore({"wait_group", "read"});
    if (opnd(0).kind != Operand::kInt) unsupported("group count is not a literal");
    op.imm = int64_t(opnd(0).imm);
  }
  push(op);
}

void Decoder::decode_cp_async() {
  Op op = base(Class::memory);
  has_prefix("L2::");
  ignore({"ca", "cg", "shared", "shared::cta", "global"});
  op.fn = op_cp_async;
  op.space = Space::shared;
  address(op, opnd(0));
  int32_t displacement;
  op.b = address_value(opnd(1), Space::global, op.bw, displacement);
  op.target = uint32_t(displacement);
  if (opnd(2).kind != Operand::kInt) unsupported("copy size is not a literal");
  op.n = uint8_t(opnd(2).imm);
  if (op.n != 4 && op.n != 8 && op.n != 16) unsupported("copy size");
  size_t extra = in_->ops.size() - 3 - (mentions("L2::cache_hint") ? 1 : 0);
  if (extra) {  // bytes to copy, or a predicate to copy none
    const Operand& o = opnd(3);
    op.sub = o.kind == Operand::kReg && fn_->regs[size_t(o.reg)] == Ty::pred;
    op.c = src(o, op.sub ? Ty::pred : Ty::u32);
  }
  push(op);
}

void Decoder::decode_cp_bulk(bool reduce) {
  Op op = base(Class::memory);
  if (has("multicast::cluster")) unsupported("multicast");
  if (has("cp_mask")) unsupported("cp_mask");
  // destination and source spaces, in the order written
  std::vector<std::string_view> spaces;
  for (size_t i = 0; i < in_->mods.size(); ++i) {
    auto m = in_->mods[i];
    if (m == "global" || m == "shared::cluster" || m == "shared::cta")
      spaces.push_back(m), used_[i] = true;
  }
  if (spaces.size() != 2) unsupported("spaces");
  bool to_global = spaces[0] == "global", from_global = spaces[1] == "global";
  bool barrier = has("mbarrier::complete_tx::bytes");
  ignore({"bulk", "bulk_group", "noftz"});
  if (reduce) {
    auto operation = atom_op();
    if (!operation) unsupported("reduction");
    op.sub2 = uint8_t(uint8_t(*operation) + 1);
    op.ty = ty();
  }
  op.sub = uint8_t(to_global     ? AsyncCopy::shared_to_global
                   : from_global ? AsyncCopy::global_to_shared
                                 : AsyncCopy::shared_to_cluster);
  op.fn = op_cp_bulk;
  op.space = to_global ? Space::global : Space::shared;
  address(op, opnd(0));
  int32_t displacement;
  op.b = address_value(opnd(1), from_global ? Space::global : Space::shared, op.bw, displacement);
  op.target = uint32_t(displacement);
  op.c = src(2, Ty::u32);
  if (barrier) {
    op.e = address_value(opnd(3), Space::shared, op.cw, displacement);
    op.list = uint32_t(displacement);
  }
  push(op);
}

}  // namespace cudasim
