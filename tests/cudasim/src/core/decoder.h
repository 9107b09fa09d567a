// SPDX-License-Identifier: Apache-2.0
// ir::Function to Program: resolves operands, picks handlers. The driver is in decode.cpp,
// operands in decode_operands.cpp, and the instructions in the other decode_*.cpp files.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "alu.h"
#include "handlers.h"
#include "machine.h"

namespace cudasim {

inline uint64_t align_up(uint64_t v, uint64_t a) { return a > 1 ? (v + a - 1) / a * a : v; }

inline bool is_signed(Ty t) { return t == Ty::s8 || t == Ty::s16 || t == Ty::s32 || t == Ty::s64; }

inline Ty bits_of(uint32_t bytes) {
  switch (bytes) {
    case 1: return Ty::b8;
    case 2: return Ty::b16;
    case 8: return Ty::b64;
    case 16: return Ty::b128;
    default: return Ty::b32;
  }
}

class Decoder {
 public:
  Decoder(const ModuleImpl& module, const ir::Function& kernel)
      : module_(module), ir_(*module.ir), kernel_(kernel) {}

  uint32_t static_shared();
  std::unique_ptr<Program> run();

 private:
  using Inst = ir::Inst;
  using Operand = ir::Operand;
  using Handler = void (Decoder::*)();

  struct Symbol {
    Space space = Space::generic;
    uint64_t offset = 0;  // within shared, local, param
    const ir::Variable* variable = nullptr;
    int function = -1;
    bool kernel_param = false, global = false;
  };

  // Thrown while one instruction is decoded: it becomes an op that faults when executed.
  struct Unsupported {
    std::string why;
  };
  [[noreturn]] void unsupported(const std::string& why) const { throw Unsupported{why}; }

  // ---- the program and its functions
  void collect();
  void collect_references(const ir::Function& f, const std::function<void(int)>& add);
  void layout_shared();
  void function(int index);
  void layout_variables();
  void assign_registers();
  uint32_t new_slot(uint32_t bytes);
  void instruction();
  void decode_one();
  static const std::unordered_map<std::string_view, Handler>& handlers();
  void patch(const std::vector<uint32_t>& pc);
  void finish();

  // ---- modifiers and types of the current instruction
  bool has(std::string_view m);         // and marks it as understood
  bool has_prefix(std::string_view m);  // likewise
  bool mentions(std::string_view m) const;
  void ignore(std::initializer_list<std::string_view> list);
  void ignore_all() { used_.assign(used_.size(), true); }
  void collect_types();
  Ty ty(size_t k = 0) const;
  Rnd rounding();
  std::optional<Cmp> compare_op();
  BoolOp bool_op();
  std::optional<AtomOp> atom_op();
  Space space_modifier();
  uint8_t vector_length();
  bool scope_mods();

  // ---- operands
  const Operand& opnd(size_t k) const;
  uint32_t pool(uint32_t bytes, uint64_t value);
  uint32_t pool_symbol(const std::string& name, int64_t addend, uint32_t bytes);
  uint32_t pool_literal(const Operand& o, Ty t);
  Symbol symbol(std::string_view name);
  bool find_parameter(const std::vector<ir::Variable>& list, const std::vector<ParamSlot>* slots,
                      const std::string& name, Symbol& s) const;
  uint64_t shared_at(const void* key) const;
  uint32_t symbol_value(const Operand& o, uint32_t bytes);
  uint32_t special(std::string_view n, uint32_t bytes);
  uint32_t clock(std::string_view n, uint32_t bytes);
  uint32_t widened(uint32_t ref, uint32_t bytes);
  void check_width(const Operand& o, Ty t, const char* what) const;
  uint32_t src(const Operand& o, Ty t);
  uint32_t src(size_t k, Ty t) { return src(opnd(k), t); }
  uint32_t dst(const Operand& o, Ty t);
  uint32_t dst(size_t k, Ty t);
  uint32_t dst2(const Operand& o) { return o.reg2 >= 0 ? slots_[size_t(o.reg2)] : kNoRef; }
  uint32_t any_src(const Operand& o, Ty t, uint8_t& width);
  uint32_t any_dst(const Operand& o, uint8_t& width);
  uint32_t window_src(Op& op, const Operand& o, Ty t);
  void pred_operand(Op& op, uint32_t& field, const Operand& o);
  void address(Op& op, const Operand& o);
  uint32_t address_value(const Operand& o, Space space, uint8_t& width, int32_t& displacement);
  uint32_t list(const std::vector<uint32_t>& refs);
  uint32_t label_index(std::string_view name);
  const std::vector<std::string_view>& branch_targets(std::string_view name);
  uint32_t carry();

