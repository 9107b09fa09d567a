// SPDX-License-Identifier: Apache-2.0
// Allocation and release, pointer attributes.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "faults.h"
#include "runtime.h"

using namespace cudasim;

namespace {

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

cudaError_t allocate_or_drain(Lock& lock, Device& d, MemoryKind kind, size_t size,
                              Allocation& out) {
  if (cudaError_t error = faults::count_allocation(); error != cudaSuccess) return error;
  cudaError_t error = memory::allocate(d.index, kind, size, out);
  if (error == cudaErrorMemoryAllocation && kind == MemoryKind::device) {
    engine::wait_device(lock, d.index);  // frees that are still queued
    error = memory::allocate(d.index, kind, size, out);
  }
  return error;
}

cudaError_t allocate(const char* name, void** out, size_t size, MemoryKind kind, unsigned flags) {
  return api_device(name, [&](Lock& lock, Device& d) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (kind == MemoryKind::device || kind == MemoryKind::managed)
      if (cudaError_t error = forbid_during_capture(); error != cudaSuccess) return error;
    if (size == 0) {
      *out = nullptr;
      return kind == MemoryKind::managed ? cudaErrorInvalidValue : cudaSuccess;
    }
    Allocation a;
    if (cudaError_t error = allocate_or_drain(lock, d, kind, size, a); error != cudaSuccess)
      return error;
    if (flags) memory::update(a.begin, [&](Allocation& x) { x.flags = flags; });
    *out = reinterpret_cast<void*>(a.begin);
    if (settings().log)
      log_line("alloc #%llu %p +%zu", static_cast<unsigned long long>(a.id), *out, size);
    return cudaSuccess;
  });
}

cudaError_t malloc_async(const char* name, void** out, size_t size, Pool* pool,
                         cudaStream_t stream) {
  return api_device(name, [&](Lock& lock, Device&) -> cudaError_t {
    Stream* s = nullptr;
    if (!out) return cudaErrorInvalidValue;
    if (cudaError_t error = resolve_stream(stream, s); error != cudaSuccess) return error;
    if (s->capture && s->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (size == 0) {
      *out = nullptr;
      return cudaSuccess;
    }
    Pool* from = pool ? pool : device(s->device).pool;
    Allocation a;
    if (cudaError_t error =
            allocate_or_drain(lock, device(from->device), MemoryKind::device, size, a);
        error != cudaSuccess)
      return error;
    memory::update(a.begin, [&](Allocation& x) {
      x.live = false;
      x.pool = from;
    });
    from->used += size;
    from->used_high = std::max(from->used_high, from->used);
    Work work;
    work.type = cudaGraphNodeTypeMemAlloc;
    work.address = a.begin;
    if (s->capture) s->capture->target->owned.push_back(a.begin);
    cudaError_t error = submit(lock, *s, std::move(work));
    if (error == cudaSuccess) *out = reinterpret_cast<void*>(a.begin);
    return error;
  });
}

size_t padded_row(size_t width) { return (width + 511) / 512 * 512; }

}  // namespace

extern "C" {

// ------------------------------------------------------------ allocation ---

cudaError_t cudaMalloc(void** out, size_t size) {
  return allocate(__func__, out, size, MemoryKind::device, 0);
}
cudaError_t cudaMallocManaged(void** out, size_t size, unsigned flags) {
  return allocate(__func__, out, size, MemoryKind::managed, flags);
}
cudaError_t cudaMallocHost(void** out, size_t size) {
  return allocate(__func__, out, size, MemoryKind::pinned, 0);
}
cudaError_t cudaHostAlloc(void** out, size_t size, unsigned flags) {
  if (flags & ~(cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined))
    return api(__func__, [] { return cudaErrorInvalidValue; });
  return allocate(__func__, out, size, MemoryKind::pinned, flags);
}

cudaError_t cudaMallocPitch(void** out, size_t* pitch, size_t width, size_t height) {
  if (!out || !pitch) return api(__func__, [] { return cudaErrorInvalidValue; });
  size_t padded = padded_row(width);
  cudaError_t error = allocate(__func__, out, padded * height, MemoryKind::device, 0);
  if (error == cudaSuccess) *pitch = padded;
  return error;
}

cudaError_t cudaMalloc3D(cudaPitchedPtr* out, cudaExtent e) {
  if (!out) return api(__func__, [] { return cudaErrorInvalidValue; });
  void* p = nullptr;
  size_t pitch = padded_row(e.width);
  cudaError_t error = allocate(__func__, &p, pitch * e.height * e.depth, MemoryKind::device, 0);
  if (error == cudaSuccess) *out = {p, pitch, e.width, e.height};
  return error;
}

cudaError_t cudaFree(void* p) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    if (!p) return cudaSuccess;
    if (cudaError_t error = forbid_during_capture(); error != cudaSuccess) return error;
    Allocation a;
    if (!memory::lookup(address(p), a) || a.begin != address(p) || a.variable || a.dying ||
        (a.kind != MemoryKind::device && a.kind != MemoryKind::managed)) {
      complain("cudaFree(%p): not the start of a live device allocation; %s", p,
               memory::describe(address(p)).c_str());
      return cudaErrorInvalidValue;
    }
    engine::wait_device(lock, a.device);  // cudaFree synchronises
    if (!a.live) memory::lookup(address(p), a);
    if (a.pool) a.pool->used -= std::min(a.pool->used, a.size);
    memory::release(a.begin);
    return device(a.device).sticky;
  });
}

