// SPDX-License-Identifier: Apache-2.0
// Streams, host callbacks, capture.
#include <algorithm>
#include <cstring>

#include "on_stream.h"

using namespace cudasim;

namespace {

cudaError_t create_stream(const char* name, cudaStream_t* out, unsigned flags, int priority) {
  return api_device(name, [&](Lock&, Device& d) -> cudaError_t {
    if (!out || (flags & ~cudaStreamNonBlocking)) return cudaErrorInvalidValue;
    auto* s = new Stream;
    s->id = runtime().next_stream++;
    s->device = d.index;
    s->flags = flags;
    s->priority = std::clamp(priority, -5, 0);
    runtime().streams.insert(s);
    d.streams.insert(s);
    *out = reinterpret_cast<cudaStream_t>(s);
    return cudaSuccess;
  });
}

// Everything a stream has waited for so far; null when it is empty.
std::vector<OpPtr> tail_of(Stream& s) {
  std::vector<OpPtr> ops{s.last};
  if (s.legacy)  // work of blocking streams counts as earlier work
    for (Stream* other : device(s.device).streams)
      if (!(other->flags & cudaStreamNonBlocking)) ops.push_back(other->last);
  return ops;
}

bool reaches(const std::vector<Node*>& from, const Node* target) {
  std::vector<Node*> todo = from;
  std::unordered_set<Node*> seen;
  while (!todo.empty()) {
    Node* n = todo.back();
    todo.pop_back();
    if (n == target) return true;
    if (!seen.insert(n).second) continue;
    todo.insert(todo.end(), n->after.begin(), n->after.end());
  }
  return false;
}

void stop_capture(Capture& c) {
  auto streams = c.streams;  // the last reset may destroy c
  --runtime().active_captures;
  for (Stream* s : streams) {
    s->tail.clear();
    s->capture.reset();
  }
}

cudaError_t begin_capture(const char* name, cudaStream_t stream, Graph* into,
                          const cudaGraphNode_t* after, size_t count, cudaStreamCaptureMode mode) {
  return on_stream(name, stream, [&](Lock&, Stream& s) -> cudaError_t {
    if (s.legacy) return cudaErrorStreamCaptureUnsupported;
    if (s.capture) return cudaErrorIllegalState;
    auto c = std::make_shared<Capture>();
    c->id = runtime().next_capture++;
    if (!into) c->graph = std::make_unique<Graph>();
    c->target = into ? into : c->graph.get();
    c->origin = &s;
    c->streams = {&s};
    c->mode = mode;
    c->thread = &self();
    s.capture = c;
    s.tail.clear();
    for (size_t i = 0; i < count; ++i) s.tail.push_back(reinterpret_cast<Node*>(after[i]));
    ++runtime().active_captures;
    return cudaSuccess;
  });
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* out) { return create_stream(__func__, out, 0, 0); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  return create_stream(__func__, out, flags, 0);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int priority) {
  return create_stream(__func__, out, flags, priority);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api(__func__, [&]() -> cudaError_t {
    Lock lock(runtime().mutex);
    auto* s = reinterpret_cast<Stream*>(handle);
    if (!runtime().streams.count(s) || s->per_thread) return cudaErrorInvalidResourceHandle;
    if (s->capture) {
      invalidate(*s->capture, cudaErrorStreamCaptureInvalidated);
      if (s->capture->origin == s)
        stop_capture(*s->capture);
      else
        std::erase(s->capture->streams, s);
    }
    // Queued work lives on in the engine, as it does on a device. A blocking stream's work
    // still precedes what the legacy stream does next.
    Device& d = device(s->device);
    if (s->last && !s->last->done && !(s->flags & cudaStreamNonBlocking)) {
      OpPtr op = marker("join of a destroyed stream", d.index);
      engine::add(lock, op, {s->last, d.legacy.last});
      d.legacy.last = op;
    }
    d.streams.erase(s);
    runtime().streams.erase(s);
    delete s;
    return d.sticky;
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t h, int* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) {
    *out = s.priority;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamGetFlags(cudaStream_t h, unsigned* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) {
    *out = s.flags;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamGetId(cudaStream_t h, unsigned long long* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) {
    *out = s.id;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamGetDevice(cudaStream_t h, int* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) {
    *out = s.device;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCopyAttributes(cudaStream_t to, cudaStream_t from) {
  return on_stream(__func__, to, [&](Lock&, Stream& t) {
    Stream* f = nullptr;
    cudaError_t error = resolve_stream(from, f);
    if (error == cudaSuccess) {
      t.window = f->window;
      t.policy = f->policy;
    }
    return error;
  });
}
cudaError_t cudaStreamGetAttribute(cudaStream_t h, cudaStreamAttrID id, cudaStreamAttrValue* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    switch (id) {
      case cudaLaunchAttributeAccessPolicyWindow:
        out->accessPolicyWindow = s.window;
        return cudaSuccess;
      case cudaLaunchAttributeSynchronizationPolicy: out->syncPolicy = s.policy; return cudaSuccess;
      case cudaLaunchAttributePriority: out->priority = s.priority; return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}
cudaError_t cudaStreamSetAttribute(cudaStream_t h, cudaStreamAttrID id,
                                   const cudaStreamAttrValue* value) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (!value) return cudaErrorInvalidValue;
    switch (id) {
      case cudaLaunchAttributeAccessPolicyWindow:
        s.window = value->accessPolicyWindow;
        return cudaSuccess;
      case cudaLaunchAttributeSynchronizationPolicy:
        s.policy = value->syncPolicy;
        return cudaSuccess;
      case cudaLaunchAttributePriority: s.priority = value->priority; return cudaSuccess;
      case cudaLaunchAttributeMemSyncDomainMap:
      case cudaLaunchAttributeMemSyncDomain: return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t h) {
  return on_stream(__func__, h, [&](Lock& lock, Stream& s) -> cudaError_t {
    if (s.capture) return invalidate(*s.capture, cudaErrorStreamCaptureUnsupported);
    if (s.legacy)
      if (cudaError_t error = forbid_legacy_during_capture(device(s.device)); error != cudaSuccess)
        return error;
    int index = s.device;
    auto ops = tail_of(s);
    StreamError stream_error = s.error;  // s may be destroyed while this waits
    for (auto& op : ops)
      if (op) engine::want(*op);
    for (auto& op : ops) engine::wait(lock, op);
    return engine::outcome(index, stream_error);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t h) {
  return on_stream(__func__, h, [&](Lock& lock, Stream& s) -> cudaError_t {
    if (s.capture) return invalidate(*s.capture, cudaErrorStreamCaptureUnsupported);
    int index = s.device;
    StreamError stream_error = s.error;
    for (auto& op : tail_of(s))
      if (!engine::poll(lock, op, s.queries))
        return device(index).sticky != cudaSuccess ? device(index).sticky : cudaErrorNotReady;
    return engine::outcome(index, stream_error);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t h, cudaEvent_t event, unsigned) {
  return on_stream(__func__, h, [&](Lock& lock, Stream& s) -> cudaError_t {
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    if (auto c = e->capture.lock(); c && !c->invalid) {
      if (s.legacy) return invalidate(*c, cudaErrorStreamCaptureImplicit);
      if (s.capture && s.capture != c) return invalidate(*c, cudaErrorStreamCaptureMerge);
      if (!s.capture) {
        s.capture = c;
        s.tail.clear();
        c->streams.push_back(&s);
      }
      for (Node* n : e->captured)
        if (std::find(s.tail.begin(), s.tail.end(), n) == s.tail.end()) s.tail.push_back(n);
      return cudaSuccess;
    }
    if (s.capture) {
      if (!e->record || e->record->done) return cudaSuccess;
      return invalidate(*s.capture, cudaErrorStreamCaptureIsolation);
    }
    if (!e->record || e->record->done) return cudaSuccess;
    engine::enqueue(lock, s, marker("wait for event", s.device), {e->record});
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t h, cudaHostFn_t fn, void* data) {
  return on_stream(__func__, h, [&](Lock& lock, Stream& s) -> cudaError_t {
    if (!fn) return cudaErrorInvalidValue;
    Work work;
    work.type = cudaGraphNodeTypeHost;
    work.host = {fn, data};
    return submit(lock, s, std::move(work));
  });
}

cudaError_t cudaStreamAddCallback(cudaStream_t h, cudaStreamCallback_t callback, void* data,
                                  unsigned flags) {
  return on_stream(__func__, h, [&](Lock& lock, Stream& s) -> cudaError_t {
    if (!callback || flags) return cudaErrorInvalidValue;
    if (s.capture) return invalidate(*s.capture, cudaErrorStreamCaptureUnsupported);
    Work work;
    work.custom = [=](int index) {
      OpPtr op = marker("stream callback", index);
      op->run = [=] {
        self().in_callback = true;
        callback(h, cudaSuccess, data);
        self().in_callback = false;
        return cudaSuccess;
      };
      return op;
    };
    return submit(lock, s, std::move(work));
  });
}

// ---------------------------------------------------------------- capture ---

cudaError_t cudaStreamBeginCapture(cudaStream_t h, cudaStreamCaptureMode mode) {
  return begin_capture(__func__, h, nullptr, nullptr, 0, mode);
}
cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t h, cudaGraph_t graph,
                                          const cudaGraphNode_t* after, const cudaGraphEdgeData*,
                                          size_t count, cudaStreamCaptureMode mode) {
  return begin_capture(__func__, h, reinterpret_cast<Graph*>(graph), after, count, mode);
}

cudaError_t cudaStreamEndCapture(cudaStream_t h, cudaGraph_t* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (out) *out = nullptr;
    if (!s.capture) return cudaErrorIllegalState;
    auto c = s.capture;
    if (c->origin != &s) return invalidate(*c, cudaErrorStreamCaptureUnmatched);
    if (c->mode != cudaStreamCaptureModeRelaxed && c->thread != &self())
      return cudaErrorStreamCaptureWrongThread;
    cudaError_t error = c->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    for (Stream* other : c->streams)
      for (Node* n : other->tail)
        if (error == cudaSuccess && other != &s && !reaches(s.tail, n))
          error = cudaErrorStreamCaptureUnjoined;
    stop_capture(*c);
    if (error == cudaSuccess && out) {
      *out = reinterpret_cast<cudaGraph_t>(c->target);
      if (c->graph) runtime().graphs.insert(c->graph.release());
    }
    return error;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t h, cudaStreamCaptureStatus* out) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (!out) return cudaErrorInvalidValue;
    if (s.legacy)
      for (Stream* other : device(s.device).streams)
        if (other->capture && !(other->flags & cudaStreamNonBlocking))
          return cudaErrorStreamCaptureImplicit;
    *out = !s.capture           ? cudaStreamCaptureStatusNone
           : s.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t h, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** nodes, const cudaGraphEdgeData** edges,
                                     size_t* count) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (!status) return cudaErrorInvalidValue;
    if (s.legacy)
      for (Stream* other : device(s.device).streams)
        if (other->capture && !(other->flags & cudaStreamNonBlocking))
          return cudaErrorStreamCaptureImplicit;
    *status = cudaStreamCaptureStatusNone;
    if (!s.capture) return cudaSuccess;
    *status =
        s.capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    if (id) *id = s.capture->id;
    if (graph) *graph = reinterpret_cast<cudaGraph_t>(s.capture->target);
    if (nodes) *nodes = reinterpret_cast<const cudaGraphNode_t*>(s.tail.data());
    if (edges) *edges = nullptr;
    if (count) *count = s.tail.size();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t h, cudaGraphNode_t* nodes,
                                                const cudaGraphEdgeData*, size_t count,
                                                unsigned flags) {
  return on_stream(__func__, h, [&](Lock&, Stream& s) -> cudaError_t {
    if (!s.capture) return cudaErrorIllegalState;
    if (flags == cudaStreamSetCaptureDependencies) s.tail.clear();
    for (size_t i = 0; i < count; ++i) s.tail.push_back(reinterpret_cast<Node*>(nodes[i]));
    return cudaSuccess;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return api(__func__, [&]() -> cudaError_t {
    if (!mode) return cudaErrorInvalidValue;
    std::swap(*mode, self().capture_mode);
    return cudaSuccess;
  });
}

}  // extern "C"