  // ---- ops
  Op base() const;
  Op base(Class cls) const;
  void push(const Op& op) { out_->code.push_back(op); }
  void alu(Alu a, Op& op);
  void words3(Alu a, Op& op);

  // ---- decode_arithmetic.cpp
  bool decode_simple();
  void simple(Alu a, int sources);
  void carry_form(Alu a, bool reads);
  void decode_add();
  void decode_mul();
  void decode_mul24();
  void decode_div();
  void decode_minmax();
  void decode_function();
  void decode_shift();
  void decode_count();
  void decode_bfe();
  void decode_bfi();
  void decode_fns();
  void decode_mask();
  void decode_dot();
  void decode_vabsdiff4();
  void decode_lop3();
  void decode_shf();
  void decode_prmt();
  void decode_testp();
  void decode_setp();
  void decode_set();
  void compare_operands(Op& op, Ty source);
  void decode_selp();
  void decode_slct();

  // ---- decode_move.cpp
  void decode_mov();
  void decode_mov_vector();
  void decode_cvt();
  void decode_cvt_pack();
  void decode_createpolicy();

  // ---- decode_memory.cpp
  void decode_ld();
  void decode_st();
  void load_store(bool load);
  Fn load_store_function(const Op& op, bool load, const Operand& at);
  void decode_atom();
  void decode_cvta();
  void decode_isspacep();
  void decode_mapa();
  void decode_getctarank();

  // ---- decode_control.cpp
  void decode_bra();
  void decode_brx();
  void decode_ret();
  void decode_call();
  ParamSlot call_slot(const Operand& o);
  void call_target(CallSite& site, std::string_view name);
  void decode_trap();
  void decode_fence();
  void decode_hint();
  void decode_nanosleep();

  // ---- decode_sync.cpp
  Op warp_base(Fn fn);
  void decode_shfl();
  void decode_vote();
  void decode_match();
  void decode_redux();
  void decode_elect();
  void decode_activemask();
  void decode_barrier();
  void decode_mbarrier();

  // ---- decode_async.cpp
  void decode_cp();
  void decode_cp_group();
  void decode_cp_async();
  void decode_cp_bulk(bool reduce);

  const ModuleImpl& module_;
  const ir::ModuleIr& ir_;
  const ir::Function& kernel_;
  std::unique_ptr<Program> out_;
  std::vector<int> order_;  // reachable functions, the kernel first
  std::set<std::string> used_symbols_;
  std::map<const void*, uint64_t> shared_offset_;  // by variable
  std::set<const void*> dynamic_shared_;
  uint64_t dynamic_at_ = 0;

  // of the function being decoded
  const ir::Function* fn_ = nullptr;
  FunctionCode* code_ = nullptr;
  std::vector<uint32_t> slots_;  // references of the virtual registers
  std::vector<uint8_t> width_;   // and their bytes, 0 for predicates
  uint64_t frame_ = 0;
  std::vector<uint64_t> variable_offset_;
  std::vector<std::pair<size_t, uint32_t>> patches_;  // branch, instruction index of its target
  std::vector<std::pair<size_t, std::vector<uint32_t>>> table_patches_;
  std::optional<uint32_t> carry_;

  // of the instruction being decoded
  const Inst* in_ = nullptr;
  std::vector<bool> used_;  // modifiers understood so far; the rest is an error
  std::vector<Ty> types_;

  std::vector<uint8_t> pool_;
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> pool_index_;
};

}  // namespace cudasim
