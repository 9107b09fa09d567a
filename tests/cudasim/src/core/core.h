// SPDX-License-Identifier: Apache-2.0
// cudasim core: loads PTX and executes kernels on the CPU, one warp at a time.
//
// This header is the whole contract between the core (PTX front end, warp
// interpreter, checks, counters) and the runtime (the libcudart/libnccl
// replacements), which owns devices, allocations, streams and launches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cudasim {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

// ---------------------------------------------------------------- memory ---

// What a kernel may touch. Implemented by the runtime; called for every global
// access that misses the core's own one-entry cache of the last range.
//
// Device pointers handed to user code are never dereferenceable on the host:
// the arena behind them is mapped PROT_NONE at the user-visible address and
// read-write at an alias the simulator alone uses.
struct MemoryRange {
  uint64_t begin = 0, end = 0;  // user-visible addresses, [begin, end)
  uint8_t* host = nullptr;      // simulator-side pointer to `begin`
  uint8_t* init = nullptr;      // one byte per byte: 0 = never written; null = treat as initialised
  bool writable = true;
  uint64_t id = 0;  // allocation number, for reports
};

class AddressSpace {
 public:
  virtual ~AddressSpace() = default;
  // The live allocation that contains `address`, as seen from this device;
  // false when there is none (freed, never allocated, another device's memory
  // without peer access, plain host memory).
  virtual bool find(uint64_t address, MemoryRange& out) const = 0;
  // One line that says what the nearest allocation is, for an error report.
  virtual std::string describe(uint64_t address) const = 0;
};

// --------------------------------------------------------------- modules ---

struct ParamInfo {
  uint32_t offset = 0, size = 0, align = 1;
};

struct KernelInfo {
  std::string name;  // mangled
  std::vector<ParamInfo> params;
  uint32_t param_bytes = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t local_bytes = 0;  // per thread
  uint32_t const_bytes = 0;
  uint32_t max_threads = 1024;  // .maxntid / .reqntid
  int ptx_version = 0;          // 90 for ISA 9.0
  int target_sm = 0;            // 90 for sm_90
};

struct GlobalInfo {  // a .global or .const module variable
  std::string name;
  uint64_t size = 0, align = 1;
  bool constant = false;
};

class Kernel;

class Module {
 public:
  virtual ~Module() = default;
  virtual std::vector<KernelInfo> kernels() const = 0;
  virtual const Kernel* kernel(std::string_view name) const = 0;  // null when absent
  virtual std::vector<GlobalInfo> globals() const = 0;
  // Gives a module variable its storage on one device; the core then copies the
  // initialiser there. Called once for each variable before the first launch.
  virtual void bind_global(std::string_view name, uint64_t address, uint8_t* host) = 0;
};

// Throws PtxError (what() names the line and the construct) on text it cannot
// take. An opcode that is merely unsupported is reported when it is executed,
// not here, so that a module with an exotic unused kernel still loads.
struct PtxError : std::exception {
  explicit PtxError(std::string m) : message(std::move(m)) {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string message;
};
std::unique_ptr<Module> load_ptx(std::string_view text, std::string_view label);

// ---------------------------------------------------------------- launch ---

struct DeviceModel {  // what special registers and limits report
  int sm_count = 132;
  int compute_major = 9, compute_minor = 0;
  uint32_t max_shared_per_block = 227 * 1024;
  uint64_t l2_bytes = 50ull << 20;
  uint64_t l1_bytes = 128ull << 10;  // half of what L1 and shared memory have together
};

struct LaunchConfig {
  Dim3 grid, block, cluster;
  uint64_t dynamic_shared = 0;
  bool cooperative = false;  // every block resident at once
};

enum class Schedule { kOrdered, kRandom };

struct Options {                           // read once from the environment by the runtime
  Schedule schedule = Schedule::kOrdered;  // CUDASIM_SCHEDULE=ordered|random[:seed]
  uint64_t seed = 1;
  bool memcheck = true;    // out-of-bounds, freed, misaligned: always on unless =0
  bool initcheck = false;  // CUDASIM_INITCHECK=1: reads of never-written device memory
  bool racecheck = false;  // CUDASIM_RACECHECK=1: shared-memory and inter-block global hazards
  bool profile = false;    // CUDASIM_PROFILE=file.json
  uint64_t max_warp_instructions = 20'000'000'000ull;  // a launch past this is reported as hung
};

// Per-launch counters; the units are those of Nsight Compute where it has one.
struct Counters {
  uint64_t warp_instructions = 0;    // smsp__inst_executed
  uint64_t thread_instructions = 0;  // smsp__thread_inst_executed
  uint64_t fp_instructions = 0, integer_instructions = 0, control_instructions = 0,
           memory_instructions = 0, convert_instructions = 0, sync_instructions = 0;  // warp level
  uint64_t global_load_requests = 0, global_load_sectors = 0,
           global_load_bytes = 0;  // sectors of 32 B
  uint64_t global_store_requests = 0, global_store_sectors = 0, global_store_bytes = 0;
  uint64_t global_atomic_requests = 0, global_atomic_sectors = 0;
  uint64_t shared_load_requests = 0, shared_store_requests = 0,
           shared_wavefronts = 0;  // >requests = bank conflicts
  uint64_t local_requests = 0, local_sectors = 0;
  uint64_t l1_hit_sectors = 0;  // of loads, in the modelled L1; L2 is asked for them all the same
  uint64_t l1_hit_sectors_unhinted = 0;  // had L1::no_allocate not been said
  uint64_t l2_hit_sectors = 0, dram_read_sectors = 0,
           dram_write_sectors = 0;  // through the modelled L2
  uint64_t footprint_read_bytes = 0,
           footprint_write_bytes = 0;  // distinct sectors x 32: the compulsory traffic
  uint64_t branches = 0, divergent_branches = 0;
  uint64_t barriers = 0;
  uint64_t blocks = 0, threads = 0;
  // The longest block and the longest warp of the launch: against the mean they show imbalance.
  // Summing launches of a kernel keeps the maximum.
  uint64_t max_block_warp_instructions = 0, max_warp_instructions_per_warp = 0;
  // Atomics and reductions on floating-point types, global or shared: their order, and so the
  // rounding of the result, is not fixed on a GPU.
  uint64_t float_atomic_requests = 0;
  uint64_t shared_atomic_requests = 0;     // counted in shared_store_requests too
  uint64_t uncoalesced_load_requests = 0;  // global loads of more sectors than their bytes need
};

struct Fault {          // empty message = the launch succeeded
  int cuda_error = 0;   // 700 illegal address, 716 misaligned, 719 launch failure, 710 assert, ...
  std::string message;  // kernel, block, thread, PTX line (source line where .loc says), address,
                        // what is near
};

struct LaunchResult {
  Fault fault;
  Counters counters;
  std::vector<std::string>
      findings;  // initcheck/racecheck/synccheck reports that do not stop the launch
};

// Runs the whole grid before it returns. `params` is the packed parameter
// buffer, laid out as KernelInfo::params says. Thread-safe for launches on
// different devices.
LaunchResult launch(const Module& module, const Kernel& kernel, const LaunchConfig& config,
                    const void* params, size_t param_bytes, const AddressSpace& memory,
                    const DeviceModel& model, const Options& options);

const KernelInfo& info(const Kernel& kernel);

}  // namespace cudasim
