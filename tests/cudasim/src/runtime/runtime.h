// SPDX-License-Identifier: Apache-2.0
// Internal types of the runtime (libcudart.so.13). One process-wide lock guards
// everything here except the allocation table, which kernels read while they
// run without it (see memory.cpp).
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../core/core.h"
#include "complain.h"
#include "settings.h"

namespace cudasim {

constexpr int kMaxDevices = 64;

void log_line(const char* format, ...) __attribute__((format(printf, 1, 2)));
void report_leaks();

using Lock = std::unique_lock<std::mutex>;
// The runtime's lock, or an unlocked one when its holder does not give it up: exit goes on anyway.
Lock lock_at_exit();

// ---------------------------------------------------------------- memory ---

enum class MemoryKind : uint8_t { device, managed, pinned, registered };
struct Pool;

struct Allocation {
  uint64_t begin = 0, size = 0;
  MemoryKind kind = MemoryKind::device;
  bool live = true;       // false: cudaMallocAsync whose turn in its stream has not come
  bool dying = false;     // cudaFreeAsync was called and has not run
  bool writable = true;   // false for __constant__
  bool variable = false;  // storage of a module variable: not for cudaFree
  int device = 0;
  unsigned flags = 0;
  uint8_t* host = nullptr;  // where the simulator reads and writes it
  uint8_t* init = nullptr;  // initcheck shadow
  uint64_t id = 0;
  Pool* pool = nullptr;
  uint64_t end() const { return begin + size; }
};

struct Pool {  // cudaMemPool_t
  int device = 0;
  bool is_default = false;
  uint64_t release_threshold = 0, used = 0, used_high = 0;
  int reuse[3] = {1, 1, 1};
};

namespace memory {
// All return cudaErrorMemoryAllocation when the device (or host) is full.
cudaError_t allocate(int device, MemoryKind kind, uint64_t size, Allocation& out,
                     uint64_t align = 256);
cudaError_t register_host(void* pointer, uint64_t size, unsigned flags);
bool release(uint64_t begin);  // false: nothing starts there
bool update(uint64_t begin, const std::function<void(Allocation&)>& change);
bool lookup(uint64_t address, Allocation& out);  // the allocation that contains address
bool in_device_arena(uint64_t address);          // reserved for some device, live or not
void info(int device, uint64_t& free, uint64_t& total);
void reset_device(int device);  // frees everything the device owns
void set_peer(int device, int peer, bool enabled);
bool peer(int device, int peer);
const AddressSpace& space(int device);
std::string describe(uint64_t address);
std::vector<std::string> live();  // what the program allocated and has not freed
void mark_written(const Allocation& a, uint64_t address, uint64_t size);
// A large range gives its pages back: a zeroed table takes no memory until it is written.
void fill_zero(const Allocation& a, uint64_t address, uint64_t size);
}  // namespace memory

// --------------------------------------------------- operations, streams ---

struct Op;
using OpPtr = std::shared_ptr<Op>;

// An error that the next call to synchronise with the stream returns, once: the
// device stays usable (a collective whose communicator was aborted).
using StreamError = std::shared_ptr<cudaError_t>;

// One stream operation: a node of the dependency graph that the engine runs.
struct Op {
  std::string what;
  int device = 0;
  bool exclusive = true;             // keeps the device to itself while it runs
  std::function<cudaError_t()> run;  // called without the lock; empty = marker
  // For operations that meet others (NCCL); all called with the lock held.
  std::function<bool()> ready;        // polled once every dependency is done
  std::function<void()> on_wanted;    // first time somebody waits for it
  std::function<void()> on_skip;      // its device failed earlier: run is not called
  std::function<bool()> on_enqueued;  // true: somebody waits for it already
  std::function<void()> on_finish;
  bool recoverable = false;  // set by run: its error is the stream's, not the device's
  StreamError stream_error;  // of the stream it was enqueued on

