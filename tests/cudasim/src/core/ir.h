// SPDX-License-Identifier: Apache-2.0
// What the PTX parser produces: functions as lists of instructions with
// resolved registers, and variables with their initialisers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cudasim::ir {

enum class Ty : uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  f32,
  f64,
  tf32,
  e4m3x2,
  e5m2x2,
  u16x2,
  s16x2,
  f32x2,
};

enum class Space : uint8_t { generic, param, local, shared, global, constant };

Ty parse_type(std::string_view name);  // "f32"; none when it is not a type
uint32_t type_bytes(Ty);               // pred: 0
bool is_float(Ty);

struct Operand {
  enum Kind : uint8_t { kReg, kInt, kF32, kF64, kSym, kSpecial, kAddr, kVec, kSink } kind = kSink;
  bool negated = false;       // !%p
  int reg = -1, reg2 = -1;    // register index; reg2: q of p|q (-2: sink)
  uint64_t imm = 0;           // integer value, or the bits of a float literal
  std::string_view name;      // symbol, label or special register
  int64_t offset = 0;         // displacement of a symbol or address
  std::vector<Operand> list;  // vector elements; kAddr: one element, the base
};

struct Inst {
  std::string_view text;  // as written, for reports
  uint32_t line = 0;      // in the PTX text
  uint32_t loc = 0;       // (file << 20 | line) of the last .loc, 0: none
  int guard = -1;
  bool guard_negated = false;
  int scope = 0;
  std::string_view op;
  std::vector<std::string_view> mods;
  std::vector<Operand> ops;
  // call only
  std::vector<Operand> call_ret, call_args;
};

struct Reloc {  // a symbol's address inside an initialiser
  uint64_t at = 0;
  uint32_t bytes = 8;
  std::string symbol;
  int64_t addend = 0;
  uint32_t shift = 0;  // right shift of a masked address: 0xFF00(sym)
};

struct Variable {
  std::string name;
  Space space = Space::global;
  Ty type = Ty::b8;
  uint64_t align = 1, size = 0;
  bool external = false;  // dynamic shared memory, or defined elsewhere
  std::vector<uint8_t> init;
  std::vector<Reloc> relocs;
};

struct Scope {
  int parent = -1;
  std::unordered_map<std::string_view, int> regs;
  std::unordered_map<std::string_view, std::pair<int, int>> ranges;  // %r<N>: first, count
  std::unordered_map<std::string_view, uint32_t> labels;             // instruction index
  std::unordered_map<std::string, int> variables;                    // into Function::variables
  std::unordered_map<std::string_view, std::vector<std::string_view>> targets;  // .branchtargets
};

struct Function {
  std::string name;
  bool entry = false, defined = false;
  uint32_t line = 0;
  std::vector<Variable> params, returns;  // space param
  std::vector<Variable> variables;        // .local, .shared and call .param inside the body
  std::vector<Ty> regs;
  std::vector<Scope> scopes;
  std::vector<Inst> code;
  uint32_t max_threads = 1024;
  uint32_t cluster[3] = {0, 0, 0};  // .reqnctapercluster
};

struct ModuleIr {
  std::string text, label;
  int version = 0, target = 0;
  std::vector<std::string> files;  // by .file number
  std::vector<std::unique_ptr<Function>> functions;
  std::unordered_map<std::string, int> function_index;
  std::vector<Variable> variables;  // module scope
  std::unordered_map<std::string, int> variable_index;
};

std::unique_ptr<ModuleIr> parse(std::string_view text, std::string_view label);

}  // namespace cudasim::ir
