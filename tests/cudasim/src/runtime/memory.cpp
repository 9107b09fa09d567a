// SPDX-License-Identifier: Apache-2.0
// The allocation table, and what each device may touch.
#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <deque>
#include <shared_mutex>

#include "arena.h"
#include "runtime.h"

namespace cudasim::memory {
namespace {

constexpr uint64_t kPoisonLimit = 4 << 20;
constexpr uint64_t kLarge = 64 << 20;
constexpr size_t kFreedKept = 4096;

struct Block {
  Allocation a;
  uint64_t slot = 0, slot_bytes = 0;
};  // slot: offset in the arena

struct Table {
  mutable std::shared_mutex mutex;
  std::map<uint64_t, Block> blocks;
  std::deque<Allocation> freed;  // most recent last
  Arena arenas[kMaxDevices];
  bool peers[kMaxDevices][kMaxDevices] = {};
  std::atomic<uint64_t> generation{1};  // changes whenever a cached range may be stale
  uint64_t next_id = 1;

  const Block* containing(uint64_t address) const {
    auto it = blocks.upper_bound(address);
    if (it == blocks.begin()) return nullptr;
    --it;
    return address < it->second.a.end() ? &it->second : nullptr;
  }
};

Table& table() {
  static Table* t = new Table;
  return *t;
}

// Bytes left unused after each allocation: overruns land here.
uint64_t red_zone(uint64_t size) { return size < 4096 ? 512 : size < (1 << 20) ? 4096 : 65536; }

class DeviceSpace final : public AddressSpace {
 public:
  explicit DeviceSpace(int device) : device_(device) {}

  bool find(uint64_t address, MemoryRange& out) const override {
    struct Cache {
      uint64_t generation = 0;
      const DeviceSpace* owner = nullptr;
      unsigned next = 0;
      MemoryRange entries[8];
    };
    thread_local Cache cache;
    Table& t = table();
    uint64_t generation = t.generation.load(std::memory_order_acquire);
    if (cache.generation != generation || cache.owner != this) {
      for (auto& e : cache.entries) e = {};
      cache.generation = generation;
      cache.owner = this;
    }
    for (auto& e : cache.entries)
      if (address - e.begin < e.end - e.begin) {
        out = e;
        return true;
      }
    std::shared_lock lock(t.mutex);
    const Block* b = t.containing(address);
    if (b == nullptr || !visible(b->a)) return false;
    out = {b->a.begin, b->a.end(), b->a.host, b->a.init, b->a.writable, b->a.id};
    cache.entries[cache.next++ % 8] = out;
    return true;
  }

  std::string describe(uint64_t address) const override {
    Table& t = table();
    {
      std::shared_lock lock(t.mutex);
      const Block* b = t.containing(address);
      if (b && b->a.live && !visible(b->a))
        return "it lies in allocation #" + std::to_string(b->a.id) + " of device " +
               std::to_string(b->a.device) + ", to which device " + std::to_string(device_) +
               " has no peer access";
    }
    return memory::describe(address);
  }