  uint64_t sequence = 0;
  std::vector<OpPtr> after;  // unfinished dependencies
  std::vector<Op*> then;     // who depends on this one
  uint32_t waiting = 0;      // number of unfinished dependencies
  bool wanted = false, running = false, done = false;
  double done_ms = 0;
};

struct Graph;
struct Executable;
struct Node;
struct Capture;
struct Event;

struct Stream {
  uint64_t id = 0;
  int device = 0;
  unsigned flags = 0;  // cudaStreamNonBlocking
  int priority = 0;
  bool legacy = false, per_thread = false;
  OpPtr last;
  StreamError error = std::make_shared<cudaError_t>(cudaSuccess);
  int queries = 0;  // unsuccessful polls since the last success
  std::shared_ptr<Capture> capture;
  std::vector<Node*> tail;  // capture: what the next node depends on
  cudaAccessPolicyWindow window{};
  cudaSynchronizationPolicy policy = cudaSyncPolicyAuto;
};

struct Event {
  int device = 0;
  unsigned flags = 0;
  OpPtr record;  // latest cudaEventRecord
  int queries = 0;
  std::weak_ptr<Capture> capture;  // recorded in a capturing stream
  std::vector<Node*> captured;
};

// ------------------------------------------------------- modules, kernels ---

struct FatModule;

struct KernelEntry {  // cudaKernel_t, cudaFunction_t
  FatModule* module = nullptr;
  const void* host_function = nullptr;
  std::string name, demangled;
  std::map<int, int> max_dynamic_shared;  // by device, where cudaFuncSetAttribute set it
  int carveout = -1;
  bool non_portable_cluster = false;
  struct Loaded {
    const Module* module = nullptr;
    const Kernel* kernel = nullptr;
  };
  std::map<int, Loaded> loaded;  // by device
};

struct Variable {
  FatModule* module = nullptr;
  const void* host = nullptr;  // address of the host shadow
  void** managed = nullptr;    // managed variables: the host pointer to fill in
  std::string name;
  uint64_t size = 0;
  bool constant = false;
};

struct KernelFacts {  // of one loaded kernel, ready for launch and occupancy
  const KernelInfo* info = nullptr;
  int registers = 32;
  bool registers_known = false;
};

namespace registry {
cudaError_t find_kernel(const void* function, KernelEntry*& out);  // host stub or handle
cudaError_t load(KernelEntry& entry, int device, KernelEntry::Loaded& out,
                 KernelFacts* facts = nullptr);
cudaError_t variable_address(const void* symbol, int device, uint64_t& address, uint64_t& size);
void forget_device(int device);  // cudaDeviceReset
}  // namespace registry

// --------------------------------------------------------------- devices ---

struct Device {
  int index = 0;
  DeviceModel model;
  bool used = false;  // a context exists
  bool busy = false;  // an exclusive operation is running
  cudaError_t sticky = cudaSuccess;
  Stream legacy;
  std::unordered_set<Stream*> streams;  // created and per-thread ones
  Pool default_pool;
  Pool* pool = &default_pool;
  size_t limits[16] = {};
  cudaFuncCache cache = cudaFuncCachePreferNone;
  unsigned flags = 0;
};

struct CallConfiguration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};

struct Thread {  // per host thread
  int device = 0;
  cudaError_t last_error = cudaSuccess;
  bool per_thread_default = false;  // inside a *_ptsz / *_ptds entry point
  bool in_callback = false;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  std::vector<CallConfiguration> calls;
  std::map<int, std::unique_ptr<Stream>> streams;  // per-thread default streams
};
Thread& self();

struct Runtime {
  std::mutex mutex;
  std::condition_variable changed;  // an operation finished or became runnable
  std::vector<std::unique_ptr<Device>> devices;
  std::unordered_set<Stream*> streams;
  std::unordered_set<Event*> events;
  std::unordered_set<Graph*> graphs;  // that the program holds; child graphs belong to theirs
  std::unordered_set<Executable*> executables;
  std::atomic<bool> forbid_default_stream{false};
  std::map<uint64_t, OpPtr> pending;  // by sequence
  std::vector<Op*> runnable;          // wanted, dependencies done, not running
  uint64_t next_sequence = 1, next_stream = 16, next_capture = 1;
  int active_captures = 0;
  int running = 0;        // operations being executed
  int waiters = 0;        // threads inside engine::wait
  bool stopping = false;  // the process exits: start nothing new
};
Runtime& runtime();  // never destroyed
Device& device(int index);
Device& current_device();

// --------------------------------------------------------------- engine ----

namespace engine {
void enqueue(Lock&, Stream&, OpPtr op, const std::vector<OpPtr>& extra = {});
void add(Lock&, OpPtr op, const std::vector<OpPtr>& after);  // outside any stream order
void want(Op& op);
bool step(Lock&);  // runs one runnable operation; false: none
void wait(Lock&, const OpPtr& op);
void wait_device(Lock&, int device);
bool poll(Lock&, const OpPtr& op, int& queries);  // cudaStreamQuery, cudaEventQuery
void touch();                                     // an API call happened (idle clock)
double now_ms();
void fail(int device, cudaError_t error);  // sets the sticky error
// What a call that synchronised returns: the device's sticky error, or its stream's.
cudaError_t outcome(int device, const StreamError& stream);
}  // namespace engine

// ---------------------------------------------------------- work, graphs ---

struct KernelCall {
  KernelEntry* entry = nullptr;
  LaunchConfig config;
  std::vector<uint8_t> params;
  std::vector<void*> pointers;  // into params, for cudaGraphKernelNodeGetParams
};

