// SPDX-License-Identifier: Apache-2.0
// Copies, memsets, module variables.
#include <cstdio>
#include <cstring>

#include "runtime.h"

using namespace cudasim;

namespace {

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool is_kind(uint64_t p, MemoryKind kind) {
  Allocation a;
  return memory::lookup(p, a) && a.kind == kind;
}
bool pageable(uint64_t p) {
  Allocation a;
  return !memory::lookup(p, a) && !memory::in_device_arena(p);
}

// Resolves the stream and applies the rules of blocking calls, which may not
// wait for a stream that is being captured.
cudaError_t choose_stream(Device& d, cudaStream_t handle, bool blocking, Stream*& out) {
  if (cudaError_t error = resolve_stream(handle, out); error != cudaSuccess || !blocking)
    return error;
  if (cudaError_t error = forbid_legacy_during_capture(d); error != cudaSuccess) return error;
  return forbid_during_capture();
}

// Submits the work of one call and, when asked, waits for it.
cudaError_t submit_and_wait(Lock& lock, Stream& s, Work work, bool wait) {
  OpPtr op;
  int index = s.device;
  cudaError_t error = submit(lock, s, std::move(work), &op);
  if (error != cudaSuccess || !wait || !op) return error;
  engine::wait(lock, op);
  return engine::outcome(index, op->stream_error);
}

// Every copy comes through here. `blocking`: the call returns when the data has moved,
// unless both sides are device memory (as CUDA documents).
cudaError_t copy(const char* name, Copy c, cudaStream_t stream, bool blocking) {
  return api_device(name, [&](Lock& lock, Device& d) -> cudaError_t {
    Stream* s = nullptr;
    if (cudaError_t error = choose_stream(d, stream, blocking, s); error != cudaSuccess)
      return error;
    if (cudaError_t error = check_copy(c); error != cudaSuccess) return error;
    if (c.width == 0 || c.height == 0 || c.depth == 0) return cudaSuccess;
    bool on_device = is_kind(c.dst, MemoryKind::device) && is_kind(c.src, MemoryKind::device);
    Work work;
    work.type = cudaGraphNodeTypeMemcpy;
    work.copy = std::make_shared<Copy>(c);
    work.blocking = blocking;
    return submit_and_wait(lock, *s, std::move(work), (blocking && !on_device) || pageable(c.dst));
  });
}

Copy linear(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind) {
  Copy c;
  c.dst = address(dst);
  c.src = address(src);
  c.width = bytes;
  c.dst_pitch = c.src_pitch = c.dst_slice = c.src_slice = bytes;
  c.kind = kind;
  return c;
}

cudaError_t copy_2d(const char* name, void* dst, size_t dpitch, const void* src, size_t spitch,
                    size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream,
                    bool blocking) {
  if (width && height > 1 && (width > dpitch || width > spitch))
    return api(name, [] { return cudaErrorInvalidPitchValue; });
  Copy c = linear(dst, src, width, kind);
  c.height = height;
  c.dst_pitch = dpitch;
  c.src_pitch = spitch;
  c.dst_slice = dpitch * height;
  c.src_slice = spitch * height;
  return copy(name, c, stream, blocking);
}

bool box(const cudaPitchedPtr& dst, const cudaPos& dpos, const cudaPitchedPtr& src,
         const cudaPos& spos, const cudaExtent& e, cudaMemcpyKind kind, Copy& c) {
  c.width = e.width;
  c.height = e.height;
  c.depth = e.depth;
  c.dst_pitch = dst.pitch;
  c.src_pitch = src.pitch;
  c.dst_slice = dst.pitch * dst.ysize;
  c.src_slice = src.pitch * src.ysize;
  c.dst = address(dst.ptr) + dpos.x + dpos.y * c.dst_pitch + dpos.z * c.dst_slice;
  c.src = address(src.ptr) + spos.x + spos.y * c.src_pitch + spos.z * c.src_slice;
  c.kind = kind;
  return e.height <= 1 || (e.width <= dst.pitch && e.width <= src.pitch);
}

cudaError_t copy_3d(const char* name, const cudaMemcpy3DParms* p, cudaStream_t stream,
                    bool blocking) {
  if (!p) return api(name, [] { return cudaErrorInvalidValue; });
  if (p->srcArray || p->dstArray) return api(name, [] { return cudaErrorNotSupported; });
  Copy c;
  if (!box(p->dstPtr, p->dstPos, p->srcPtr, p->srcPos, p->extent, p->kind, c))
    return api(name, [] { return cudaErrorInvalidPitchValue; });
  return copy(name, c, stream, blocking);
}

cudaError_t copy_3d_peer(const char* name, const cudaMemcpy3DPeerParms* p, cudaStream_t stream,
                         bool blocking) {
  if (!p || p->srcArray || p->dstArray) return api(name, [] { return cudaErrorNotSupported; });
  Copy c;
  box(p->dstPtr, p->dstPos, p->srcPtr, p->srcPos, p->extent, cudaMemcpyDefault, c);
  return copy(name, c, stream, blocking);
}

// A copy whose one side is a module variable. The call is counted (and may be made to fail)
// before the variable's module is loaded.
cudaError_t copy_symbol(const char* name, const void* symbol, size_t offset, size_t bytes,
                        const std::function<Copy(void* variable)>& make, cudaStream_t stream,
                        bool blocking) {
  uint64_t at = 0, size = 0;
  cudaError_t error = api_device(name, [&](Lock&, Device& d) -> cudaError_t {
    if (cudaError_t e = registry::variable_address(symbol, d.index, at, size); e != cudaSuccess)
      return e;
    return offset + bytes > size ? cudaErrorInvalidValue : cudaSuccess;
  });
  if (error != cudaSuccess) return error;
  return copy(nullptr, make(reinterpret_cast<void*>(at + offset)), stream, blocking);
}

cudaError_t fill(const char* name, Fill f, cudaStream_t stream, bool blocking) {
  return api_device(name, [&](Lock& lock, Device& d) -> cudaError_t {
    Stream* s = nullptr;
    if (cudaError_t error = choose_stream(d, stream, blocking, s); error != cudaSuccess)
      return error;
    if (cudaError_t error = check_fill(f); error != cudaSuccess) return error;
    if (f.width == 0 || f.height == 0 || f.depth == 0) return cudaSuccess;
    Work work;
    work.type = cudaGraphNodeTypeMemset;
    work.fill = std::make_shared<Fill>(f);
    return submit_and_wait(lock, *s, std::move(work),
                           blocking && !is_kind(f.dst, MemoryKind::device));
  });
}

Fill linear_fill(void* dst, int value, size_t bytes) {
  Fill f;
  f.dst = address(dst);
  f.width = bytes;
  f.value = static_cast<uint8_t>(value);
  return f;
}

Fill fill_3d(const cudaPitchedPtr& p, int value, const cudaExtent& e) {
  Fill f = linear_fill(p.ptr, value, e.width);
  f.height = e.height;
  f.depth = e.depth;
  f.pitch = p.pitch;
  f.slice = p.pitch * p.ysize;
  return f;
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* dst, const void* src, size_t n, cudaMemcpyKind kind) {
  return copy(__func__, linear(dst, src, n, kind), nullptr, true);
}
cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t n, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy(__func__, linear(dst, src, n, kind), stream, false);
}
cudaError_t cudaMemcpyPeer(void* dst, int, const void* src, int, size_t n) {
  return copy(__func__, linear(dst, src, n, cudaMemcpyDeviceToDevice), nullptr, true);
}
cudaError_t cudaMemcpyPeerAsync(void* dst, int, const void* src, int, size_t n,
                                cudaStream_t stream) {
  return copy(__func__, linear(dst, src, n, cudaMemcpyDeviceToDevice), stream, false);
}
cudaError_t cudaMemcpy2D(void* dst, size_t dp, const void* src, size_t sp, size_t w, size_t h,
                         cudaMemcpyKind kind) {
  return copy_2d(__func__, dst, dp, src, sp, w, h, kind, nullptr, true);
}
cudaError_t cudaMemcpy2DAsync(void* dst, size_t dp, const void* src, size_t sp, size_t w, size_t h,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_2d(__func__, dst, dp, src, sp, w, h, kind, stream, false);
}
cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* p) { return copy_3d(__func__, p, nullptr, true); }
cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* p, cudaStream_t stream) {
  return copy_3d(__func__, p, stream, false);
}
cudaError_t cudaMemcpy3DPeer(const cudaMemcpy3DPeerParms* p) {
  return copy_3d_peer(__func__, p, nullptr, true);
}
cudaError_t cudaMemcpy3DPeerAsync(const cudaMemcpy3DPeerParms* p, cudaStream_t stream) {
  return copy_3d_peer(__func__, p, stream, false);
}

