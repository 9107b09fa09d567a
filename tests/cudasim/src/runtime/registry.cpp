// SPDX-License-Identifier: Apache-2.0
// Registered fat binaries: modules, kernels and variables, loaded on first use.
#include <cxxabi.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "registry.h"

namespace cudasim {

Registry& reg() {
  static auto* r = new Registry;
  return *r;
}

namespace {

std::string demangle(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string out = status == 0 && text ? text : name;
  std::free(text);
  return out;
}

// Picks and unpacks the PTX; reads register counts from the best cubin.
cudaError_t prepare(FatModule& m, const DeviceModel& model) {
  if (m.prepared) return m.failure;
  m.prepared = true;
  int arch = model.compute_major * 10 + model.compute_minor;
  try {
    auto entries = parse_fatbin(m.container);
    const FatEntry *ptx = nullptr, *cubin = nullptr;
    std::string seen;
    for (auto& e : entries) {
      if (e.kind == FatEntry::Kind::other) continue;
      seen += std::string(seen.empty() ? "" : ", ") +
              (e.kind == FatEntry::Kind::ptx ? "compute_" : "sm_") + std::to_string(e.arch);
      if (e.arch > arch) continue;
      const FatEntry*& best = e.kind == FatEntry::Kind::ptx ? ptx : cubin;
      if (!best || e.arch > best->arch) best = &e;
    }
    if (!ptx) {
      complain(
          "%s holds no PTX for compute capability %d.%d or lower (it has: %s); "
          "build with -gencode arch=compute_90,code=[sm_90,compute_90], and without -rdc=true",
          m.label.c_str(), model.compute_major, model.compute_minor,
          seen.empty() ? "nothing" : seen.c_str());
      return m.failure = cudaErrorNoKernelImageForDevice;
    }
    m.ptx = unpack(*ptx);
    while (!m.ptx.empty() && m.ptx.back() == '\0') m.ptx.pop_back();
    if (cubin && cubin->arch == arch) m.cubin = read_cubin(unpack(*cubin));
  } catch (const std::exception& e) {
    complain("%s: %s", m.label.c_str(), e.what());
    return m.failure = cudaErrorInvalidKernelImage;
  }
  return cudaSuccess;
}

// Storage for every variable of a freshly loaded module on one device.
cudaError_t bind_variables(FatModule& m, Module& module, int index) {
  for (const GlobalInfo& g : module.globals()) {
    bool managed = false;
    for (auto& v : m.variables) managed |= v->managed && v->name == g.name;
    auto key = std::make_pair(&m, g.name);
    Allocation a;
    if (managed && reg().managed.count(key)) {
      // Already initialised through another device: binding must not reset it.
      if (!memory::lookup(reg().managed[key], a)) return cudaErrorUnknown;
      std::vector<uint8_t> value(a.host, a.host + g.size);
      module.bind_global(g.name, a.begin, a.host);
      std::memcpy(a.host, value.data(), g.size);
    } else {
      cudaError_t error =
          memory::allocate(index, managed ? MemoryKind::managed : MemoryKind::device,
                           std::max<uint64_t>(g.size, 1), a, std::max<uint64_t>(g.align, 256));
      if (error != cudaSuccess) return error;
      memory::update(a.begin, [&](Allocation& x) {
        x.writable = !g.constant;
        x.variable = true;
      });
      std::memset(a.host, 0, std::max<uint64_t>(g.size, 1));
      module.bind_global(g.name, a.begin, a.host);
      memory::mark_written(a, a.begin, a.size);  // static storage is initialised
      if (managed) reg().managed[key] = a.begin;
    }
    m.addresses[index][g.name] = {a.begin, g.size};
    for (auto& v : m.variables)
      if (v->managed && v->name == g.name) *v->managed = a.host;
  }
  return cudaSuccess;
}

FatModule* module_of(void** handle) { return *reinterpret_cast<FatModule**>(handle); }

}  // namespace

cudaError_t load_module(FatModule& m, int index, Module*& out) {
  for (int slot : {index, -1})
    if (auto it = m.loaded.find(slot); it != m.loaded.end()) {
      out = it->second.get();
      return cudaSuccess;
    }
  Device& d = device(index);
  if (cudaError_t error = prepare(m, d.model); error != cudaSuccess) return error;
  try {
    if (settings().log)
      log_line("load  %s: %zu bytes of PTX for device %d", m.label.c_str(), m.ptx.size(), index);
    auto module = load_ptx(m.ptx, m.label);
    int slot = module->globals().empty() ? -1 : index;
    if (slot >= 0)
      if (cudaError_t error = bind_variables(m, *module, index); error != cudaSuccess) return error;
    out = module.get();
    m.loaded[slot] = std::move(module);
  } catch (const PtxError& e) {
    complain("%s: %s", m.label.c_str(), e.what());
    return m.failure = cudaErrorInvalidPtx;
  }
  return cudaSuccess;
}

void forget(FatModule* m) {
  Registry& r = reg();
  for (auto& k : m->kernels) {
    r.handles.erase(k.get());
    auto it = r.functions.find(k->host_function);
    if (it != r.functions.end() && it->second == k.get()) r.functions.erase(it);
  }
  for (auto& v : m->variables) {
    auto it = r.variables.find(v->host);
    if (it != r.variables.end() && it->second == v.get()) r.variables.erase(it);
  }
  r.modules.erase(m);
}

KernelEntry* add_kernel(FatModule& m, const void* host, const char* name) {
  auto entry = std::make_unique<KernelEntry>();
  entry->module = &m;
  entry->host_function = host;
  entry->name = name;
  entry->demangled = demangle(entry->name);
  KernelEntry* raw = entry.get();
  reg().handles.insert(raw);
  m.kernels.push_back(std::move(entry));
  return raw;
}

Variable* add_variable(FatModule& m, const void* host, const char* name, size_t size) {
  std::lock_guard lock(reg().mutex);
  auto v = std::make_unique<Variable>();
  v->module = &m;
  v->host = host;
  v->name = name;
  v->size = size;
  if (host) reg().variables.emplace(host, v.get());
  m.variables.push_back(std::move(v));
  return m.variables.back().get();
}

namespace registry {

cudaError_t find_kernel(const void* function, KernelEntry*& out) {
  std::lock_guard lock(reg().mutex);
  if (auto it = reg().functions.find(function); it != reg().functions.end()) {
    out = it->second;
    return cudaSuccess;
  }
  if (reg().handles.count(function)) {
    out = static_cast<KernelEntry*>(const_cast<void*>(function));
    return cudaSuccess;
  }
  return cudaErrorInvalidDeviceFunction;
}

cudaError_t load(KernelEntry& entry, int index, KernelEntry::Loaded& out, KernelFacts* facts) {
  std::lock_guard lock(reg().mutex);
  auto& slot = entry.loaded[index];
  if (!slot.kernel) {
    Module* module = nullptr;
    if (cudaError_t error = load_module(*entry.module, index, module); error != cudaSuccess)
      return error;
    const Kernel* kernel = module->kernel(entry.name);
    if (!kernel) {
      complain("%s: the PTX has no kernel %s", entry.module->label.c_str(),
               entry.demangled.c_str());
      return cudaErrorInvalidDeviceFunction;
    }
    slot = {module, kernel};
  }
  out = slot;
  if (facts) {
    facts->info = &info(*slot.kernel);
    facts->registers = 32;
    if (auto it = entry.module->cubin.find(entry.name);
        it != entry.module->cubin.end() && it->second.registers > 0) {
      facts->registers = it->second.registers;
      facts->registers_known = true;
    }
  }
  return cudaSuccess;
}

cudaError_t variable_address(const void* symbol, int index, uint64_t& address, uint64_t& size) {
  std::lock_guard lock(reg().mutex);
  auto it = reg().variables.find(symbol);
  if (it == reg().variables.end()) return cudaErrorInvalidSymbol;
  Variable& v = *it->second;
  Module* module = nullptr;
  if (cudaError_t error = load_module(*v.module, index, module); error != cudaSuccess) return error;
  auto& names = v.module->addresses[index];
  auto found = names.find(v.name);
  if (found == names.end()) return cudaErrorInvalidSymbol;  // dropped by the compiler: unused
  address = found->second.first;
  size = v.size;
  return cudaSuccess;
}

void forget_device(int index) {
  std::lock_guard lock(reg().mutex);
  for (FatModule* m : reg().modules) {
    m->loaded.erase(index);
    m->addresses.erase(index);
    for (auto& k : m->kernels) k->loaded.erase(index);
  }
}

}  // namespace registry
}  // namespace cudasim

