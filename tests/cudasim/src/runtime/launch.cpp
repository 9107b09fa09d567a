// SPDX-License-Identifier: Apache-2.0
// Kernel launches: validation, parameters, execution, occupancy.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime.h"

namespace cudasim {
namespace {

constexpr int kWarpsPerSm = 64, kBlocksPerSm = 32, kRegistersPerSm = 65536, kMaxThreads = 1024;
constexpr size_t kSharedPerSm = 228 * 1024, kSharedReserved = 1024, kSharedDefault = 48 * 1024,
                 kSharedOptin = 227 * 1024;

int round_up(int n, int to) { return (n + to - 1) / to * to; }

// How many registers a block of this size takes: per warp in units of 256.
int block_registers(const KernelFacts& facts, int block_threads) {
  int warps = round_up((block_threads + 31) / 32, 4);
  return round_up(facts.registers * 32, 256) * warps;
}

}  // namespace

int occupancy(const KernelFacts& facts, int block_threads, size_t dynamic_shared) {
  int limit_threads = std::min<int>(kMaxThreads, static_cast<int>(facts.info->max_threads));
  if (block_threads <= 0 || block_threads > limit_threads) return 0;
  int warps = (block_threads + 31) / 32;
  int by_warps = std::min(kBlocksPerSm, kWarpsPerSm / warps);
  // Registers are handed out per warp, on four sub-partitions of 16384.
  int warps_by_registers = kRegistersPerSm / 4 / round_up(facts.registers * 32, 256) * 4;
  int by_registers = facts.registers > 0 ? warps_by_registers / warps : kBlocksPerSm;
  size_t shared = facts.info->static_shared_bytes + dynamic_shared + kSharedReserved;
  shared = (shared + 127) / 128 * 128;
  if (shared > kSharedPerSm) return 0;
  int by_shared = static_cast<int>(kSharedPerSm / shared);
  return std::min({by_warps, by_registers, by_shared});
}

cudaError_t prepare_kernel(const void* function, dim3 grid, dim3 block, void** args, size_t shared,
                           const cudaLaunchAttribute* attributes, unsigned count, int index,
                           std::shared_ptr<KernelCall>& out) {
  KernelEntry* entry = nullptr;
  if (cudaError_t error = registry::find_kernel(function, entry); error != cudaSuccess)
    return error;
  KernelEntry::Loaded loaded;
  KernelFacts facts;
  if (cudaError_t error = registry::load(*entry, index, loaded, &facts); error != cudaSuccess)
    return error;

  uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMaxThreads || block.x > 1024 || block.y > 1024 || block.z > 64)
    return cudaErrorInvalidConfiguration;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  if (threads > facts.info->max_threads) return cudaErrorInvalidValue;
  if (block_registers(facts, static_cast<int>(threads)) > kRegistersPerSm)
    return cudaErrorLaunchOutOfResources;
  size_t fixed = facts.info->static_shared_bytes;
  size_t allowed = kSharedDefault - std::min(fixed, kSharedDefault);
  if (auto set = entry->max_dynamic_shared.find(index); set != entry->max_dynamic_shared.end())
    allowed = std::max<size_t>(allowed, static_cast<size_t>(set->second));
  if (shared > allowed || fixed + shared > kSharedOptin) return cudaErrorInvalidValue;

  auto call = std::make_shared<KernelCall>();
  call->entry = entry;
  call->config.grid = {grid.x, grid.y, grid.z};
  call->config.block = {block.x, block.y, block.z};
  call->config.dynamic_shared = shared;
  for (unsigned i = 0; i < count; ++i) {
    const auto& a = attributes[i];
    switch (a.id) {
      case cudaLaunchAttributeClusterDimension:
        call->config.cluster = {a.val.clusterDim.x, a.val.clusterDim.y, a.val.clusterDim.z};
        break;
      case cudaLaunchAttributeCooperative: call->config.cooperative = a.val.cooperative != 0; break;
      default: break;  // priorities, memory domains, programmatic launches: no effect on the result
    }
  }
  const Dim3& c = call->config.cluster;
  if (c.count() == 0 || c.count() > (entry->non_portable_cluster ? 16u : 8u))
    return cudaErrorInvalidClusterSize;
  if (grid.x % c.x || grid.y % c.y || grid.z % c.z) return cudaErrorInvalidClusterSize;
  if (call->config.cooperative) {
    uint64_t resident = uint64_t(occupancy(facts, static_cast<int>(threads), shared)) *
                        device(index).model.sm_count;
    if (call->config.grid.count() > resident) return cudaErrorCooperativeLaunchTooLarge;
  }
  if (cudaError_t error = set_parameters(*call, args, index); error != cudaSuccess) return error;
  out = call;
  return cudaSuccess;
}

