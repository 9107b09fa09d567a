// SPDX-License-Identifier: Apache-2.0
// malloc and free in kernels.
#include <mutex>

#include "memory.h"

namespace cudasim {

namespace {

// The device heap: one for the process, blocks live until the kernel frees them.
struct Heap {
  std::mutex mutex;
  std::map<uint64_t, std::vector<uint8_t>> blocks;
  uint64_t next = kHeapWindow, used = 0;
  static constexpr uint64_t kLimit = 1ull << 30;
};
Heap& heap() {
  static Heap h;
  return h;
}

}  // namespace

bool find_heap(uint64_t a, MemoryRange& out) {
  Heap& h = heap();
  std::lock_guard lock(h.mutex);
  auto it = h.blocks.upper_bound(a);
  if (it == h.blocks.begin()) return false;
  --it;
  if (a >= it->first + it->second.size()) return false;
  out.begin = it->first;
  out.end = it->first + it->second.size();
  out.host = it->second.data();
  return true;
}

uint64_t heap_malloc(uint64_t bytes) {
  Heap& h = heap();
  std::lock_guard lock(h.mutex);
  if (bytes == 0 || h.used + bytes > Heap::kLimit) return 0;
  uint64_t a = h.next;
  h.next += (bytes + 15) / 16 * 16 + 16;
  h.used += bytes;
  h.blocks.emplace(a, std::vector<uint8_t>(bytes, 0xCD));
  return a;
}

void heap_free(Warp& w, uint64_t address, int lane) {
  if (!address) return;
  Heap& h = heap();
  std::lock_guard lock(h.mutex);
  auto it = h.blocks.find(address);
  if (it == h.blocks.end())
    throw DeviceFault{kLaunchFailure,
                      "free of " + hex(address) + ", which is no live block of the device heap",
                      lane};
  h.used -= it->second.size();
  for (RangeEntry& r : w.ranges)
    if (r.begin == address) r = RangeEntry{};
  w.grid->freed.push_back(std::move(it->second));
  h.blocks.erase(it);
}

}  // namespace cudasim