// ------------------------------------------------- what nvcc's stubs call ---

using namespace cudasim;

extern "C" {

void** __cudaRegisterFatBinary(void* container) {
  std::lock_guard lock(reg().mutex);
  auto* m = new FatModule;
  m->container = container;
  m->label = "module " + std::to_string(reg().modules.size() + 1);
  reg().modules.insert(m);
  return reinterpret_cast<void**>(new FatModule*(m));
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void** handle) {
  if (!handle) return;
  std::lock_guard lock(reg().mutex);
  forget(module_of(handle));  // its memory stays: exit handlers may still refer to it
}

void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  std::lock_guard lock(reg().mutex);
  KernelEntry* entry = add_kernel(*module_of(handle), host, name);
  reg().functions.emplace(host,
                          entry);  // a template kernel of several files: the first copy serves
}

void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int, size_t size,
                       int constant, int) {
  add_variable(*module_of(handle), host, name, size)->constant = constant != 0;
}

void __cudaRegisterManagedVar(void** handle, void** host, char*, const char* name, int, size_t size,
                              int, int) {
  add_variable(*module_of(handle), host, name, size)->managed = host;
}

void __cudaRegisterHostVar(void**, const char*, char*, size_t) {}
void __cudaRegisterUnifiedTable(void**, void*) {}

char __cudaInitModule(void** handle) {
  std::lock_guard lock(reg().mutex);
  if (runtime().devices.empty()) return 0;
  Module* module = nullptr;
  return load_module(*module_of(handle), self().device, module) == cudaSuccess;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
  self().calls.push_back({grid, block, shared, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  auto& calls = self().calls;
  if (calls.empty()) return self().last_error = cudaErrorMissingConfiguration;
  auto c = calls.back();
  calls.pop_back();
  *grid = c.grid;
  *block = c.block;
  *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* out, const void* function) {
  KernelEntry* entry = nullptr;
  cudaError_t error = registry::find_kernel(function, entry);
  *out = reinterpret_cast<cudaKernel_t>(entry);
  return error;
}

cudaError_t cudaGetKernel(cudaKernel_t* out, const void* function) {
  return api(__func__,
             [&] { return out ? __cudaGetKernel(out, function) : cudaErrorInvalidValue; });
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* out, const void* function) {
  return api(__func__, [&] {
    return out ? __cudaGetKernel(reinterpret_cast<cudaKernel_t*>(out), function)
               : cudaErrorInvalidValue;
  });
}

}  // extern "C"
