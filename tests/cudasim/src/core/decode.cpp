// SPDX-License-Identifier: Apache-2.0
// The decoder's driver: reachable functions, layout of shared memory and frames, one instruction
// after the other.
#include <algorithm>
#include <functional>

#include "decoder.h"

namespace cudasim {

const FunctionCode& Program::function_at(uint32_t pc) const {
  for (const FunctionCode& f : functions)
    if (pc >= f.begin && pc < f.end) return f;
  return functions[0];
}

uint32_t Decoder::static_shared() {
  out_ = std::make_unique<Program>();
  collect();
  layout_shared();
  return out_->static_shared;
}

std::unique_ptr<Program> Decoder::run() {
  out_ = std::make_unique<Program>();
  collect();
  layout_shared();
  for (size_t i = 0; i < order_.size(); ++i) function(int(i));
  finish();
  return std::move(out_);
}

// ------------------------------------------------------ reachable functions

void Decoder::collect() {
  std::set<int> seen;
  std::vector<int> queue;
  auto add = [&](int f) {
    if (f >= 0 && ir_.functions[size_t(f)]->defined && seen.insert(f).second) queue.push_back(f);
  };
  add(ir_.function_index.at(kernel_.name));
  bool indirect = false;
  for (size_t i = 0; i < queue.size(); ++i) {
    order_.push_back(queue[i]);
    const ir::Function& f = *ir_.functions[size_t(queue[i])];
    collect_references(f, add);
    for (const Inst& in : f.code)
      indirect |= in.op == "call" && !in.ops.empty() && in.ops[0].kind == Operand::kReg;
    if (indirect && i + 1 == queue.size()) {  // anything whose address is stored could be called
      for (const ir::Variable& v : ir_.variables)
        for (const ir::Reloc& r : v.relocs)
          if (auto it = ir_.function_index.find(r.symbol); it != ir_.function_index.end())
            add(it->second);
    }
  }
  for (size_t i = 0; i < order_.size(); ++i) out_->by_index[order_[i]] = int(i);
}

// Functions that f names are added; other symbols are noted as used.
void Decoder::collect_references(const ir::Function& f, const std::function<void(int)>& add) {
  std::function<void(const Operand&)> visit = [&](const Operand& o) {
    if (o.kind == Operand::kSym) {
      std::string name(o.name);
      auto it = ir_.function_index.find(name);
      if (it != ir_.function_index.end())
        add(it->second);
      else
        used_symbols_.insert(std::move(name));
    }
    for (const Operand& e : o.list) visit(e);
  };
  for (const Inst& in : f.code)
    for (const Operand& o : in.ops) visit(o);
}

void Decoder::layout_shared() {
  uint64_t at = 0, dynamic_align = 16;
  auto place = [&](const ir::Variable& v, const void* key) {
    if (v.external || v.size == 0) {
      dynamic_align = std::max<uint64_t>(dynamic_align, v.align);
      dynamic_shared_.insert(key);
      return;
    }
    at = align_up(at, v.align);
    shared_offset_[key] = at;
    at += v.size;
  };
  for (const ir::Variable& v : ir_.variables)
    if (v.space == Space::shared && used_symbols_.count(v.name)) place(v, &v);
  for (int f : order_)
    for (const ir::Variable& v : ir_.functions[size_t(f)]->variables)
      if (v.space == Space::shared) place(v, &v);
  out_->static_shared = uint32_t(at);
  out_->dynamic_align = uint32_t(dynamic_align);
  dynamic_at_ = align_up(at, dynamic_align);
}

// ---------------------------------------------------------------- functions

void Decoder::function(int index) {
  out_->functions.emplace_back();
  fn_ = ir_.functions[size_t(order_[size_t(index)])].get();
  code_ = &out_->functions.back();
  code_->ir = fn_;
  code_->begin = uint32_t(out_->code.size());
  slots_.assign(fn_->regs.size(), kNoRef);
  width_.resize(fn_->regs.size());
  for (size_t i = 0; i < fn_->regs.size(); ++i)
    width_[i] = fn_->regs[i] == Ty::pred ? 0 : uint8_t(ir::type_bytes(fn_->regs[i]));
  frame_ = 0;
  carry_.reset();
  layout_variables();
  assign_registers();

  std::vector<uint32_t> pc(fn_->code.size() + 1);
  for (size_t i = 0; i < fn_->code.size(); ++i) {
    pc[i] = uint32_t(out_->code.size());
    in_ = &fn_->code[i];
    instruction();
  }
  pc[fn_->code.size()] = uint32_t(out_->code.size());
  Op end;  // falling off the end returns
  end.kind = fn_->entry ? Kind::exit : Kind::ret;
  end.cls = Class::control;
  end.inst = fn_->code.empty() ? nullptr : &fn_->code.back();
  end.counted = false;
  out_->code.push_back(end);
  patch(pc);
  code_->end = uint32_t(out_->code.size());
  code_->frame_bytes = uint32_t(align_up(frame_, 64));
}

// Branch targets, now that the pc of every instruction is known.
void Decoder::patch(const std::vector<uint32_t>& pc) {
  for (auto& [at, label] : patches_) out_->code[at].target = pc[label];
  for (auto& [table, list] : table_patches_)
    for (uint32_t label : list) out_->tables[table].push_back(pc[label]);
  patches_.clear();
  table_patches_.clear();
}

// Parameters, returns and call parameters in the param area, .local variables on the stack.
void Decoder::layout_variables() {
  variable_offset_.clear();
  uint64_t params = 0, local = 0;
  auto slot = [&](const ir::Variable& v) {
    params = align_up(params, std::max<uint64_t>(v.align, 1));
    ParamSlot s{uint32_t(params), uint32_t(v.size)};
    params += v.size;
    return s;
  };
  if (!fn_->entry) {
    for (const ir::Variable& v : fn_->params) code_->params.push_back(slot(v));
    for (const ir::Variable& v : fn_->returns) code_->returns.push_back(slot(v));
  }
  for (const ir::Variable& v : fn_->variables) {
    if (v.space == Space::param)
      variable_offset_.push_back(slot(v).offset);
    else if (v.space == Space::local) {
      local = align_up(local, std::max<uint64_t>(v.align, 1));
      variable_offset_.push_back(local);
      local += v.size;
    } else
      variable_offset_.push_back(0);
  }
  code_->param_bytes = uint32_t(align_up(params, 16));
  code_->local_bytes = uint32_t(align_up(local, 16));
}

// Every virtual register has its own lane array.
void Decoder::assign_registers() {
  static constexpr uint32_t kOrder[] = {16, 8, 4, 2, 1, 0};
  for (uint32_t bytes : kOrder)
    for (size_t i = 0; i < fn_->regs.size(); ++i)
      if (width_[i] == bytes) slots_[i] = new_slot(bytes);
}

uint32_t Decoder::new_slot(uint32_t bytes) {
  if (bytes == 0) {  // predicates: words packed 16 to a 64-byte line
    frame_ = align_up(frame_, 4);
    uint32_t at = uint32_t(frame_);
    frame_ += 4;
    return at;
  }
  frame_ = align_up(frame_, 64);
  uint32_t at = uint32_t(frame_);
  frame_ += uint64_t(bytes) * 32;
  return at;
}

void Decoder::finish() {
  Program& p = *out_;
  p.pool_storage.resize(pool_.size() + 64);
  p.pool = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(p.pool_storage.data()) + 63) &
                                      ~uintptr_t(63));
  if (!pool_.empty()) memcpy(p.pool, pool_.data(), pool_.size());
  for (const PoolReloc& r : p.relocs) {
    uint64_t v = 0;
    module_.symbol_address(r.symbol, v);
    v += uint64_t(r.addend);
    for (int i = 0; i < 32; ++i) memcpy(p.pool + r.offset + size_t(i) * r.bytes, &v, r.bytes);
  }
  for (Op& op : p.code) op.refs = p.lists.data() + op.list;
}