cudaError_t cudaMemcpyBatchAsync(void* const* dsts, const void* const* srcs, const size_t* sizes,
                                 size_t count, cudaMemcpyAttributes*, size_t*, size_t,
                                 cudaStream_t stream) {
  cudaError_t error = api(__func__, [] { return cudaSuccess; });  // one call, however many copies
  for (size_t i = 0; i < count && error == cudaSuccess; ++i)
    error = copy(nullptr, linear(dsts[i], srcs[i], sizes[i], cudaMemcpyDefault), stream, false);
  return error;
}

cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* src, size_t n, size_t offset,
                                    cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_symbol(
      __func__, symbol, offset, n, [=](void* to) { return linear(to, src, n, kind); }, stream,
      false);
}
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* src, size_t n, size_t offset,
                               cudaMemcpyKind kind) {
  return copy_symbol(
      __func__, symbol, offset, n, [=](void* to) { return linear(to, src, n, kind); }, nullptr,
      true);
}
cudaError_t cudaMemcpyFromSymbolAsync(void* dst, const void* symbol, size_t n, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_symbol(
      __func__, symbol, offset, n, [=](void* from) { return linear(dst, from, n, kind); }, stream,
      false);
}
cudaError_t cudaMemcpyFromSymbol(void* dst, const void* symbol, size_t n, size_t offset,
                                 cudaMemcpyKind kind) {
  return copy_symbol(
      __func__, symbol, offset, n, [=](void* from) { return linear(dst, from, n, kind); }, nullptr,
      true);
}

