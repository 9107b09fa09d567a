// SPDX-License-Identifier: Apache-2.0
// Over 400 lines: one class, one concern; special registers are in decode_special.cpp.
// Modifiers and operands: registers, literals, symbols, addresses.
#include <algorithm>

#include "decoder.h"

namespace cudasim {

// ----------------------------------------------------------------- modifiers

bool Decoder::has(std::string_view m) {
  bool found = false;
  for (size_t i = 0; i < in_->mods.size(); ++i)
    if (in_->mods[i] == m) used_[i] = found = true;
  return found;
}

bool Decoder::has_prefix(std::string_view m) {
  bool found = false;
  for (size_t i = 0; i < in_->mods.size(); ++i)
    if (in_->mods[i].substr(0, m.size()) == m) used_[i] = found = true;
  return found;
}

bool Decoder::mentions(std::string_view m) const {
  return std::find(in_->mods.begin(), in_->mods.end(), m) != in_->mods.end();
}

void Decoder::ignore(std::initializer_list<std::string_view> list) {
  for (auto m : list) has(m);
}

void Decoder::collect_types() {
  types_.clear();
  for (size_t i = 0; i < in_->mods.size(); ++i) {
    Ty t = ir::parse_type(in_->mods[i]);
    if (t != Ty::none) types_.push_back(t), used_[i] = true;
  }
}

Ty Decoder::ty(size_t k) const {
  if (k >= types_.size()) unsupported("missing type");
  return types_[k];
}

Rnd Decoder::rounding() {
  if (has("rn")) return Rnd::rn;
  if (has("rz")) return Rnd::rz;
  if (has("rm")) return Rnd::rm;
  if (has("rp")) return Rnd::rp;
  if (has("rna")) return Rnd::rna;
  return Rnd::rn;
}

std::optional<Cmp> Decoder::compare_op() {
  static const std::map<std::string_view, Cmp> table = {
      {"eq", Cmp::eq},   {"ne", Cmp::ne},   {"lt", Cmp::lt},   {"le", Cmp::le},   {"gt", Cmp::gt},
      {"ge", Cmp::ge},   {"lo", Cmp::lt},   {"ls", Cmp::le},   {"hi", Cmp::gt},   {"hs", Cmp::ge},
      {"equ", Cmp::equ}, {"neu", Cmp::neu}, {"ltu", Cmp::ltu}, {"leu", Cmp::leu}, {"gtu", Cmp::gtu},
      {"geu", Cmp::geu}, {"num", Cmp::num}, {"nan", Cmp::nan}};
  for (size_t i = 0; i < in_->mods.size(); ++i)
    if (auto it = table.find(in_->mods[i]); it != table.end()) {
      used_[i] = true;
      return it->second;
    }
  return std::nullopt;
}

BoolOp Decoder::bool_op() {
  if (has("and")) return BoolOp::and_;
  if (has("or")) return BoolOp::or_;
  if (has("xor")) return BoolOp::xor_;
  return BoolOp::none;
}

std::optional<AtomOp> Decoder::atom_op() {
  static const std::map<std::string_view, AtomOp> table = {
      {"add", AtomOp::add},   {"min", AtomOp::min},  {"max", AtomOp::max}, {"inc", AtomOp::inc},
      {"dec", AtomOp::dec},   {"and", AtomOp::and_}, {"or", AtomOp::or_},  {"xor", AtomOp::xor_},
      {"exch", AtomOp::exch}, {"cas", AtomOp::cas}};
  for (size_t i = 0; i < in_->mods.size(); ++i)
    if (auto it = table.find(in_->mods[i]); it != table.end()) {
      used_[i] = true;
      return it->second;
    }
  return std::nullopt;
}

// Space::generic when the instruction names none.
Space Decoder::space_modifier() {
  if (has("param") | has("param::entry") | has("param::func")) return Space::param;
  if (has("global")) return Space::global;
  if (has("shared") | has("shared::cta") | has("shared::cluster")) return Space::shared;
  if (has("local")) return Space::local;
  if (has("const")) return Space::constant;
  return Space::generic;
}

uint8_t Decoder::vector_length() { return has("v2") ? 2 : has("v4") ? 4 : has("v8") ? 8 : 1; }

// Memory order: true when the access synchronises.
bool Decoder::scope_mods() {
  ignore({"cta", "cluster", "gpu", "sys"});
  bool sync = false;
  for (auto m : {"volatile", "relaxed", "acquire", "release", "acq_rel", "mmio", "sc"})
    sync |= has(m);
  has("weak");
  return sync;
}

// ------------------------------------------------------- literals and symbols

uint32_t Decoder::pool(uint32_t bytes, uint64_t value) {
  auto key = std::make_pair(bytes, value);
  auto it = pool_index_.find(key);
  if (it != pool_index_.end()) return it->second | 1;
  uint32_t at = uint32_t(pool_.size());
  if (bytes == 0) {
    pool_.resize(pool_.size() + 64);
    uint32_t v = value ? ~0u : 0;
    memcpy(&pool_[at], &v, 4);
  } else {
    pool_.resize(pool_.size() + std::max(64u, bytes * 32));
    for (int i = 0; i < 32; ++i)
      memcpy(&pool_[at + size_t(i) * bytes], &value, std::min(bytes, 8u));
  }
  pool_index_[key] = at;
  return at | 1;
}

uint32_t Decoder::pool_symbol(const std::string& name, int64_t addend, uint32_t bytes) {
  for (const PoolReloc& r : out_->relocs)
    if (r.symbol == name && r.addend == addend && r.bytes == bytes) return r.offset | 1;
  uint32_t at = uint32_t(pool_.size());
  pool_.resize(pool_.size() + bytes * 32);
  out_->relocs.push_back({at, name, addend, bytes});
  return at | 1;
}

Decoder::Symbol Decoder::symbol(std::string_view name) {
  Symbol s;
  std::string n(name);
  for (int sc = in_->scope; sc >= 0; sc = fn_->scopes[size_t(sc)].parent) {
    auto it = fn_->scopes[size_t(sc)].variables.find(n);
    if (it == fn_->scopes[size_t(sc)].variables.end()) continue;
    const ir::Variable& v = fn_->variables[size_t(it->second)];
    s.variable = &v;
    s.space = v.space;
    s.offset = v.space == Space::shared ? shared_at(&v) : variable_offset_[size_t(it->second)];
    return s;
  }
  if (find_parameter(fn_->params, fn_->entry ? nullptr : &code_->params, n, s)) return s;
  if (!fn_->entry && find_parameter(fn_->returns, &code_->returns, n, s)) return s;
  if (auto it = ir_.variable_index.find(n); it != ir_.variable_index.end()) {
    const ir::Variable& v = ir_.variables[size_t(it->second)];
    s.variable = &v;
    s.space = v.space;
    if (v.space == Space::shared)
      s.offset = shared_at(&v);
    else
      s.global = true;
    return s;
  }
  if (auto it = ir_.function_index.find(n); it != ir_.function_index.end()) {
    s.function = it->second;
    return s;
  }
  unsupported("unknown symbol " + n);
}

// Among a device function's parameters or returns, or (without slots) the kernel's parameters.
bool Decoder::find_parameter(const std::vector<ir::Variable>& list,
                             const std::vector<ParamSlot>* slots, const std::string& name,
                             Symbol& s) const {
  uint64_t at = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    at = align_up(at, std::max<uint64_t>(list[i].align, 1));
    if (list[i].name == name) {
      s.variable = &list[i];
      s.space = Space::param;
      s.offset = slots ? (*slots)[i].offset : at;
      s.kernel_param = !slots;
      return true;
    }
    at += list[i].size;
  }
  return false;
}

