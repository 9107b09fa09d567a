// SPDX-License-Identifier: Apache-2.0
// Turns calls into stream operations: enqueued at once, or recorded while the
// stream is being captured. Also the operations' bodies, kernels excepted.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime.h"

namespace cudasim {

// --------------------------------------------------------------- streams ---

cudaError_t resolve_stream(cudaStream_t handle, Stream*& out) {
  Runtime& r = runtime();
  if (handle == nullptr)
    handle = self().per_thread_default ? cudaStreamPerThread : cudaStreamLegacy;
  if (handle == cudaStreamLegacy) {
    out = &current_device().legacy;
    return cudaSuccess;
  }
  if (handle == cudaStreamPerThread) {
    Device& d = current_device();
    auto& slot = self().streams[d.index];
    if (!slot) {
      slot = std::make_unique<Stream>();
      slot->id = r.next_stream++;
      slot->device = d.index;
      slot->per_thread = true;
      r.streams.insert(slot.get());
      d.streams.insert(slot.get());
    }
    out = slot.get();
    return cudaSuccess;
  }
  auto* s = reinterpret_cast<Stream*>(handle);
  if (!r.streams.count(s)) return cudaErrorInvalidResourceHandle;
  out = s;
  return cudaSuccess;
}

bool valid_event(cudaEvent_t handle, Event*& out) {
  out = reinterpret_cast<Event*>(handle);
  return runtime().events.count(out) != 0;
}

// --------------------------------------------------------------- capture ---

cudaError_t invalidate(Capture& capture, cudaError_t error) {
  capture.invalid = true;
  return error;
}

// For calls that may synchronise or that have effects no graph can hold: an
// error if this thread's mode forbids them while somebody captures.
cudaError_t forbid_during_capture() {
  Runtime& r = runtime();
  if (r.active_captures == 0 || self().capture_mode == cudaStreamCaptureModeRelaxed)
    return cudaSuccess;
  for (Stream* s : r.streams) {
    if (!s->capture || s->capture->origin != s) continue;
    Capture& c = *s->capture;
    bool mine = c.thread == &self();
    if (c.mode == cudaStreamCaptureModeRelaxed) continue;
    if (!mine && (c.mode == cudaStreamCaptureModeThreadLocal ||
                  self().capture_mode == cudaStreamCaptureModeThreadLocal))
      continue;
    return invalidate(c, cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

// The legacy stream would have to wait for a stream that is being captured.
cudaError_t forbid_legacy_during_capture(Device& d) {
  if (runtime().active_captures == 0) return cudaSuccess;
  for (Stream* s : d.streams)
    if (s->capture && !(s->flags & cudaStreamNonBlocking))
      return invalidate(*s->capture, cudaErrorStreamCaptureImplicit);
  return cudaSuccess;
}

cudaError_t forbid_default_stream(const Stream& s, const std::string& what) {
  if (!s.legacy || !runtime().forbid_default_stream) return cudaSuccess;
  complain("default stream: %s", what.c_str());
  return cudaErrorInvalidResourceHandle;
}

cudaError_t submit(Lock& lock, Stream& s, Work work, OpPtr* enqueued) {
  if (s.capture) {
    Capture& c = *s.capture;
    if (c.invalid) return cudaErrorStreamCaptureInvalidated;
    auto node = std::make_unique<Node>();
    node->graph = c.target;
    node->work = std::move(work);
    node->after = s.tail;
    node->device = s.device;
    s.tail = {node.get()};
    c.target->nodes.push_back(std::move(node));
    return cudaSuccess;
  }
  bool computes = work.type == cudaGraphNodeTypeKernel || work.type == cudaGraphNodeTypeMemcpy ||
                  work.type == cudaGraphNodeTypeMemset;
  if (s.legacy && computes && !work.blocking)
    if (cudaError_t error = forbid_default_stream(s, make_op(work, s.device)->what);
        error != cudaSuccess)
      return error;
  Device& d = device(s.device);
  if (s.legacy)
    if (cudaError_t error = forbid_legacy_during_capture(d); error != cudaSuccess) return error;
  // A copy out of pageable memory reads it now: the caller may reuse it when the call returns.
  if (work.copy && !work.copy->staged) {
    Copy& c = *work.copy;
    Allocation a;
    bool pageable = !memory::lookup(c.src, a);
    if (pageable) {
      size_t bytes = c.width * c.height * c.depth;
      c.staged = std::make_shared<std::vector<uint8_t>>(bytes);
      for (size_t z = 0; z < c.depth; ++z)
        for (size_t y = 0; y < c.height; ++y)
          std::memcpy(c.staged->data() + (z * c.height + y) * c.width,
                      reinterpret_cast<const uint8_t*>(c.src) + z * c.src_slice + y * c.src_pitch,
                      c.width);
    }
  }
  OpPtr op = make_op(work, s.device);
  if (enqueued) *enqueued = op;
  engine::enqueue(lock, s, op);
  return d.sticky;
}

OpPtr marker(const char* what, int device) {
  auto op = std::make_shared<Op>();
  op->what = what;
  op->device = device;
  op->exclusive = false;
  return op;
}

OpPtr make_op(const Work& work, int device) {
  if (work.custom) return work.custom(device);
  switch (work.type) {
    case cudaGraphNodeTypeKernel: return make_kernel_op(work.kernel, device);
    case cudaGraphNodeTypeMemcpy: return make_copy_op(work.copy, device);
    case cudaGraphNodeTypeMemset: return make_fill_op(work.fill, device);
    default: break;
  }
  OpPtr op = marker("marker", device);
  switch (work.type) {
    case cudaGraphNodeTypeHost: {
      op->what = "host function";
      auto host = work.host;
      op->run = [host] {
        self().in_callback = true;
        host.fn(host.userData);
        self().in_callback = false;
        return cudaSuccess;
      };
      break;
    }
    case cudaGraphNodeTypeMemAlloc:
    case cudaGraphNodeTypeMemFree: {
      bool live = work.type == cudaGraphNodeTypeMemAlloc;
      op->what = live ? "memory becomes usable" : "memory stops being usable";
      op->run = [address = work.address, live] {
        memory::update(address, [live](Allocation& a) { a.live = live; });
        return cudaSuccess;
      };
      break;
    }
    default: break;
  }
  return op;
}

// ---------------------------------------------------------------- copies ---

namespace {

// Bytes from the first to one past the last that a pitched box covers.
size_t extent(size_t width, size_t height, size_t depth, size_t pitch, size_t slice) {
  if (width == 0 || height == 0 || depth == 0) return 0;
  return width + (height - 1) * pitch + (depth - 1) * slice;
}

struct Side {
  uint8_t* host = nullptr;
  bool device = false;
  Allocation allocation;
};

// Where the simulator finds `bytes` at a user address; false when some of it is not there.
bool locate(uint64_t address, size_t bytes, Side& out, bool must_be_live) {
  Allocation a;
  if (memory::lookup(address, a)) {
    if (address + bytes > a.end()) return a.kind == MemoryKind::registered && bytes == 0;
    if (must_be_live && !a.live) return false;
    out = {a.host + (address - a.begin), a.kind == MemoryKind::device, a};
    return true;
  }
  if (memory::in_device_arena(address)) return false;
  out = {reinterpret_cast<uint8_t*>(address), false, {}};
  return true;
}

bool accessible(uint64_t address) {
  Allocation a;
  return memory::lookup(address, a);
}

cudaError_t unusable(const std::string& what, const char* side, uint64_t address) {
  complain("%s: its %s 0x%llx is not usable when the operation runs: %s", what.c_str(), side,
           static_cast<unsigned long long>(address), memory::describe(address).c_str());
  return cudaErrorIllegalAddress;
}

}  // namespace

// What the call can tell at once; the operation checks again when it runs.
cudaError_t check_copy(const Copy& c) {
  size_t bytes = extent(c.width, c.height, c.depth, c.dst_pitch, c.dst_slice);
  if (bytes == 0) return cudaSuccess;
  if (!c.dst || !c.src) return cudaErrorInvalidValue;
  if (c.kind < cudaMemcpyHostToHost || c.kind > cudaMemcpyDefault)
    return cudaErrorInvalidMemcpyDirection;
  bool from_device = c.kind == cudaMemcpyDeviceToHost || c.kind == cudaMemcpyDeviceToDevice;
  bool to_device = c.kind == cudaMemcpyHostToDevice || c.kind == cudaMemcpyDeviceToDevice;
  if ((to_device && !accessible(c.dst)) || (from_device && !accessible(c.src)))
    return cudaErrorInvalidValue;
  Side side;
  if (!locate(c.dst, bytes, side, false)) return cudaErrorInvalidValue;
  if (!c.staged &&
      !locate(c.src, extent(c.width, c.height, c.depth, c.src_pitch, c.src_slice), side, false))
    return cudaErrorInvalidValue;
  return cudaSuccess;
}

cudaError_t check_fill(const Fill& f) {
  size_t bytes = extent(f.width, f.height, f.depth, f.pitch, f.slice);
  if (bytes == 0) return cudaSuccess;
  Side side;
  if (!accessible(f.dst) || !locate(f.dst, bytes, side, false)) return cudaErrorInvalidValue;
  return cudaSuccess;
}

OpPtr make_copy_op(std::shared_ptr<Copy> copy, int device) {
  auto op = std::make_shared<Op>();
  op->device = device;
  char text[160];
  std::snprintf(text, sizeof text, "copy of %zu bytes 0x%llx -> 0x%llx",
                copy->width * copy->height * copy->depth,
                static_cast<unsigned long long>(copy->src),
                static_cast<unsigned long long>(copy->dst));
  op->what = text;
  std::string what = text;
  op->run = [copy, what]() -> cudaError_t {
    const Copy& c = *copy;
    size_t to_bytes = extent(c.width, c.height, c.depth, c.dst_pitch, c.dst_slice);
    if (to_bytes == 0) return cudaSuccess;
    Side to, from;
    if (!locate(c.dst, to_bytes, to, true)) return unusable(what, "destination", c.dst);
    if (c.staged)
      from.host = c.staged->data();
    else if (!locate(c.src, extent(c.width, c.height, c.depth, c.src_pitch, c.src_slice), from,
                     true))
      return unusable(what, "source", c.src);
    size_t from_pitch = c.staged ? c.width : c.src_pitch,
           from_slice = c.staged ? c.width * c.height : c.src_slice;
    for (size_t z = 0; z < c.depth; ++z) {
      for (size_t y = 0; y < c.height; ++y) {
        uint64_t d = z * c.dst_slice + y * c.dst_pitch, s = z * from_slice + y * from_pitch;
        std::memmove(to.host + d, from.host + s, c.width);
        if (!to.allocation.init) continue;
        uint8_t* mark = to.allocation.init + (c.dst + d - to.allocation.begin);
        if (from.allocation.init)
          std::memmove(mark, from.allocation.init + (c.src + s - from.allocation.begin), c.width);
        else
          memory::mark_written(to.allocation, c.dst + d, c.width);
      }
    }
    return cudaSuccess;
  };
  return op;
}

OpPtr make_fill_op(std::shared_ptr<Fill> fill, int device) {
  auto op = std::make_shared<Op>();
  op->device = device;
  char text[160];
  std::snprintf(text, sizeof text, "memset of %zu bytes at 0x%llx",
                fill->width * fill->height * fill->depth,
                static_cast<unsigned long long>(fill->dst));
  op->what = text;
  std::string what = text;
  op->run = [fill, what]() -> cudaError_t {
    const Fill& f = *fill;
    size_t bytes = extent(f.width, f.height, f.depth, f.pitch, f.slice);
    if (bytes == 0) return cudaSuccess;
    Side to;
    if (!locate(f.dst, bytes, to, true)) return unusable(what, "destination", f.dst);
    for (size_t z = 0; z < f.depth; ++z) {
      for (size_t y = 0; y < f.height; ++y) {
        uint64_t d = z * f.slice + y * f.pitch;
        uint8_t* at = to.host + d;
        if (f.value == 0)
          memory::fill_zero(to.allocation, f.dst + d, f.width);
        else if (f.element == 1)
          std::memset(at, static_cast<int>(f.value), f.width);
        else
          for (size_t i = 0; i < f.width; i += f.element) std::memcpy(at + i, &f.value, f.element);
        memory::mark_written(to.allocation, f.dst + d, f.width);
      }
    }
    return cudaSuccess;
  };
  return op;
}

}  // namespace cudasim
