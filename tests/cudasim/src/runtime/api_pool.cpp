// SPDX-License-Identifier: Apache-2.0
// Memory pools and managed-memory hints.
#include <cstring>

#include "runtime.h"

using namespace cudasim;

namespace {

cudaError_t check_managed(const void* p, size_t n) {
  Allocation a;
  return n > 0 && memory::lookup(reinterpret_cast<uint64_t>(p), a) &&
                 a.kind == MemoryKind::managed && reinterpret_cast<uint64_t>(p) + n <= a.end()
             ? cudaSuccess
             : cudaErrorInvalidValue;
}

}  // namespace

extern "C" {

cudaError_t cudaMemPrefetchAsync(const void* p, size_t n, cudaMemLocation, unsigned, cudaStream_t) {
  return api_device(__func__, [&](Lock&, Device&) { return check_managed(p, n); });
}
cudaError_t cudaMemAdvise(const void* p, size_t n, cudaMemoryAdvise, cudaMemLocation) {
  return api_device(__func__, [&](Lock&, Device&) { return check_managed(p, n); });
}
cudaError_t cudaMemRangeGetAttribute(void* data, size_t size, cudaMemRangeAttribute, const void* p,
                                     size_t n) {
  return api_device(__func__, [&](Lock&, Device&) {
    if (data) std::memset(data, 0, size);
    return check_managed(p, n);
  });
}
cudaError_t cudaStreamAttachMemAsync(cudaStream_t, void*, size_t, unsigned) {
  return api_device(__func__, [&](Lock&, Device&) { return cudaSuccess; });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* out, int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || index < 0 || index >= settings().devices) return cudaErrorInvalidDevice;
    *out = reinterpret_cast<cudaMemPool_t>(&device(index).default_pool);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* out, int index) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || index < 0 || index >= settings().devices) return cudaErrorInvalidDevice;
    *out = reinterpret_cast<cudaMemPool_t>(device(index).pool);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSetMemPool(int index, cudaMemPool_t pool) {
  return api(__func__, [&]() -> cudaError_t {
    if (!pool || index < 0 || index >= settings().devices) return cudaErrorInvalidValue;
    device(index).pool = reinterpret_cast<Pool*>(pool);
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* out, const cudaMemPoolProps* props) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out || !props || props->location.type != cudaMemLocationTypeDevice ||
        props->location.id < 0 || props->location.id >= settings().devices)
      return cudaErrorInvalidValue;
    auto* pool = new Pool;
    pool->device = props->location.id;
    *out = reinterpret_cast<cudaMemPool_t>(pool);
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t handle) {
  return api(__func__, [&]() -> cudaError_t {
    auto* pool = reinterpret_cast<Pool*>(handle);
    if (!pool || pool->is_default) return cudaErrorInvalidValue;
    for (auto& d : runtime().devices)
      if (d->pool == pool) d->pool = &d->default_pool;
    return cudaSuccess;  // kept: its allocations may outlive it
  });
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  return api(__func__, [&] { return pool ? cudaSuccess : cudaErrorInvalidValue; });
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return api(__func__, [&]() -> cudaError_t {
    auto* pool = reinterpret_cast<Pool*>(handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies:
        pool->reuse[attribute - 1] = *static_cast<int*>(value);
        return cudaSuccess;
      case cudaMemPoolAttrReleaseThreshold:
        pool->release_threshold = *static_cast<uint64_t*>(value);
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh:
      case cudaMemPoolAttrUsedMemHigh: pool->used_high = pool->used; return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return api(__func__, [&]() -> cudaError_t {
    auto* pool = reinterpret_cast<Pool*>(handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies:
        *static_cast<int*>(value) = pool->reuse[attribute - 1];
        return cudaSuccess;
      case cudaMemPoolAttrReleaseThreshold:
        *static_cast<uint64_t*>(value) = pool->release_threshold;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemCurrent:
      case cudaMemPoolAttrUsedMemCurrent:
        *static_cast<uint64_t*>(value) = pool->used;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh:
      case cudaMemPoolAttrUsedMemHigh:
        *static_cast<uint64_t*>(value) = pool->used_high;
        return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}
cudaError_t cudaMemPoolSetAccess(cudaMemPool_t handle, const cudaMemAccessDesc* list,
                                 size_t count) {
  return api(__func__, [&]() -> cudaError_t {
    auto* pool = reinterpret_cast<Pool*>(handle);
    if (!pool || (!list && count)) return cudaErrorInvalidValue;
    for (size_t i = 0; i < count; ++i) {
      int who = list[i].location.id;
      if (list[i].location.type != cudaMemLocationTypeDevice || who < 0 ||
          who >= settings().devices)
        return cudaErrorInvalidValue;
      if (who != pool->device)
        memory::set_peer(who, pool->device, list[i].flags != cudaMemAccessFlagsProtNone);
    }
    return cudaSuccess;
  });
}
cudaError_t cudaMemPoolGetAccess(cudaMemAccessFlags* flags, cudaMemPool_t handle,
                                 cudaMemLocation* where) {
  return api(__func__, [&]() -> cudaError_t {
    auto* pool = reinterpret_cast<Pool*>(handle);
    if (!flags || !pool || !where || where->id < 0 || where->id >= settings().devices)
      return cudaErrorInvalidValue;
    *flags = where->id == pool->device || memory::peer(where->id, pool->device)
                 ? cudaMemAccessFlagsProtReadWrite
                 : cudaMemAccessFlagsProtNone;
    return cudaSuccess;
  });
}

// The default and current pools by location: only device memory has pools here.
cudaError_t cudaMemGetDefaultMemPool(cudaMemPool_t* out, cudaMemLocation* where,
                                     cudaMemAllocationType) {
  if (!where || where->type != cudaMemLocationTypeDevice)
    return api(__func__, [] { return cudaErrorNotSupported; });
  return cudaDeviceGetDefaultMemPool(out, where->id);
}
cudaError_t cudaMemGetMemPool(cudaMemPool_t* out, cudaMemLocation* where, cudaMemAllocationType) {
  if (!where || where->type != cudaMemLocationTypeDevice)
    return api(__func__, [] { return cudaErrorNotSupported; });
  return cudaDeviceGetMemPool(out, where->id);
}
cudaError_t cudaMemSetMemPool(cudaMemLocation* where, cudaMemAllocationType, cudaMemPool_t pool) {
  if (!where || where->type != cudaMemLocationTypeDevice)
    return api(__func__, [] { return cudaErrorNotSupported; });
  return cudaDeviceSetMemPool(where->id, pool);
}

cudaError_t cudaMemPrefetchBatchAsync(void** list, size_t* sizes, size_t count, cudaMemLocation*,
                                      size_t*, size_t, unsigned long long, cudaStream_t) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    for (size_t i = 0; i < count; ++i)
      if (cudaError_t error = check_managed(list[i], sizes[i]); error != cudaSuccess) return error;
    return cudaSuccess;
  });
}

}  // extern "C"