uint64_t Decoder::shared_at(const void* key) const {
  if (dynamic_shared_.count(key)) return dynamic_at_;
  auto it = shared_offset_.find(key);
  if (it == shared_offset_.end()) unsupported("shared variable without storage");
  return it->second;
}

// A symbol's address as a value of `bytes`.
uint32_t Decoder::symbol_value(const Operand& o, uint32_t bytes) {
  Symbol s = symbol(o.name);
  if (s.function >= 0) return pool(bytes, kFunctionWindow + uint64_t(s.function + 1) * 16);
  if (s.global) return pool_symbol(s.variable->name, o.offset, bytes);
  if (s.space == Space::shared) return pool(bytes, s.offset + uint64_t(o.offset));
  if (s.space == Space::param) {
    if (!s.kernel_param) unsupported("address of a function's parameter");
    return pool(bytes, s.offset + uint64_t(o.offset));
  }
  Op op = base();
  op.fn = op_local_address;
  op.counted = false;
  op.d = new_slot(bytes);
  op.dw = uint8_t(bytes);
  op.imm = int64_t(s.offset) + o.offset;
  push(op);
  return op.d;
}

// ------------------------------------------------------------------ operands

const ir::Operand& Decoder::opnd(size_t k) const {
  if (k >= in_->ops.size()) unsupported("missing operand");
  return in_->ops[k];
}