cudaError_t set_parameters(KernelCall& call, void** args, int index) {
  KernelEntry::Loaded loaded;
  KernelFacts facts;
  if (cudaError_t error = registry::load(*call.entry, index, loaded, &facts); error != cudaSuccess)
    return error;
  call.params.assign(facts.info->param_bytes, 0);
  if (!facts.info->params.empty() && !args) return cudaErrorInvalidValue;
  for (size_t i = 0; i < facts.info->params.size(); ++i) {
    const ParamInfo& p = facts.info->params[i];
    if (!args[i]) return cudaErrorInvalidValue;
    std::memcpy(call.params.data() + p.offset, args[i], p.size);
  }
  return cudaSuccess;
}

OpPtr make_kernel_op(std::shared_ptr<KernelCall> call, int index) {
  auto op = std::make_shared<Op>();
  op->device = index;
  const auto& c = call->config;
  char shape[120];
  std::snprintf(shape, sizeof shape, " <<<(%u,%u,%u), (%u,%u,%u), %llu>>>", c.grid.x, c.grid.y,
                c.grid.z, c.block.x, c.block.y, c.block.z,
                static_cast<unsigned long long>(c.dynamic_shared));
  op->what = "kernel " + call->entry->demangled + shape;
  op->run = [call, index]() -> cudaError_t {
    KernelEntry::Loaded loaded;
    KernelFacts facts;
    if (cudaError_t error = registry::load(*call->entry, index, loaded, &facts);
        error != cudaSuccess)
      return error;
    LaunchResult result;
    try {
      result =
          launch(*loaded.module, *loaded.kernel, call->config, call->params.data(),
                 call->params.size(), memory::space(index), device(index).model, settings().core);
    } catch (const std::exception& e) {
      result.fault = {cudaErrorUnknown,
                      "kernel " + call->entry->demangled + ": the simulator failed: " + e.what()};
    }
    std::fflush(stdout);  // device printf appears before what the host prints next
    for (auto& finding : result.findings) complain("%s", finding.c_str());
    record_profile(*call->entry, facts, call->config, result);
    if (result.fault.message.empty()) return cudaSuccess;
    complain("device %d: %s", index, result.fault.message.c_str());
    return result.fault.cuda_error ? static_cast<cudaError_t>(result.fault.cuda_error)
                                   : cudaErrorLaunchFailure;
  };
  return op;
}

}  // namespace cudasim

// ------------------------------------------------------------ entry points ---

using namespace cudasim;

namespace {

cudaError_t launch_on(const char* name, const void* function, dim3 grid, dim3 block, void** args,
                      size_t shared, cudaStream_t stream, const cudaLaunchAttribute* attributes,
                      unsigned count) {
  return api_device(name, [&](Lock& lock, Device&) -> cudaError_t {
    Stream* s = nullptr;
    if (cudaError_t error = resolve_stream(stream, s); error != cudaSuccess) return error;
    if (s->device != self().device) return cudaErrorInvalidResourceHandle;
    Work work;
    work.type = cudaGraphNodeTypeKernel;
    if (cudaError_t error = prepare_kernel(function, grid, block, args, shared, attributes, count,
                                           s->device, work.kernel);
        error != cudaSuccess)
      return error;
    return submit(lock, *s, std::move(work));
  });
}

cudaError_t facts_of(const void* function, KernelEntry*& entry, KernelFacts& facts) {
  if (cudaError_t error = registry::find_kernel(function, entry); error != cudaSuccess)
    return error;
  KernelEntry::Loaded loaded;
  return registry::load(*entry, self().device, loaded, &facts);
}

Dim3 cluster_of(const cudaLaunchConfig_t& config) {
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == cudaLaunchAttributeClusterDimension)
      return {config.attrs[i].val.clusterDim.x, config.attrs[i].val.clusterDim.y,
              config.attrs[i].val.clusterDim.z};
  return {};
}

}  // namespace