struct Copy {  // a pitched box; 1-D copies have height = depth = 1
  uint64_t dst = 0, src = 0;
  size_t width = 0, height = 1, depth = 1;
  size_t dst_pitch = 0, src_pitch = 0, dst_slice = 0, src_slice = 0;
  cudaMemcpyKind kind = cudaMemcpyDefault;
  std::shared_ptr<std::vector<uint8_t>> staged;  // pageable source, captured at the call
};

struct Fill {
  uint64_t dst = 0;
  size_t width = 0, height = 1, depth = 1, pitch = 0, slice = 0;
  uint32_t value = 0;
  unsigned element = 1;  // bytes
};

// What a stream call asks for: enqueued at once or recorded into a graph.
struct Work {
  cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
  std::shared_ptr<KernelCall> kernel;
  std::shared_ptr<Copy> copy;
  std::shared_ptr<Fill> fill;
  cudaHostNodeParams host{};
  Event* event = nullptr;
  std::shared_ptr<Graph> child;
  uint64_t address = 0;                     // memory nodes
  std::function<OpPtr(int device)> custom;  // NCCL
  bool blocking = false;                    // the call waits: not for the default-stream detector
};

struct Node {
  Graph* graph = nullptr;
  Work work;
  std::vector<Node*> after;
  bool enabled = true;
  int device = 0;
  const Node* origin = nullptr;  // cudaGraphClone
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<uint64_t> owned;  // memory of allocation nodes
};

struct Executable {              // cudaGraphExec_t
  std::shared_ptr<Graph> graph;  // a copy: later changes to the original do not matter
  std::unordered_map<const Node*, Node*> copies;
  unsigned long long flags = 0;
  OpPtr last;  // launches of one executable follow each other
};

struct Capture {
  uint64_t id = 0;
  std::unique_ptr<Graph> graph;
  Graph* target = nullptr;  // graph.get() unless captured into an existing one
  Stream* origin = nullptr;
  std::vector<Stream*> streams;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  Thread* thread = nullptr;
  bool invalid = false;
};

cudaError_t submit(Lock&, Stream&, Work work, OpPtr* enqueued = nullptr);
OpPtr make_op(const Work& work, int device);
OpPtr marker(const char* what, int device);  // does nothing: a point in the order of operations
cudaError_t forbid_during_capture();         // for calls that no capture mode but relaxed allows
cudaError_t forbid_legacy_during_capture(Device&);
cudaError_t forbid_default_stream(const Stream&,
                                  const std::string& what);  // CUDASIM_FORBID_DEFAULT_STREAM
cudaError_t invalidate(Capture&, cudaError_t error);

OpPtr make_kernel_op(std::shared_ptr<KernelCall> call, int device);
OpPtr make_copy_op(std::shared_ptr<Copy> copy, int device);
OpPtr make_fill_op(std::shared_ptr<Fill> fill, int device);
cudaError_t check_copy(const Copy& copy);
cudaError_t check_fill(const Fill& fill);
cudaError_t prepare_kernel(const void* function, dim3 grid, dim3 block, void** args, size_t shared,
                           const cudaLaunchAttribute* attributes, unsigned count, int device,
                           std::shared_ptr<KernelCall>& out);
cudaError_t set_parameters(KernelCall& call, void** args, int device);
cudaError_t resolve_stream(cudaStream_t handle, Stream*& out);  // 0, 1, 2 and created ones
bool valid_event(cudaEvent_t handle, Event*& out);
int occupancy(const KernelFacts& facts, int block_threads, size_t dynamic_shared);

// -------------------------------------------------------------- profile ---

void record_profile(const KernelEntry& entry, const KernelFacts& facts, const LaunchConfig& config,
                    const LaunchResult& result);
void write_profile();

// ------------------------------------------------------------ API helpers ---

cudaError_t finish_call(const char* name, cudaError_t error);  // logs, sets the last error
cudaError_t enter_call(const char* name);  // counts; an injected failure comes from here

// Every entry point runs its body through one of these. A null name marks a further part of a
// call that was counted and logged already.
template <class F>
cudaError_t api(const char* name, F&& body) {
  cudaError_t error = enter_call(name);
  if (error == cudaSuccess) error = body();
  return finish_call(name, error);
}

// ... with the lock held, on the current device, refusing when its context is broken.
template <class F>
cudaError_t api_device(const char* name, F&& body) {
  return api(name, [&]() -> cudaError_t {
    Lock lock(runtime().mutex);
    engine::touch();
    Device& d = current_device();
    if (d.sticky != cudaSuccess) return d.sticky;
    d.used = true;
    return body(lock, d);
  });
}

// Treats stream 0 as the per-thread default stream while in scope (*_ptsz).
struct PerThreadDefault {
  bool previous = self().per_thread_default;
  PerThreadDefault() { self().per_thread_default = true; }
  ~PerThreadDefault() { self().per_thread_default = previous; }
};

}  // namespace cudasim