void Decoder::check_width(const Operand& o, Ty t, const char* what) const {
  bool fits = t == Ty::pred ? fn_->regs[size_t(o.reg)] == Ty::pred
                            : width_[size_t(o.reg)] == ir::type_bytes(t);
  if (!fits) unsupported(what + std::string(o.name) + " does not have the instruction's width");
}

// Reference to a source operand read as type t.
uint32_t Decoder::src(const Operand& o, Ty t) {
  switch (o.kind) {
    case Operand::kReg:
      if (o.reg < 0) unsupported("sink as a source");
      check_width(o, t, "operand ");
      if (o.offset) unsupported("register with a displacement");
      return slots_[size_t(o.reg)];
    case Operand::kInt:
    case Operand::kF32:
    case Operand::kF64: return pool_literal(o, t);
    case Operand::kSpecial: return special(o.name, ir::type_bytes(t));
    case Operand::kSym: return symbol_value(o, ir::type_bytes(t));
    default: unsupported("unexpected operand");
  }
}

// Literals take the instruction's type: integers become floats, floats change their width.
uint32_t Decoder::pool_literal(const Operand& o, Ty t) {
  uint32_t bytes = ir::type_bytes(t);
  uint64_t integer_bits = bytes && bytes < 8 ? o.imm & ((1ull << (8 * bytes)) - 1) : o.imm;
  if (t != Ty::f32 && t != Ty::f64) {
    if (o.kind == Operand::kInt) return pool(bytes, integer_bits);
    if (bytes == (o.kind == Operand::kF32 ? 4u : 8u)) return pool(bytes, o.imm);
    unsupported((o.kind == Operand::kF32 ? "f32" : "f64") + std::string(" literal in a ") +
                std::to_string(bytes) + "-byte operand");
  }
  double v;
  if (o.kind == Operand::kInt) {
    v = double(int64_t(o.imm));
  } else if (o.kind == Operand::kF64) {
    if (t == Ty::f64) return pool(8, o.imm);
    memcpy(&v, &o.imm, 8);
  } else {
    if (t == Ty::f32) return pool(4, o.imm);
    float f;
    memcpy(&f, &o.imm, 4);
    v = f;
  }
  uint64_t bits = 0;
  float f = float(v);
  if (t == Ty::f64)
    memcpy(&bits, &v, 8);
  else
    memcpy(&bits, &f, 4);
  return pool(bytes, bits);
}

uint32_t Decoder::dst(const Operand& o, Ty t) {
  if (o.kind == Operand::kSink) return kNoRef;
  if (o.kind != Operand::kReg) unsupported("destination is not a register");
  if (o.reg < 0) return kNoRef;
  check_width(o, t, "destination ");
  return slots_[size_t(o.reg)];
}

// A result nobody wants goes to a slot of its own.
uint32_t Decoder::dst(size_t k, Ty t) {
  uint32_t r = dst(opnd(k), t);
  return r == kNoRef ? new_slot(ir::type_bytes(t)) : r;
}

// A register of any width, as ld, st and cvt allow; its width in `width`. Other operands get type
// t.
uint32_t Decoder::any_src(const Operand& o, Ty t, uint8_t& width) {
  if (o.kind == Operand::kReg && o.reg >= 0) {
    width = width_[size_t(o.reg)];
    if (!width) unsupported("predicate operand");
    return slots_[size_t(o.reg)];
  }
  width = uint8_t(ir::type_bytes(t));
  return src(o, t);
}

