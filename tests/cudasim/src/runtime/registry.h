// SPDX-License-Identifier: Apache-2.0
// The fat binaries that a program registered and what they hold. reg().mutex guards all of it.
#pragma once

#include "fatbin.h"
#include "runtime.h"

namespace cudasim {

// One fat binary (one translation unit, or one cudaLibrary_t).
struct FatModule {
  const void* container = nullptr;
  std::string label;
  bool prepared = false;
  cudaError_t failure = cudaSuccess;
  std::string ptx;
  std::map<std::string, CubinKernel> cubin;
  std::map<int, std::unique_ptr<Module>> loaded;  // by device; -1: shared, has no variables
  std::map<int, std::map<std::string, std::pair<uint64_t, uint64_t>>>
      addresses;  // device → name → (address, size)
  std::vector<std::unique_ptr<KernelEntry>> kernels;
  std::vector<std::unique_ptr<Variable>> variables;
};

struct Registry {
  std::unordered_map<const void*, KernelEntry*> functions;  // by host stub
  std::unordered_set<const void*> handles;                  // KernelEntry*
  std::unordered_map<const void*, Variable*> variables;     // by host shadow
  std::unordered_set<FatModule*> modules;
  std::map<std::pair<FatModule*, std::string>, uint64_t> managed;  // one storage for all devices
  std::recursive_mutex mutex;
};
Registry& reg();

// The module's code on one device, loaded on first use.
cudaError_t load_module(FatModule& m, int index, Module*& out);
void forget(FatModule* m);
KernelEntry* add_kernel(FatModule& m, const void* host, const char* name);
Variable* add_variable(FatModule& m, const void* host, const char* name, size_t size);

}  // namespace cudasim
