// SPDX-License-Identifier: Apache-2.0
// The simulated machine while a launch runs: grid, blocks, warps, fragments.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "program.h"

namespace cudasim {

struct DeviceFault {
  int cuda_error;
  std::string what;
  int lane = -1;
};

enum CudaError : int {
  kIllegalAddress = 700,
  kLaunchTimeout = 702,
  kAssert = 710,
  kHardwareStack = 714,
  kIllegalInstruction = 715,
  kMisaligned = 716,
  kInvalidAddressSpace = 717,
  kInvalidPc = 718,
  kLaunchFailure = 719,
  kNotSupported = 801,
  kInvalidValue = 1,
  kLaunchOutOfResources = 701,
};

enum class AtomOp : uint8_t { add, min, max, inc, dec, and_, or_, xor_, exch, cas };
// Op::sub of mbarrier instructions
enum MbarrierOp : uint8_t {
  kInit,
  kInval,
  kArrive,
  kArriveDrop,
  kExpectTx,
  kCompleteTx,
  kTestWait,
  kTestParity,
  kPendingCount
};

enum class Access : uint8_t { load, store, atomic };

// A function activation shared by the lanes that called it from the same parent activation.
struct Frame {
  const FunctionCode* fn = nullptr;
  Frame* parent = nullptr;
  uint8_t* regs = nullptr;
  std::vector<uint8_t> reg_storage, params;  // params: lane-major
  uint32_t local_base = 0;
  uint32_t live = 0;
  uint32_t depth = 0;
  std::array<uint32_t, 32> ret_pc{};
};

struct Fragment {
  enum State : uint8_t { run, sync, barrier, cluster };
  uint32_t pc = 0, mask = 0;
  Frame* frame = nullptr;
  State state = run;
  uint8_t barrier_id = 0;
  uint32_t penalty = 0;  // raised when it spins; the lowest runs
  uint32_t spins = 0;    // backward branches taken while other fragments wait
};

struct RangeEntry : MemoryRange {
  bool constant = false;  // holds a .const variable: stores need a closer look
};

struct AsyncCopy {  // cp.async of one lane, or a bulk copy
  enum Where : uint8_t {
    global_to_shared,
    shared_to_global,
    shared_to_cluster
  } where = global_to_shared;
  uint64_t source = 0;
  uint64_t destination = 0;
  uint32_t bytes = 0, source_bytes = 0;  // the rest is zero filled
  uint64_t mbarrier = 0;                 // shared address, with `has_mbarrier`
  bool has_mbarrier = false;
  uint32_t reduce = ~0u;  // atomic operation of cp.reduce.async.bulk
  Ty type = Ty::none;
};

struct Block;
struct Grid;

struct LaneAsync {              // per lane cp.async state
  std::vector<AsyncCopy> open;  // not committed
  std::deque<std::vector<AsyncCopy>> groups;
  std::vector<AsyncCopy> bulk_open;
  std::deque<std::vector<AsyncCopy>> bulk_groups;
};

struct Warp : Lanes {
  Block* block = nullptr;
  Grid* grid = nullptr;
  uint32_t id = 0;
  uint32_t live = 0;      // lanes that have not exited
  uint64_t executed = 0;  // counted warp instructions so far
  std::vector<Fragment> frags;
  size_t current = 0;
  Frame* frame = nullptr;  // of the running fragment
  const Op* op = nullptr;  // running, for reports
  uint32_t mask = 0;       // of the running fragment
  bool spinny =
      false;  // ran an atomic, volatile or waiting instruction since the last backward branch
  std::vector<std::unique_ptr<Frame>> frames, spare;
  std::vector<uint8_t> local;  // lane-major
  uint32_t local_stride = 0;
  std::vector<uint8_t> special_storage;
  std::array<RangeEntry, 4> ranges{};
  uint32_t next_range = 0;
  std::unique_ptr<std::array<LaneAsync, 32>> async;
  std::array<uint64_t, 32> cluster_phase{};
  uint32_t race_clock = 1;
  std::vector<uint32_t> race_vc;  // last clock of each warp of the block known to this one
};

struct Barrier {
  uint32_t arrived = 0;   // threads
  uint32_t expected = 0;  // 0: all live threads of the block
  uint32_t reduce_popc = 0;
  bool reduce_and = true, reduce_or = false;
  std::vector<uint32_t> race_vc;
};

struct Cluster {
  std::vector<Block*> blocks;
  uint64_t phase = 0;
  uint32_t arrived = 0;
};

struct ShadowByte {  // racecheck of shared memory
  uint32_t write_clock = 0, read_clock = 0;
  uint8_t write_warp = 0, write_lane = 0, read_warp = 0, read_lane = 0;
};

struct Block {
  Grid* grid = nullptr;
  uint64_t index = 0;
  Dim3 id;
  uint32_t threads = 0, live = 0;
  uint64_t executed = 0;  // counted warp instructions so far
  std::vector<std::unique_ptr<Warp>> warps;
  uint32_t warp_count = 0;
  std::vector<uint8_t> shared;
  std::vector<uint8_t> special_storage;
  std::array<Barrier, 16> barriers;
  Cluster* cluster = nullptr;
  uint32_t cluster_rank = 0;
  bool finished = false;
  std::vector<AsyncCopy> pending_bulk;  // copies that complete on an mbarrier
  std::vector<ShadowByte> shadow;
  std::vector<uint32_t> race_sync_vc;
  std::unordered_map<uint64_t, std::vector<uint32_t>> race_mbarrier_vc;
};

class Profiler;
class GlobalRaces;

struct Grid {
  const ModuleImpl* module = nullptr;
  const Kernel* kernel = nullptr;
  const Program* program = nullptr;
  const LaunchConfig* config = nullptr;
  const uint8_t* params = nullptr;
  size_t param_bytes = 0;
  const AddressSpace* memory = nullptr;
  const DeviceModel* model = nullptr;
  const Options* options = nullptr;
  Counters counters;
  std::array<uint64_t, size_t(Class::count)> classes{};
  std::vector<std::string> findings;
  std::unordered_map<std::string, int> finding_counts;
  uint64_t budget = 0;  // warp instructions left
  std::mt19937_64 rng;
  bool observe = false;  // profile or racecheck
  std::unique_ptr<Profiler> profiler;
  std::unique_ptr<GlobalRaces> races;
  uint32_t shared_bytes = 0;
  alignas(16) uint8_t workspace[256] = {};  // cooperative groups' grid workspace
  std::string error_context;
  std::vector<std::vector<uint8_t>>
      freed;  // device heap blocks, kept while a warp may have them cached

  void finding(const Warp& w, int lane, const std::string& kind, const std::string& detail);
  ~Grid();
  Grid();
};

template <class T>
T* lanes(Lanes& l, uint32_t ref) {
  return reinterpret_cast<T*>(l.base[ref & 3] + (ref & ~3u));
}

inline void set_pred(Lanes& l, uint32_t ref, uint32_t value, uint32_t mask) {
  if (ref == kNoRef) return;
  uint32_t& p = *lanes<uint32_t>(l, ref);
  p = (p & ~mask) | (value & mask);
}

// ---- report.cpp
std::string describe_thread(const Warp& w, int lane);
std::string demangle(const std::string& name);
std::string hex(uint64_t v);  // with 0x

}  // namespace cudasim