cudaError_t cudaGetSymbolAddress(void** out, const void* symbol) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    uint64_t at = 0, size = 0;
    if (!out) return cudaErrorInvalidValue;
    cudaError_t error = registry::variable_address(symbol, d.index, at, size);
    if (error == cudaSuccess) *out = reinterpret_cast<void*>(at);
    return error;
  });
}
cudaError_t cudaGetSymbolSize(size_t* out, const void* symbol) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    uint64_t at = 0, size = 0;
    if (!out) return cudaErrorInvalidValue;
    cudaError_t error = registry::variable_address(symbol, d.index, at, size);
    if (error == cudaSuccess) *out = size;
    return error;
  });
}

cudaError_t cudaMemset(void* p, int value, size_t n) {
  return fill(__func__, linear_fill(p, value, n), nullptr, true);
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t n, cudaStream_t stream) {
  return fill(__func__, linear_fill(p, value, n), stream, false);
}
cudaError_t cudaMemset2D(void* p, size_t pitch, int value, size_t w, size_t h) {
  return fill(__func__, fill_3d({p, pitch, w, h}, value, {w, h, 1}), nullptr, true);
}
cudaError_t cudaMemset2DAsync(void* p, size_t pitch, int value, size_t w, size_t h,
                              cudaStream_t stream) {
  return fill(__func__, fill_3d({p, pitch, w, h}, value, {w, h, 1}), stream, false);
}
cudaError_t cudaMemset3D(cudaPitchedPtr p, int value, cudaExtent e) {
  return fill(__func__, fill_3d(p, value, e), nullptr, true);
}
cudaError_t cudaMemset3DAsync(cudaPitchedPtr p, int value, cudaExtent e, cudaStream_t stream) {
  return fill(__func__, fill_3d(p, value, e), stream, false);
}

}  // extern "C"
