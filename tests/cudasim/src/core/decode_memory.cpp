// SPDX-License-Identifier: Apache-2.0
// Loads, stores, atomics, and instructions on addresses.
#include "decoder.h"

namespace cudasim {

void Decoder::decode_ld() { load_store(true); }

void Decoder::decode_st() {
  for (auto m : in_->mods)
    if (m == "async" || m == "bulk") unsupported("st." + std::string(m));
  load_store(false);
}

void Decoder::load_store(bool load) {
  Op op = base(Class::memory);
  op.ty = ty();
  if (scope_mods()) op.sem = Sem::sync;
  op.past_l1 = has("L1::no_allocate");
  has_prefix("L1::"), has_prefix("L2::");
  ignore({"nc", "unified", "ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  op.space = space_modifier();
  op.n = vector_length();
  const Operand& value = opnd(load ? 0 : 1);
  std::vector<uint32_t> refs;
  auto element = [&](const Operand& o) {
    uint8_t w = 0;
    uint32_t r = load ? any_dst(o, w) : any_src(o, op.ty, w);
    if (w) {
      if (w < ir::type_bytes(op.ty)) unsupported("register narrower than the type");
      if (op.dw && op.dw != w) unsupported("vector of mixed register widths");
      op.dw = w;
    }
    refs.push_back(r);
  };
  if (op.n > 1 || value.kind == Operand::kVec) {
    if (value.kind != Operand::kVec || value.list.size() != op.n) unsupported("vector length");
    for (const Operand& o : value.list) element(o);
  } else
    element(value);
  if (!op.dw) op.dw = uint8_t(ir::type_bytes(op.ty));
  op.list = list(refs);
  const Operand& at = opnd(load ? 1 : 0);
  address(op, at);
  op.fn = load_store_function(op, load, at);
  push(op);
}

Fn Decoder::load_store_function(const Op& op, bool load, const Operand& at) {
  if (op.space != Space::param) return load ? op_load : op_store;
  const Operand& b = at.list[0];
  bool in_frame = b.kind == Operand::kSym && !symbol(b.name).kernel_param;
  if (in_frame) return load ? op_load_frame_param : op_store_frame_param;
  if (!load) unsupported("store to a kernel parameter");
  return op.a == kNoRef ? op_load_kernel_param : op_load;
}

void Decoder::decode_atom() {
  bool red = in_->op == "red";
  if (has("async")) unsupported("red.async");
  Op op = base(Class::memory);
  op.ty = ty();
  op.sem = Sem::sync;
  scope_mods();
  has("noftz");
  has_prefix("L2::"), has_prefix("L1::");
  op.space = space_modifier();
  if (op.space != Space::global && op.space != Space::shared && op.space != Space::generic)
    unsupported("state space");
  auto operation = atom_op();
  if (!operation) unsupported("atomic operation");
  op.sub = uint8_t(*operation);
  op.n = vector_length();
  size_t k = red ? 0 : 1;
  std::vector<uint32_t> refs;
  op.dw = uint8_t(ir::type_bytes(op.ty));
  auto elements = [&](const Operand& o, bool write) {
    if (o.kind == Operand::kVec) {
      if (o.list.size() != op.n) unsupported("vector length");
      for (const Operand& e : o.list) refs.push_back(write ? dst(e, op.ty) : src(e, op.ty));
    } else {
      if (op.n != 1) unsupported("vector length");
      refs.push_back(write ? dst(o, op.ty) : src(o, op.ty));
    }
  };
  if (red)
    refs.assign(op.n, kNoRef);
  else
    elements(opnd(0), true);
  address(op, opnd(k));
  elements(opnd(k + 1), false);
  if (*operation == AtomOp::cas)
    refs.push_back(src(k + 2, op.ty));
  else
    refs.push_back(kNoRef);
  op.list = list(refs);
  op.fn = op_atomic;
  push(op);
}

void Decoder::decode_cvta() {
  Op op = base();
  op.fn = op_cvta;
  op.sub = has("to");
  op.space = space_modifier();
  if (ty() != Ty::u64) unsupported("type");
  op.d = dst(0, Ty::u64);
  op.a = window_src(op, opnd(1), Ty::u64);
  push(op);
}

void Decoder::decode_isspacep() {
  Op op = base();
  op.fn = op_isspacep;
  op.sub = mentions("shared::cta");
  op.space = space_modifier();
  op.d = dst(0, Ty::pred), op.a = src(1, Ty::u64);
  push(op);
}

void Decoder::decode_mapa() {
  Op op = base();
  op.fn = op_mapa;
  op.sub = !has("shared::cluster");
  op.d = any_dst(opnd(0), op.dw);
  op.b = src(2, Ty::u32);
  op.a = window_src(op, opnd(1), ty());
  push(op);
}

void Decoder::decode_getctarank() {
  Op op = base();
  op.fn = op_getctarank;
  op.sub = !has("shared::cluster");
  op.d = dst(0, Ty::u32);
  op.a = window_src(op, opnd(1), ty());
  push(op);
}

}  // namespace cudasim
