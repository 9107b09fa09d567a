// SPDX-License-Identifier: Apache-2.0
// Decoded code: what the interpreter runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core.h"
#include "ir.h"

namespace cudasim {

using ir::is_float;
using ir::Space;
using ir::Ty;

// The lane-array storage an instruction's operands live in. An operand
// reference is a byte offset whose two low bits choose the base.
struct Lanes {
  uint8_t* base[4];  // 0: registers of the frame, 1: constants, 2: per-warp specials, 3: per-block
                     // specials
};

constexpr uint32_t kNoRef = ~0u;

struct Op;
using Fn = void (*)(Lanes&, const Op&, uint32_t mask);

enum class Kind : uint8_t {
  plain,  // fn, then the next instruction
  branch,
  brx,
  call,
  ret,
  exit,
  sync,     // warp-synchronous: waits for its membermask, then fn
  barrier,  // block barrier
  cluster_barrier,
  yield,  // fn, then the warp gives up its time slice
  trap,
  unsupported,
};

enum class Class : uint8_t { fp, integer, control, memory, convert, sync, count };

enum class Rnd : uint8_t { rn, rz, rm, rp, rna };

enum class Sem : uint8_t { weak, sync };  // sync: volatile, relaxed, acquire, release, atomics

struct Op {
  Fn fn = nullptr;
  Kind kind = Kind::plain;
  Class cls = Class::integer;
  bool guard_negated = false;
  bool counted = true;  // false for the helper steps one PTX instruction expands to
  Ty ty = Ty::none, ty2 = Ty::none;
  Space space = Space::generic;
  uint8_t n = 1;  // vector elements
  uint8_t dw = 0, aw = 0, bw = 0,
          cw = 0;             // register widths in bytes where they may differ from the type
  uint8_t sub = 0, sub2 = 0;  // compare operator, atomic operation, mode ...
  Rnd rnd = Rnd::rn;
  bool ftz = false, sat = false;
  bool negate = false;  // !%p operand
  Sem sem = Sem::weak;
  bool past_l1 = false;  // L1::no_allocate
  uint32_t guard = kNoRef;
  uint32_t d = kNoRef, d2 = kNoRef, a = kNoRef, b = kNoRef, c = kNoRef, e = kNoRef;
  uint32_t target = 0;
  uint32_t list = 0;  // first of n references in Program::lists
  int64_t imm = 0;
  const uint32_t* refs = nullptr;  // resolved Program::lists + list
  const ir::Inst* inst = nullptr;
};

struct ParamSlot {
  uint32_t offset = 0, size = 0;
};

struct FunctionCode {
  const ir::Function* ir = nullptr;
  uint32_t begin = 0, end = 0;             // in Program::code
  uint32_t frame_bytes = 0;                // register lane arrays
  uint32_t local_bytes = 0;                // .local variables
  uint32_t param_bytes = 0;                // params, returns and call parameters, per lane
  std::vector<ParamSlot> params, returns;  // in the function's param area
};

struct CallSite {
  int function = -1;  // index into Program::functions; -1: indirect
  enum Builtin : uint8_t { none, vprintf, assertfail, malloc, free } builtin = none;
  std::vector<ParamSlot> args, rets;  // in the caller's param area
};

struct PoolReloc {
  uint32_t offset;
  std::string symbol;
  int64_t addend;
  uint32_t bytes;
};

struct Program {
  std::vector<Op> code;
  std::vector<uint32_t> lists;
  std::vector<FunctionCode> functions;
  std::vector<CallSite> calls;
  std::vector<std::vector<uint32_t>> tables;  // brx.idx targets
  std::vector<PoolReloc> relocs;
  std::vector<std::string> notes;  // why an unsupported op is one: index in Op::imm
  std::vector<uint8_t> pool_storage;
  uint8_t* pool = nullptr;     // 64-byte aligned inside pool_storage
  uint32_t static_shared = 0;  // bytes, the dynamic part starts here after alignment
  uint32_t dynamic_align = 16;
  std::map<int, int> by_index;  // module function index -> functions index
  const FunctionCode& function_at(uint32_t pc) const;
};

class ModuleImpl;

class Kernel {
 public:
  KernelInfo info;
  const ir::Function* function = nullptr;
  ModuleImpl* module = nullptr;
  mutable std::once_flag decoded;
  mutable std::unique_ptr<Program> program;
};

class ModuleImpl final : public Module {
 public:
  std::vector<KernelInfo> kernels() const override;
  const Kernel* kernel(std::string_view name) const override;
  std::vector<GlobalInfo> globals() const override;
  void bind_global(std::string_view name, uint64_t address, uint8_t* host) override;

  struct Binding {
    uint64_t address = 0;
    uint8_t* host = nullptr;
  };
  std::unique_ptr<ir::ModuleIr> ir;
  std::vector<std::unique_ptr<Kernel>> kernel_list;
  std::map<std::string, Kernel*, std::less<>> kernel_by_name;
  std::vector<Binding> bindings;  // by ir variable index
  mutable std::mutex mutex;

  // Address of a global, const or function symbol; false when unknown or unbound.
  bool symbol_address(const std::string& name, uint64_t& out) const;
};

const Program& program_of(const Kernel& kernel);
std::unique_ptr<Program> decode(const ModuleImpl& module, const ir::Function& kernel);
uint32_t static_shared_bytes(const ModuleImpl& module, const ir::Function& kernel);

// Address windows, far above any host pointer.
constexpr uint64_t kWindowMask = 0xFFFF'0000'0000'0000ull;
constexpr uint64_t kSharedWindow = 0x0100'0000'0000'0000ull;
constexpr uint64_t kLocalWindow = 0x0200'0000'0000'0000ull;
constexpr uint64_t kParamWindow = 0x0300'0000'0000'0000ull;
constexpr uint64_t kInternalWindow = 0x0400'0000'0000'0000ull;  // grid workspace
constexpr uint64_t kHeapWindow = 0x0600'0000'0000'0000ull;      // device-side malloc
constexpr uint64_t kFunctionWindow = 0x0500'0000'0000'0000ull;
// A shared::cluster address names its block in bits 24..31, one based; 0: the own block.
constexpr uint32_t kSharedRankShift = 24;
constexpr uint32_t kSharedOffsetMask = (1u << kSharedRankShift) - 1;

// Lane arrays of base[2], in units of 128 bytes.
enum WarpSpecial : uint32_t {
  kTidX,
  kTidY,
  kTidZ,
  kLaneId,
  kWarpId,
  kMaskEq,
  kMaskLe,
  kMaskLt,
  kMaskGe,
  kMaskGt,
  kWarpSpecials
};
// Lane arrays of base[3].
enum BlockSpecial : uint32_t {
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ,
  kNWarpId,
  kSmId,
  kNSmId,
  kClusterIdX,
  kClusterIdY,
  kClusterIdZ,
  kNClusterIdX,
  kNClusterIdY,
  kNClusterIdZ,
  kClusterCtaidX,
  kClusterCtaidY,
  kClusterCtaidZ,
  kClusterNctaidX,
  kClusterNctaidY,
  kClusterNctaidZ,
  kClusterCtaRank,
  kClusterNctaRank,
  kIsExplicitCluster,
  kGridId,
  kGridIdHi,
  kZero,
  kEnvReg1,
  kEnvReg2,
  kTotalSmem,
  kDynamicSmem,
  kZero64,
  kZero64b,
  kGridId64,
  kGridId64b,
  kBlockSpecials
};

}  // namespace cudasim