 private:
  bool visible(const Allocation& a) const {
    if (!a.live) return false;
    return a.kind != MemoryKind::device || a.device == device_ || table().peers[device_][a.device];
  }
  int device_;
};

std::string sized(const Allocation& a) {
  char text[160];
  const char* kind = a.variable                         ? "variable"
                     : a.kind == MemoryKind::managed    ? "managed allocation"
                     : a.kind == MemoryKind::pinned     ? "pinned allocation"
                     : a.kind == MemoryKind::registered ? "registered host range"
                                                        : "allocation";
  std::snprintf(text, sizeof text, "%s #%llu [0x%llx, +%llu bytes) of device %d", kind,
                static_cast<unsigned long long>(a.id), static_cast<unsigned long long>(a.begin),
                static_cast<unsigned long long>(a.size), a.device);
  return text;
}

}  // namespace

cudaError_t allocate(int device, MemoryKind kind, uint64_t size, Allocation& out, uint64_t align) {
  Table& t = table();
  std::unique_lock lock(t.mutex);
  Allocation a;
  a.kind = kind;
  a.device = device;
  a.size = size;
  Block block;
  if (kind == MemoryKind::device) {
    Arena& arena = t.arenas[device];
    if (!arena.reserved()) arena.reserve(device);
    uint64_t charged = round_up(size, 512);
    if (size > settings().memory || arena.used + charged > settings().memory)
      return cudaErrorMemoryAllocation;
    align = std::max<uint64_t>(align, 256);
    uint64_t bytes = round_up(size, align) + round_up(red_zone(size), align);
    uint64_t at = arena.take(bytes + (align > 512 ? align : 0));
    if (at == UINT64_MAX) return cudaErrorMemoryAllocation;
    block.slot = at;
    block.slot_bytes = bytes + (align > 512 ? align : 0);
    uint64_t offset = round_up(at, align);
    arena.used += charged;
    a.begin = arena.address(offset);
    a.host = arena.host(offset);
    a.init = arena.init(offset);
    arena.clear_init(offset, size);
    if (settings().poison >= 0 && size <= kPoisonLimit)
      std::memset(a.host, settings().poison, size);
  } else {
    // One mapping each: page granularity, with an unmapped page behind it.
    uint64_t bytes = round_up(std::max<uint64_t>(size, 1), 4096);
    void* p =
        mmap(nullptr, bytes + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return cudaErrorMemoryAllocation;
    if (mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0) {
      munmap(p, bytes + 4096);
      return cudaErrorMemoryAllocation;
    }
    a.begin = reinterpret_cast<uint64_t>(p);
    a.host = static_cast<uint8_t*>(p);
    block.slot_bytes = bytes + 4096;
  }
  a.id = t.next_id++;
  block.a = a;
  t.blocks[a.begin] = block;
  t.generation.fetch_add(1, std::memory_order_release);
  out = a;
  return cudaSuccess;
}

cudaError_t register_host(void* pointer, uint64_t size, unsigned flags) {
  Table& t = table();
  std::unique_lock lock(t.mutex);
  auto begin = reinterpret_cast<uint64_t>(pointer);
  auto it = t.blocks.lower_bound(begin);
  if (t.containing(begin) || (it != t.blocks.end() && it->first < begin + size))
    return cudaErrorHostMemoryAlreadyRegistered;
  Block block;
  block.a.begin = begin;
  block.a.size = size;
  block.a.kind = MemoryKind::registered;
  block.a.host = static_cast<uint8_t*>(pointer);
  block.a.flags = flags;
  block.a.writable = !(flags & cudaHostRegisterReadOnly);
  block.a.id = t.next_id++;
  t.blocks[begin] = block;
  t.generation.fetch_add(1, std::memory_order_release);
  return cudaSuccess;
}

bool release(uint64_t begin) {
  Table& t = table();
  std::unique_lock lock(t.mutex);
  auto it = t.blocks.find(begin);
  if (it == t.blocks.end()) return false;
  Block block = it->second;
  t.blocks.erase(it);
  t.generation.fetch_add(1, std::memory_order_release);
  const Allocation& a = block.a;
  if (a.kind == MemoryKind::device) {
    Arena& arena = t.arenas[a.device];
    arena.used -= round_up(a.size, 512);
    arena.give(block.slot, block.slot_bytes);
    arena.clear(arena.offset(a.begin), a.size);
    arena.clear_init(arena.offset(a.begin), a.size);
  } else if (a.kind != MemoryKind::registered) {
    munmap(a.host, block.slot_bytes);
  }
  t.freed.push_back(a);
  if (t.freed.size() > kFreedKept) t.freed.pop_front();
  return true;
}

bool update(uint64_t begin, const std::function<void(Allocation&)>& change) {
  Table& t = table();
  std::unique_lock lock(t.mutex);
  auto it = t.blocks.find(begin);
  if (it == t.blocks.end()) return false;
  change(it->second.a);
  t.generation.fetch_add(1, std::memory_order_release);
  return true;
}

bool lookup(uint64_t address, Allocation& out) {
  Table& t = table();
  std::shared_lock lock(t.mutex);
  const Block* b = t.containing(address);
  if (b) out = b->a;
  return b != nullptr;
}

bool in_device_arena(uint64_t address) {
  Table& t = table();
  for (int d = 0; d < settings().devices; ++d)
    if (t.arenas[d].contains(address)) return true;
  return false;
}

void info(int device, uint64_t& free, uint64_t& total) {
  Table& t = table();
  std::shared_lock lock(t.mutex);
  total = settings().memory;
  free = total - t.arenas[device].used;
}

void reset_device(int device) {
  std::vector<uint64_t> owned;
  {
    Table& t = table();
    std::shared_lock lock(t.mutex);
    for (auto& [begin, block] : t.blocks)
      if (block.a.device == device && block.a.kind == MemoryKind::device) owned.push_back(begin);
  }
  for (uint64_t begin : owned) release(begin);
}

void set_peer(int device, int peer, bool enabled) {
  Table& t = table();
  std::unique_lock lock(t.mutex);
  t.peers[device][peer] = enabled;
  t.generation.fetch_add(1, std::memory_order_release);
}

bool peer(int device, int peer) { return table().peers[device][peer]; }

const AddressSpace& space(int device) {
  static DeviceSpace* spaces[kMaxDevices];
  static std::once_flag once;
  std::call_once(once, [] {
    for (int d = 0; d < kMaxDevices; ++d) spaces[d] = new DeviceSpace(d);
  });
  return *spaces[device];
}

std::string describe(uint64_t address) {
  Table& t = table();
  std::shared_lock lock(t.mutex);
  if (const Block* b = t.containing(address)) {
    if (!b->a.live)
      return "it lies in " + sized(b->a) + ", whose cudaMallocAsync has not run yet in its stream";
    return "it lies at +" + std::to_string(address - b->a.begin) + " in " + sized(b->a);
  }
  for (auto it = t.freed.rbegin(); it != t.freed.rend(); ++it)
    if (address - it->begin < it->size)
      return "it lies at +" + std::to_string(address - it->begin) + " in the freed " + sized(*it);
  auto next = t.blocks.upper_bound(address);
  if (next != t.blocks.begin()) {
    auto& below = std::prev(next)->second.a;
    if (address - below.end() < (1ull << 32))
      return "it lies " + std::to_string(address - below.end()) + " bytes past the end of " +
             sized(below);
  }
  if (next != t.blocks.end() && next->first - address < (1ull << 32))
    return "it lies " + std::to_string(next->first - address) + " bytes before " +
           sized(next->second.a);
  if (address < 65536) return "a null pointer";
  return "no allocation is near (host memory that is not pinned?)";
}

std::vector<std::string> live() {
  Table& t = table();
  std::shared_lock lock(t.mutex);
  std::vector<std::string> lines;
  for (auto& [begin, block] : t.blocks)
    if (!block.a.variable && !block.a.dying) lines.push_back(sized(block.a));
  return lines;
}

void mark_written(const Allocation& a, uint64_t address, uint64_t size) {
  if (!a.init) return;
  // A large allocation that is written whole drops its shadow, which would take as much again.
  if (size == a.size && size >= kLarge)
    update(a.begin, [](Allocation& now) { now.init = nullptr; });
  else
    std::memset(a.init + (address - a.begin), 1, size);
}

void fill_zero(const Allocation& a, uint64_t address, uint64_t size) {
  if (a.kind == MemoryKind::device && size >= kLarge) {
    Arena& arena = table().arenas[a.device];
    arena.clear(arena.offset(address), size);
  } else {
    std::memset(a.host + (address - a.begin), 0, size);
  }
}

}  // namespace cudasim::memory
