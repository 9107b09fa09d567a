// SPDX-License-Identifier: Apache-2.0
// cudaLibrary_t: the same containers, given at run time (also bare PTX text).
#include <cstring>

#include "registry.h"

using namespace cudasim;

extern "C" {

cudaError_t cudaLibraryLoadData(cudaLibrary_t* out, const void* code, cudaJitOption*, void**,
                                unsigned, cudaLibraryOption*, void**, unsigned) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || !code) return cudaErrorInvalidValue;
    std::lock_guard lock(reg().mutex);
    auto m = std::make_unique<FatModule>();
    m->container = code;
    m->label = "library " + std::to_string(reg().modules.size() + 1);
    uint32_t magic;
    std::memcpy(&magic, code, 4);
    if (magic != 0x466243B1 && magic != 0xBA55ED50) {
      if (std::memcmp(code,
                      "\x7f"
                      "ELF",
                      4) == 0)
        return cudaErrorNoKernelImageForDevice;  // machine code only
      m->ptx = static_cast<const char*>(code);
      m->prepared = true;
    }
    Module* module = nullptr;
    if (cudaError_t error = load_module(*m, self().device, module); error != cudaSuccess)
      return error;
    for (auto& k : module->kernels()) add_kernel(*m, nullptr, k.name.c_str());
    for (auto& g : module->globals()) add_variable(*m, nullptr, g.name.c_str(), g.size);
    reg().modules.insert(m.get());
    *out = reinterpret_cast<cudaLibrary_t>(m.release());
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  return api(__func__, [&]() -> cudaError_t {
    std::lock_guard lock(reg().mutex);
    auto* m = reinterpret_cast<FatModule*>(library);
    if (!reg().modules.count(m)) return cudaErrorInvalidResourceHandle;
    forget(m);
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* out, cudaLibrary_t library, const char* name) {
  return api(__func__, [&]() -> cudaError_t {
    std::lock_guard lock(reg().mutex);
    auto* m = reinterpret_cast<FatModule*>(library);
    if (!out || !name || !reg().modules.count(m)) return cudaErrorInvalidResourceHandle;
    for (auto& k : m->kernels)
      if (k->name == name) {
        *out = reinterpret_cast<cudaKernel_t>(k.get());
        return cudaSuccess;
      }
    return cudaErrorSymbolNotFound;
  });
}

cudaError_t cudaLibraryGetKernelCount(unsigned* count, cudaLibrary_t library) {
  return api(__func__, [&]() -> cudaError_t {
    std::lock_guard lock(reg().mutex);
    auto* m = reinterpret_cast<FatModule*>(library);
    if (!count || !reg().modules.count(m)) return cudaErrorInvalidResourceHandle;
    *count = static_cast<unsigned>(m->kernels.size());
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t* out, unsigned count, cudaLibrary_t library) {
  return api(__func__, [&]() -> cudaError_t {
    std::lock_guard lock(reg().mutex);
    auto* m = reinterpret_cast<FatModule*>(library);
    if (!out || !reg().modules.count(m)) return cudaErrorInvalidResourceHandle;
    for (unsigned i = 0; i < count && i < m->kernels.size(); ++i)
      out[i] = reinterpret_cast<cudaKernel_t>(m->kernels[i].get());
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryGetGlobal(void** address, size_t* bytes, cudaLibrary_t library,
                                 const char* name) {
  return api(__func__, [&]() -> cudaError_t {
    std::lock_guard lock(reg().mutex);
    auto* m = reinterpret_cast<FatModule*>(library);
    if (!name || !reg().modules.count(m)) return cudaErrorInvalidResourceHandle;
    Module* module = nullptr;
    if (cudaError_t error = load_module(*m, self().device, module); error != cudaSuccess)
      return error;
    auto found = m->addresses[self().device].find(name);
    if (found == m->addresses[self().device].end()) return cudaErrorSymbolNotFound;
    if (address) *address = reinterpret_cast<void*>(found->second.first);
    if (bytes) *bytes = found->second.second;
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryGetManaged(void** address, size_t* bytes, cudaLibrary_t library,
                                  const char* name) {
  return cudaLibraryGetGlobal(address, bytes, library, name);
}

}  // extern "C"