uint32_t Decoder::any_dst(const Operand& o, uint8_t& width) {
  if (o.kind == Operand::kSink || o.reg == -2) return kNoRef;
  if (o.kind != Operand::kReg) unsupported("destination is not a register");
  width = width_[size_t(o.reg)];
  if (!width) unsupported("predicate operand");
  return slots_[size_t(o.reg)];
}

// An address that is a value, as cvta and mapa take it: register, register + literal, or symbol.
uint32_t Decoder::window_src(Op& op, const Operand& o, Ty t) {
  if (o.kind != Operand::kReg) {
    op.aw = 8;
    return src(o, Ty::u64);
  }
  Operand plain = o;
  plain.offset = 0;
  op.imm = o.offset;
  return any_src(plain, t, op.aw);
}

void Decoder::pred_operand(Op& op, uint32_t& field, const Operand& o) {
  field = src(o, Ty::pred);
  op.negate = o.negated;
}

// [base + offset] into a (aw, imm)
void Decoder::address(Op& op, const Operand& o) {
  if (o.kind != Operand::kAddr || o.list.size() != 1) unsupported("address operand");
  const Operand& b = o.list[0];
  op.imm = o.offset;
  if (b.kind == Operand::kReg) {
    op.aw = width_[size_t(b.reg)];
    if (op.aw != 8 && op.aw != 4) unsupported("address register width");
    op.a = slots_[size_t(b.reg)];
  } else if (b.kind == Operand::kInt) {
    op.imm = int64_t(b.imm) + o.offset;
  } else if (b.kind == Operand::kSym) {
    Symbol s = symbol(b.name);
    if (s.space == Space::shared || (s.space == Space::param)) {
      op.imm = int64_t(s.offset) + o.offset;
      if (op.space == Space::generic && s.space == Space::shared) op.imm |= int64_t(kSharedWindow);
    } else {
      Operand plain = b;
      plain.offset = 0;
      op.a = symbol_value(plain, 8);
      op.aw = 8;
      op.imm = o.offset;
      if (op.space == Space::generic && s.space == Space::local) op.imm += int64_t(kLocalWindow);
    }
  } else
    unsupported("address operand");
}

// The second and third address of an asynchronous copy: a reference of some width and a
// displacement.
uint32_t Decoder::address_value(const Operand& o, Space space, uint8_t& width,
                                int32_t& displacement) {
  Op t = base();
  t.space = space;
  address(t, o);
  if (t.a == kNoRef) {
    width = 8;
    displacement = 0;
    return pool(8, uint64_t(t.imm));
  }
  width = t.aw;
  displacement = int32_t(t.imm);
  return t.a;
}

uint32_t Decoder::list(const std::vector<uint32_t>& refs) {
  uint32_t at = uint32_t(out_->lists.size());
  out_->lists.insert(out_->lists.end(), refs.begin(), refs.end());
  return at;
}

uint32_t Decoder::label_index(std::string_view name) {
  for (int s = in_->scope; s >= 0; s = fn_->scopes[size_t(s)].parent) {
    auto it = fn_->scopes[size_t(s)].labels.find(name);
    if (it != fn_->scopes[size_t(s)].labels.end()) return it->second;
  }
  throw PtxError(ir_.label + ":" + std::to_string(in_->line) + ": unknown label " +
                 std::string(name));
}

const std::vector<std::string_view>& Decoder::branch_targets(std::string_view name) {
  for (int s = in_->scope; s >= 0; s = fn_->scopes[size_t(s)].parent) {
    auto it = fn_->scopes[size_t(s)].targets.find(name);
    if (it != fn_->scopes[size_t(s)].targets.end()) return it->second;
  }
  unsupported("unknown branch targets");
}

// The condition code is one predicate for each function.
uint32_t Decoder::carry() {
  if (!carry_) carry_ = new_slot(0);
  return *carry_;
}

}  // namespace cudasim