// ------------------------------------------------------------- instructions

void Decoder::instruction() {
  used_.assign(in_->mods.size(), false);
  collect_types();
  size_t first = out_->code.size();
  try {
    decode_one();
    for (size_t i = 0; i < used_.size(); ++i)
      if (!used_[i]) unsupported("modifier ." + std::string(in_->mods[i]));
  } catch (const Unsupported& u) {
    out_->code.resize(first);
    while (!patches_.empty() && patches_.back().first >= first) patches_.pop_back();
    Op op = base();
    op.kind = Kind::unsupported;
    op.imm = int64_t(out_->notes.size());
    out_->notes.push_back(u.why);
    push(op);
  }
}

const std::unordered_map<std::string_view, Decoder::Handler>& Decoder::handlers() {
  using D = Decoder;
  static const std::unordered_map<std::string_view, Handler> table = {
      // arithmetic
      {"add", &D::decode_add},
      {"sub", &D::decode_add},
      {"addc", &D::decode_add},
      {"subc", &D::decode_add},
      {"mul", &D::decode_mul},
      {"mad", &D::decode_mul},
      {"madc", &D::decode_mul},
      {"mul24", &D::decode_mul24},
      {"mad24", &D::decode_mul24},
      {"div", &D::decode_div},
      {"min", &D::decode_minmax},
      {"max", &D::decode_minmax},
      {"rcp", &D::decode_function},
      {"sqrt", &D::decode_function},
      {"rsqrt", &D::decode_function},
      {"sin", &D::decode_function},
      {"cos", &D::decode_function},
      {"lg2", &D::decode_function},
      {"ex2", &D::decode_function},
      {"tanh", &D::decode_function},
      {"shl", &D::decode_shift},
      {"shr", &D::decode_shift},
      {"popc", &D::decode_count},
      {"clz", &D::decode_count},
      {"bfind", &D::decode_count},
      {"bfe", &D::decode_bfe},
      {"bfi", &D::decode_bfi},
      {"fns", &D::decode_fns},
      {"bmsk", &D::decode_mask},
      {"szext", &D::decode_mask},
      {"dp4a", &D::decode_dot},
      {"dp2a", &D::decode_dot},
      {"vabsdiff4", &D::decode_vabsdiff4},
      {"lop3", &D::decode_lop3},
      {"shf", &D::decode_shf},
      {"prmt", &D::decode_prmt},
      {"testp", &D::decode_testp},
      {"setp", &D::decode_setp},
      {"set", &D::decode_set},
      {"selp", &D::decode_selp},
      {"slct", &D::decode_slct},
      // moves and conversions
      {"mov", &D::decode_mov},
      {"cvt", &D::decode_cvt},
      {"createpolicy", &D::decode_createpolicy},
      // memory
      {"ld", &D::decode_ld},
      {"ldu", &D::decode_ld},
      {"st", &D::decode_st},
      {"atom", &D::decode_atom},
      {"red", &D::decode_atom},
      {"cp", &D::decode_cp},
      {"cvta", &D::decode_cvta},
      {"isspacep", &D::decode_isspacep},
      {"mapa", &D::decode_mapa},
      {"getctarank", &D::decode_getctarank},
      // control
      {"bra", &D::decode_bra},
      {"brx", &D::decode_brx},
      {"ret", &D::decode_ret},
      {"exit", &D::decode_ret},
      {"call", &D::decode_call},
      {"trap", &D::decode_trap},
      {"nanosleep", &D::decode_nanosleep},
      // synchronisation
      {"bar", &D::decode_barrier},
      {"barrier", &D::decode_barrier},
      {"mbarrier", &D::decode_mbarrier},
      {"shfl", &D::decode_shfl},
      {"vote", &D::decode_vote},
      {"match", &D::decode_match},
      {"redux", &D::decode_redux},
      {"elect", &D::decode_elect},
      {"activemask", &D::decode_activemask},
      {"membar", &D::decode_fence},
      {"fence", &D::decode_fence},
      // without effect here
      {"griddepcontrol", &D::decode_hint},
      {"setmaxnreg", &D::decode_hint},
      {"prefetch", &D::decode_hint},
      {"prefetchu", &D::decode_hint},
      {"discard", &D::decode_hint},
      {"applypriority", &D::decode_hint},
      {"brkpt", &D::decode_hint},
      {"pmevent", &D::decode_hint}};
  return table;
}

void Decoder::decode_one() {
  auto it = handlers().find(in_->op);
  if (it != handlers().end())
    (this->*it->second)();
  else if (!decode_simple())
    unsupported("instruction");
}

Op Decoder::base() const {
  Op op;
  op.inst = in_;
  if (in_->guard >= 0) {
    op.guard = slots_[size_t(in_->guard)];
    op.guard_negated = in_->guard_negated;
  }
  return op;
}

Op Decoder::base(Class cls) const {
  Op op = base();
  op.cls = cls;
  return op;
}

void Decoder::alu(Alu a, Op& op) {
  op.fn = alu_function(a, op);
  if (!op.fn) unsupported("this combination");
  push(op);
}

std::unique_ptr<Program> decode(const ModuleImpl& module, const ir::Function& kernel) {
  return Decoder(module, kernel).run();
}

uint32_t static_shared_bytes(const ModuleImpl& module, const ir::Function& kernel) {
  return Decoder(module, kernel).static_shared();
}

}  // namespace cudasim