cudaError_t cudaFreeHost(void* p) {
  return api_device(__func__, [&](Lock& lock, Device& d) -> cudaError_t {
    if (!p) return cudaSuccess;
    Allocation a;
    if (!memory::lookup(address(p), a) || a.begin != address(p) || a.kind != MemoryKind::pinned)
      return cudaErrorInvalidValue;
    for (auto& each : runtime().devices)
      if (each->used) engine::wait_device(lock, each->index);
    memory::release(a.begin);
    return d.sticky;
  });
}

cudaError_t cudaHostRegister(void* p, size_t size, unsigned flags) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    if (!p || size == 0) return cudaErrorInvalidValue;
    return memory::register_host(p, size, flags);
  });
}

cudaError_t cudaHostUnregister(void* p) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    Allocation a;
    if (!memory::lookup(address(p), a) || a.begin != address(p) || a.kind != MemoryKind::registered)
      return cudaErrorHostMemoryNotRegistered;
    for (auto& each : runtime().devices)
      if (each->used) engine::wait_device(lock, each->index);
    memory::release(a.begin);
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetDevicePointer(void** out, void* host, unsigned) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    Allocation a;
    if (!out || !memory::lookup(address(host), a) || a.kind == MemoryKind::device)
      return cudaErrorInvalidValue;
    *out = host;
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* host) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    Allocation a;
    if (!flags || !memory::lookup(address(host), a) ||
        (a.kind != MemoryKind::pinned && a.kind != MemoryKind::registered))
      return cudaErrorInvalidValue;
    *flags = a.flags | cudaHostAllocMapped | cudaHostAllocPortable;
    return cudaSuccess;
  });
}

cudaError_t cudaMallocAsync(void** out, size_t size, cudaStream_t stream) {
  return malloc_async(__func__, out, size, nullptr, stream);
}
cudaError_t cudaMallocFromPoolAsync(void** out, size_t size, cudaMemPool_t pool,
                                    cudaStream_t stream) {
  return malloc_async(__func__, out, size, reinterpret_cast<Pool*>(pool), stream);
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    if (!p) return cudaSuccess;
    Stream* s = nullptr;
    if (cudaError_t error = resolve_stream(stream, s); error != cudaSuccess) return error;
    Allocation a;
    if (!memory::lookup(address(p), a) || a.begin != address(p) || a.variable || a.dying ||
        a.kind != MemoryKind::device) {
      complain("cudaFreeAsync(%p): not the start of a live device allocation; %s", p,
               memory::describe(address(p)).c_str());
      return cudaErrorInvalidValue;
    }
    Work work;
    work.type = cudaGraphNodeTypeMemFree;
    work.address = a.begin;
    if (s->capture) return submit(lock, *s, std::move(work));
    memory::update(a.begin, [](Allocation& x) { x.dying = true; });
    auto op_for = [begin = a.begin](int index) {
      auto op = std::make_shared<Op>();
      op->what = "free";
      op->device = index;
      op->run = [begin] {
        Allocation gone;
        if (memory::lookup(begin, gone) && gone.pool)
          gone.pool->used -= std::min(gone.pool->used, gone.size);
        memory::release(begin);
        return cudaSuccess;
      };
      return op;
    };
    work.custom = op_for;
    return submit(lock, *s, std::move(work));
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    uint64_t f = 0, t = 0;
    memory::info(d.index, f, t);
    if (free) *free = f;
    if (total) *total = t;
    return cudaSuccess;
  });
}

// --------------------------------------------------------------- pointers ---

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* p) {
  return api(__func__, [&]() -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    std::memset(out, 0, sizeof *out);
    Allocation a;
    if (!memory::lookup(address(p), a)) {
      if (memory::in_device_arena(address(p))) return cudaErrorInvalidValue;
      out->type = cudaMemoryTypeUnregistered;
      out->device = cudaInvalidDeviceId;
      out->hostPointer = const_cast<void*>(p);
      return cudaSuccess;
    }
    out->device = a.device;
    out->devicePointer = const_cast<void*>(p);
    out->hostPointer = a.kind == MemoryKind::device ? nullptr : const_cast<void*>(p);
    out->type = a.kind == MemoryKind::device    ? cudaMemoryTypeDevice
                : a.kind == MemoryKind::managed ? cudaMemoryTypeManaged
                                                : cudaMemoryTypeHost;
    return cudaSuccess;
  });
}

}  // extern "C"
