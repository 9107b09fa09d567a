// SPDX-License-Identifier: Apache-2.0
// Devices, limits, versions, errors, the odd rest.
#include <cstdio>
#include <cstring>

#include "device_properties.h"
#include "runtime.h"

using namespace cudasim;

namespace {

constexpr int kVersion = CUDART_VERSION;

bool valid_device(int index) { return index >= 0 && index < settings().devices; }

}  // namespace

extern "C" {

// ----------------------------------------------------------------- errors ---

cudaError_t cudaGetLastError(void) {
  cudaError_t error = self().last_error;
  self().last_error = cudaSuccess;
  if (runtime().devices.empty()) return error != cudaSuccess ? error : cudaErrorNoDevice;
  Lock lock(runtime().mutex);
  if (cudaError_t sticky = current_device().sticky; sticky != cudaSuccess) return sticky;
  return error;
}

cudaError_t cudaPeekAtLastError(void) {
  if (runtime().devices.empty()) return self().last_error;
  Lock lock(runtime().mutex);
  if (cudaError_t sticky = current_device().sticky; sticky != cudaSuccess) return sticky;
  return self().last_error;
}

// ---------------------------------------------------------------- devices ---

cudaError_t cudaGetDeviceCount(int* count) {
  cudaError_t error = api(__func__, [&] { return count ? cudaSuccess : cudaErrorInvalidValue; });
  if (count && (error == cudaSuccess || error == cudaErrorNoDevice)) *count = settings().devices;
  return error;
}

cudaError_t cudaSetDevice(int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!valid_device(index)) return cudaErrorInvalidDevice;
    self().device = index;
    return device(index).sticky;
  });
}
cudaError_t cudaInitDevice(int index, unsigned, unsigned) {
  return api(__func__, [&] { return valid_device(index) ? cudaSuccess : cudaErrorInvalidDevice; });
}
cudaError_t cudaGetDevice(int* out) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    *out = self().device;
    return cudaSuccess;
  });
}
cudaError_t cudaSetValidDevices(int*, int) {
  return api(__func__, [] { return cudaSuccess; });
}
cudaError_t cudaChooseDevice(int* out, const cudaDeviceProp*) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    *out = 0;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (!valid_device(index)) return cudaErrorInvalidDevice;
    fill_properties(*out, index);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* out, cudaDeviceAttr attribute, int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || attribute < 1 || attribute >= cudaDevAttrMax) return cudaErrorInvalidValue;
    if (!valid_device(index)) return cudaErrorInvalidDevice;
    cudaDeviceProp p;
    fill_properties(p, index);
    *out = attribute_value(attribute, p);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* out, int size, int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!valid_device(index)) return cudaErrorInvalidDevice;
    if (!out || size < 13) return cudaErrorInvalidValue;
    std::snprintf(out, static_cast<size_t>(size), "0000:%02X:00.0", 0x10 + index);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetByPCIBusId(int* out, const char* id) {
  return api(__func__, [&]() -> cudaError_t {
    unsigned domain = 0, bus = 0;
    if (!out || !id || (std::sscanf(id, "%x:%x:", &domain, &bus) != 2))
      return cudaErrorInvalidValue;
    int index = static_cast<int>(bus) - 0x10;
    if (!valid_device(index)) return cudaErrorInvalidDevice;
    *out = index;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize(void) {
  return api_device(__func__, [&](Lock& lock, Device& d) -> cudaError_t {
    if (cudaError_t error = forbid_during_capture(); error != cudaSuccess) return error;
    engine::wait_device(lock, d.index);
    cudaError_t error = engine::outcome(d.index, d.legacy.error);
    for (Stream* s : d.streams)
      if (error == cudaSuccess) error = engine::outcome(d.index, s->error);
    return error;
  });
}

cudaError_t cudaDeviceReset(void) {
  return api(__func__, [&]() -> cudaError_t {
    Lock lock(runtime().mutex);
    Device& d = current_device();
    engine::wait_device(lock, d.index);
    for (Stream* s : std::vector<Stream*>(d.streams.begin(), d.streams.end())) {
      s->last = nullptr;
      if (s->per_thread) continue;
      runtime().streams.erase(s);
      d.streams.erase(s);
      delete s;
    }
    d.legacy.last = nullptr;
    std::vector<Event*> gone;
    for (Event* e : runtime().events)
      if (e->device == d.index) gone.push_back(e);
    for (Event* e : gone) {
      runtime().events.erase(e);
      delete e;
    }
    registry::forget_device(d.index);
    memory::reset_device(d.index);
    for (int peer = 0; peer < settings().devices; ++peer) memory::set_peer(d.index, peer, false);
    d.pool = &d.default_pool;
    d.default_pool.used = 0;
    d.sticky = cudaSuccess;
    d.used = false;
    self().last_error = cudaSuccess;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    if (limit < 0 || limit > cudaLimitPersistingL2CacheSize) return cudaErrorUnsupportedLimit;
    d.limits[limit] = value;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetLimit(size_t* out, cudaLimit limit) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (limit < 0 || limit > cudaLimitPersistingL2CacheSize) return cudaErrorUnsupportedLimit;
    *out = d.limits[limit];
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetCacheConfig(cudaFuncCache* out) {
  return api_device(__func__, [&](Lock&, Device& d) {
    *out = d.cache;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache config) {
  return api_device(__func__, [&](Lock&, Device& d) {
    d.cache = config;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetSharedMemConfig(cudaSharedMemConfig* out) {
  return api_device(__func__, [&](Lock&, Device&) {
    *out = cudaSharedMemBankSizeFourByte;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig) {
  return api(__func__, [] { return cudaSuccess; });
}
cudaError_t cudaSetDeviceFlags(unsigned flags) {
  return api_device(__func__, [&](Lock&, Device& d) {
    d.flags = flags;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDeviceFlags(unsigned* out) {
  return api_device(__func__, [&](Lock&, Device& d) {
    *out = d.flags | cudaDeviceMapHost;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return api(__func__, [&] {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return cudaSuccess;
  });
}
cudaError_t cudaCtxResetPersistingL2Cache(void) {
  return api(__func__, [] { return cudaSuccess; });
}
cudaError_t cudaDeviceFlushGPUDirectRDMAWrites(cudaFlushGPUDirectRDMAWritesTarget,
                                               cudaFlushGPUDirectRDMAWritesScope) {
  return api(__func__, [] { return cudaSuccess; });
}

// ------------------------------------------------------------------ peers ---

cudaError_t cudaDeviceCanAccessPeer(int* out, int index, int peer) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (!valid_device(index) || !valid_device(peer)) return cudaErrorInvalidDevice;
    *out = index != peer;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    if (flags) return cudaErrorInvalidValue;
    if (!valid_device(peer) || peer == d.index) return cudaErrorInvalidDevice;
    if (memory::peer(d.index, peer)) return cudaErrorPeerAccessAlreadyEnabled;
    memory::set_peer(d.index, peer, true);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return api_device(__func__, [&](Lock& lock, Device& d) -> cudaError_t {
    if (!valid_device(peer)) return cudaErrorInvalidDevice;
    if (!memory::peer(d.index, peer)) return cudaErrorPeerAccessNotEnabled;
    engine::wait_device(lock, d.index);
    memory::set_peer(d.index, peer, false);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetP2PAttribute(int* out, cudaDeviceP2PAttr attribute, int from, int to) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (!valid_device(from) || !valid_device(to) || from == to) return cudaErrorInvalidDevice;
    switch (attribute) {
      case cudaDevP2PAttrAccessSupported:
      case cudaDevP2PAttrNativeAtomicSupported: *out = 1; return cudaSuccess;
      default: *out = 0; return cudaSuccess;
    }
  });
}

// --------------------------------------------------------------- versions ---

cudaError_t cudaDriverGetVersion(int* out) {
  if (!out) return cudaErrorInvalidValue;
  *out = kVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* out) {
  if (!out) return cudaErrorInvalidValue;
  *out = kVersion;
  return cudaSuccess;
}

// Called by programs that want a driver function without linking libcuda.
cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** out, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* status) {
  return api(__func__, [&]() -> cudaError_t {
    if (!symbol || !out) return cudaErrorInvalidValue;
    *out = nullptr;
    if (status) *status = cudaDriverEntryPointSymbolNotFound;
    if (settings().log) log_line("      driver entry point %s is not there", symbol);
    return status ? cudaSuccess : cudaErrorSymbolNotFound;
  });
}
cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** out, unsigned long long flags,
                                    cudaDriverEntryPointQueryResult* status) {
  return cudaGetDriverEntryPointByVersion(symbol, out, 0, flags, status);
}

cudaError_t cudaProfilerStart(void) {
  return api(__func__, [] { return cudaSuccess; });
}
cudaError_t cudaProfilerStop(void) {
  return api(__func__, [] { return cudaSuccess; });
}

cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w,
                                            cudaChannelFormatKind kind) {
  return {x, y, z, w, kind};
}

}  // extern "C"
