// SPDX-License-Identifier: Apache-2.0
// Events.
#include "on_stream.h"

using namespace cudasim;

namespace {

cudaError_t record_event(const char* name, cudaEvent_t event, cudaStream_t stream) {
  return on_stream(name, stream, [&](Lock& lock, Stream& s) -> cudaError_t {
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    if (e->device != s.device) return cudaErrorInvalidResourceHandle;
    if (s.capture) {
      if (s.capture->invalid) return cudaErrorStreamCaptureInvalidated;
      e->capture = s.capture;
      e->captured = s.tail;
      e->record = nullptr;
      return cudaSuccess;
    }
    OpPtr op = marker("event record", s.device);
    Work work;
    work.custom = [op](int) { return op; };
    if (cudaError_t error = submit(lock, s, std::move(work)); error != cudaSuccess) return error;
    e->capture.reset();
    e->captured.clear();
    e->record = op;
    e->queries = 0;
    return cudaSuccess;
  });
}

}  // namespace

extern "C" {

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
  return api_device(__func__, [&](Lock&, Device& d) -> cudaError_t {
    if (!out || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess)))
      return cudaErrorInvalidValue;
    if ((flags & cudaEventInterprocess) && !(flags & cudaEventDisableTiming))
      return cudaErrorInvalidValue;
    auto* e = new Event;
    e->device = d.index;
    e->flags = flags;
    runtime().events.insert(e);
    *out = reinterpret_cast<cudaEvent_t>(e);
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return api(__func__, [&]() -> cudaError_t {
    Lock lock(runtime().mutex);
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    runtime().events.erase(e);
    delete e;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return record_event(__func__, event, stream);
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return record_event(__func__, event, stream);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    if (auto c = e->capture.lock()) return invalidate(*c, cudaErrorCapturedEvent);
    int index = e->device;
    StreamError stream_error = e->record ? e->record->stream_error : nullptr;
    if (!engine::poll(lock, e->record, e->queries))
      return device(index).sticky != cudaSuccess ? device(index).sticky : cudaErrorNotReady;
    return engine::outcome(index, stream_error);
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return api_device(__func__, [&](Lock& lock, Device&) -> cudaError_t {
    Event* e = nullptr;
    if (!valid_event(event, e)) return cudaErrorInvalidResourceHandle;
    if (auto c = e->capture.lock()) return invalidate(*c, cudaErrorCapturedEvent);
    int index = e->device;
    StreamError stream_error = e->record ? e->record->stream_error : nullptr;
    engine::wait(lock, e->record);
    return engine::outcome(index, stream_error);
  });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return api_device(__func__, [&](Lock&, Device&) -> cudaError_t {
    Event *a = nullptr, *b = nullptr;
    if (!ms) return cudaErrorInvalidValue;
    if (!valid_event(start, a) || !valid_event(end, b) || !a->record || !b->record)
      return cudaErrorInvalidResourceHandle;
    if ((a->flags | b->flags) & cudaEventDisableTiming) return cudaErrorInvalidResourceHandle;
    if (!a->record->done || !b->record->done) return cudaErrorNotReady;
    *ms = static_cast<float>(b->record->done_ms - a->record->done_ms);
    return cudaSuccess;
  });
}

}  // extern "C"
