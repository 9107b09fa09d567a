// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <cstdio>

#include "runtime.h"

using namespace cudasim;

extern "C" {

cudaError_t cudasim_plugin_enqueue(int index, cudaStream_t stream, PluginOp* (*make)(void*),
                                   void* user, void (*release)(void*)) {
  std::shared_ptr<void> owner(user, [release](void* p) {
    if (p) release(p);
  });
  Lock lock(runtime().mutex);
  engine::touch();
  int previous = self().device;
  self().device = index;
  Stream* s = nullptr;
  cudaError_t error = resolve_stream(stream, s);
  self().device = previous;
  if (error != cudaSuccess) return error;
  if (s->device != index) return cudaErrorInvalidResourceHandle;
  if (device(index).sticky != cudaSuccess) return device(index).sticky;
  device(index).used = true;
  Work work;
  work.type = cudaGraphNodeTypeKernel;
  work.custom = [make, owner](int on) {
    std::shared_ptr<PluginOp> plugin(make(owner.get()));
    OpPtr op = marker(plugin->what(), on);
    plugin->handle = op.get();
    op->run = [plugin, self = op.get()] {
      cudaError_t outcome = plugin->run();
      self->recoverable = plugin->recoverable();
      return outcome;
    };
    op->ready = [plugin] { return plugin->arrived_and_ready(); };
    op->on_wanted = [plugin] { plugin->wanted(); };
    op->on_skip = [plugin] { plugin->skipped(); };
    op->on_enqueued = [plugin] { return plugin->enqueued(); };
    op->on_finish = [plugin] { plugin->handle = nullptr; };
    return op;
  };
  return submit(lock, *s, std::move(work));
}

void cudasim_plugin_want(PluginOp* op) {
  if (op && op->handle) engine::want(*static_cast<Op*>(op->handle));
}

int cudasim_plugin_device(void) { return settings().devices > 0 ? self().device : -1; }
int cudasim_plugin_device_count(void) { return settings().devices; }

bool cudasim_plugin_promised(const void* pointer) {
  Allocation a;
  return memory::lookup(reinterpret_cast<uint64_t>(pointer), a);
}

void cudasim_plugin_changed(void) { runtime().changed.notify_all(); }

bool cudasim_plugin_locate(int index, const void* pointer, size_t bytes, uint8_t** host,
                           uint8_t** init) {
  MemoryRange range;
  auto address = reinterpret_cast<uint64_t>(pointer);
  if (!memory::space(index).find(address, range) || address + bytes > range.end) return false;
  *host = range.host + (address - range.begin);
  *init = range.init ? range.init + (address - range.begin) : nullptr;
  return true;
}

void cudasim_plugin_describe(const void* pointer, char* text, size_t size) {
  std::snprintf(text, size, "%s", memory::describe(reinterpret_cast<uint64_t>(pointer)).c_str());
}

}  // extern "C"
