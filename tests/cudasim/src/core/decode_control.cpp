// SPDX-License-Identifier: Apache-2.0
// Branches, calls, fences and hints.
#include "decoder.h"

namespace cudasim {

void Decoder::decode_bra() {
  Op op = base(Class::control);
  op.kind = Kind::branch;
  has("uni");
  patches_.emplace_back(out_->code.size(), label_index(opnd(0).name));
  push(op);
}

void Decoder::decode_brx() {
  Op op = base(Class::control);
  op.kind = Kind::brx;
  ignore({"idx", "uni"});
  op.a = src(0, Ty::u32);
  std::vector<uint32_t> labels;
  for (auto t : branch_targets(opnd(1).name)) labels.push_back(label_index(t));
  op.target = uint32_t(out_->tables.size());
  out_->tables.emplace_back();
  table_patches_.emplace_back(op.target, std::move(labels));
  push(op);
}

void Decoder::decode_ret() {
  Op op = base(Class::control);
  has("uni");
  op.kind = in_->op == "exit" || fn_->entry ? Kind::exit : Kind::ret;
  push(op);
}

ParamSlot Decoder::call_slot(const Operand& o) {
  static constexpr char kWhy[] = "call argument that is not a .param variable";
  if (o.kind != Operand::kSym) unsupported(kWhy);
  Symbol s = symbol(o.name);
  if (s.space != Space::param || s.kernel_param) unsupported(kWhy);
  return ParamSlot{uint32_t(s.offset), uint32_t(s.variable->size)};
}

void Decoder::call_target(CallSite& site, std::string_view name) {
  static const std::map<std::string_view, CallSite::Builtin> builtins = {
      {"vprintf", CallSite::vprintf},
      {"__assertfail", CallSite::assertfail},
      {"malloc", CallSite::malloc},
      {"free", CallSite::free}};
  auto it = ir_.function_index.find(std::string(name));
  if (it == ir_.function_index.end()) unsupported("call of an undeclared function");
  if (ir_.functions[size_t(it->second)]->defined) {
    site.function = out_->by_index.at(it->second);
    return;
  }
  auto builtin = builtins.find(name);
  if (builtin == builtins.end())
    unsupported("call of " + std::string(name) + ", which this module does not define");
  site.builtin = builtin->second;
}

void Decoder::decode_call() {
  Op op = base(Class::control);
  op.kind = Kind::call;
  has("uni");
  CallSite site;
  for (const Operand& o : in_->call_args) site.args.push_back(call_slot(o));
  for (const Operand& o : in_->call_ret) site.rets.push_back(call_slot(o));
  const Operand& target = opnd(0);
  if (target.kind == Operand::kSym)
    call_target(site, target.name);
  else if (target.kind == Operand::kReg)
    op.a = src(target, Ty::b64);
  else
    unsupported("call target");
  op.target = uint32_t(out_->calls.size());
  out_->calls.push_back(std::move(site));
  push(op);
}

void Decoder::decode_trap() {
  Op op = base(Class::control);
  op.kind = Kind::trap;
  push(op);
}

// Memory is sequentially consistent here.
void Decoder::decode_fence() {
  ignore_all();
  Op op = base(Class::sync);
  op.fn = op_nothing;
  push(op);
}

void Decoder::decode_hint() {
  ignore_all();
  Op op = base(Class::control);
  op.fn = op_nothing;
  push(op);
}

void Decoder::decode_nanosleep() {
  Op op = base(Class::control);
  op.kind = Kind::yield;
  op.fn = op_spin;
  push(op);
}

}  // namespace cudasim
