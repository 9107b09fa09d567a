// SPDX-License-Identifier: Apache-2.0
// What libnccl.so.2 uses of the runtime: stream operations with conditions of
// their own, and the simulator-side address of device memory.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace cudasim {

// One enqueued operation. ready, wanted, enqueued and skipped run with the
// runtime's lock held and must not call CUDA; run is called without it.
class PluginOp {
 public:
  virtual ~PluginOp() = default;
  virtual const char* what() const = 0;
  virtual bool enqueued() { return false; }  // true: somebody waits for it already
  virtual void wanted() {}                   // somebody waits for it
  virtual bool arrived_and_ready() = 0;  // polled once everything before it in its stream is done
  virtual cudaError_t run() = 0;
  virtual bool recoverable() const {
    return false;
  }                          // run's error is its stream's: the device stays usable
  virtual void skipped() {}  // its device failed; run will not be called
  void* handle = nullptr;    // the runtime's own
};

}  // namespace cudasim

extern "C" {
// Enqueues make(user) on a stream of `device`; while the stream is captured, make is
// called again for every launch of the graph. release(user) follows the last use.
cudaError_t cudasim_plugin_enqueue(int device, cudaStream_t stream,
                                   cudasim::PluginOp* (*make)(void* user), void* user,
                                   void (*release)(void* user));
void cudasim_plugin_want(cudasim::PluginOp* op);  // lock held: from PluginOp::wanted and enqueued
// The calling thread's device (-1: there is none) and the number of devices: unlike the API calls,
// these are not counted for fault injection.
int cudasim_plugin_device(void);
int cudasim_plugin_device_count(void);
// Some allocation holds this address, be it a cudaMallocAsync that has not run yet.
bool cudasim_plugin_promised(const void* pointer);
void cudasim_plugin_changed(void);  // some operation may have become ready
// Where [address, address + bytes) can be read and written; false when the device may not touch all
// of it.
bool cudasim_plugin_locate(int device, const void* address, size_t bytes, uint8_t** host,
                           uint8_t** init);
void cudasim_plugin_complain(const char* line);  // a finding: see cudasim::complain
void cudasim_plugin_describe(const void* address, char* text, size_t size);
}