extern "C" {

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** args,
                             size_t shared, cudaStream_t stream) {
  return launch_on(__func__, function, grid, block, args, shared, stream, nullptr, 0);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                               size_t shared, cudaStream_t stream) {
  return launch_on(__func__, kernel, grid, block, args, shared, stream, nullptr, 0);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** args) {
  if (!config) return api(__func__, [] { return cudaErrorInvalidValue; });
  return launch_on(__func__, function, config->gridDim, config->blockDim, args,
                   config->dynamicSmemBytes, config->stream, config->attrs, config->numAttrs);
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** args,
                                        size_t shared, cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  return launch_on(__func__, function, grid, block, args, shared, stream, &attribute, 1);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, const void* function) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    std::memset(out, 0, sizeof *out);
    out->sharedSizeBytes = facts.info->static_shared_bytes;
    out->constSizeBytes = facts.info->const_bytes;
    out->localSizeBytes = facts.info->local_bytes;
    int by_registers = 65536 / std::max(1, (facts.registers * 32 + 255) / 256 * 256) / 4 * 4 * 32;
    out->maxThreadsPerBlock = std::min<int>(
        {1024, static_cast<int>(facts.info->max_threads), std::max(32, by_registers)});
    out->numRegs = facts.registers;
    out->ptxVersion = facts.info->target_sm;
    out->binaryVersion = 90;
    out->cacheModeCA = 0;
    int fixed = static_cast<int>(facts.info->static_shared_bytes);
    auto set = entry->max_dynamic_shared.find(self().device);
    out->maxDynamicSharedSizeBytes =
        set != entry->max_dynamic_shared.end() ? set->second : std::max(0, 48 * 1024 - fixed);
    out->preferredShmemCarveout = entry->carveout;
    out->nonPortableClusterSizeAllowed = entry->non_portable_cluster;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    switch (attribute) {
      case cudaFuncAttributeMaxDynamicSharedMemorySize:
        if (value < 0 || value + static_cast<int>(facts.info->static_shared_bytes) >
                             static_cast<int>(kSharedOptin))
          return cudaErrorInvalidValue;
        entry->max_dynamic_shared[self().device] = value;
        return cudaSuccess;
      case cudaFuncAttributePreferredSharedMemoryCarveout:
        if (value < -1 || value > 100) return cudaErrorInvalidValue;
        entry->carveout = value;
        return cudaSuccess;
      case cudaFuncAttributeNonPortableClusterSizeAllowed:
        entry->non_portable_cluster = value != 0;
        return cudaSuccess;
      case cudaFuncAttributeClusterDimMustBeSet:
      case cudaFuncAttributeRequiredClusterWidth:
      case cudaFuncAttributeRequiredClusterHeight:
      case cudaFuncAttributeRequiredClusterDepth:
      case cudaFuncAttributeClusterSchedulingPolicyPreference: return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, cudaFuncAttribute attribute,
                                            int value, int) {
  return cudaFuncSetAttribute(kernel, attribute, value);
}

cudaError_t cudaFuncSetCacheConfig(const void* function, cudaFuncCache) {
  return api(__func__, [&] {
    KernelEntry* e = nullptr;
    return registry::find_kernel(function, e);
  });
}

cudaError_t cudaFuncSetSharedMemConfig(const void* function, cudaSharedMemConfig) {
  return api(__func__, [&] {
    KernelEntry* e = nullptr;
    return registry::find_kernel(function, e);
  });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  return api(__func__, [&]() -> cudaError_t {
    KernelEntry* e = nullptr;
    if (!name) return cudaErrorInvalidValue;
    cudaError_t error = registry::find_kernel(function, e);
    if (error == cudaSuccess) *name = e->name.c_str();
    return error;
  });
}

cudaError_t cudaFuncGetParamInfo(const void* function, size_t index, size_t* offset, size_t* size) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    if (index >= facts.info->params.size()) return cudaErrorInvalidValue;
    if (offset) *offset = facts.info->params[index].offset;
    if (size) *size = facts.info->params[index].size;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function,
                                                                   int threads, size_t shared,
                                                                   unsigned) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (!blocks || threads <= 0) return cudaErrorInvalidValue;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    *blocks = occupancy(facts, threads, shared);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared,
                                                                0);
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* out, const void* function, int blocks,
                                                      int threads) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (!out || blocks <= 0 || threads <= 0) return cudaErrorInvalidValue;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    if (occupancy(facts, threads, 0) < blocks) return cudaErrorInvalidValue;
    size_t each = (kSharedPerSm / static_cast<size_t>(blocks)) / 128 * 128;
    each = each > kSharedReserved + facts.info->static_shared_bytes
               ? each - kSharedReserved - facts.info->static_shared_bytes
               : 0;
    *out = std::min(each, kSharedOptin - facts.info->static_shared_bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int* size, const void* function,
                                                 const cudaLaunchConfig_t*) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (!size) return cudaErrorInvalidValue;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    *size = entry->non_portable_cluster ? 16 : 8;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* function,
                                           const cudaLaunchConfig_t* config) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    KernelEntry* entry = nullptr;
    KernelFacts facts;
    if (!clusters || !config) return cudaErrorInvalidValue;
    if (cudaError_t error = facts_of(function, entry, facts); error != cudaSuccess) return error;
    Dim3 c = cluster_of(*config);
    if (c.count() == 0 || c.count() > (entry->non_portable_cluster ? 16u : 8u))
      return cudaErrorInvalidClusterSize;
    int threads = static_cast<int>(config->blockDim.x * config->blockDim.y * config->blockDim.z);
    // A cluster lives on one GPC; a full one has 16 of the chip's SMs here.
    uint64_t per_gpc =
        uint64_t(occupancy(facts, threads, config->dynamicSmemBytes)) * 16 / c.count();
    *clusters = static_cast<int>(per_gpc * (d.model.sm_count / 16));
    return cudaSuccess;
  });
}

}  // extern "C"
