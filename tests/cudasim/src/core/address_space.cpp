// SPDX-License-Identifier: Apache-2.0
// Addresses to host pointers: range cache, bounds, alignment, initialisation.
#include "memory.h"
#include "profiler.h"
#include "races.h"

namespace cudasim {

namespace {

[[noreturn]] void bad_address(Warp& w, uint64_t a, uint32_t bytes, Access kind, int lane,
                              const char* why) {
  const char* verb = kind == Access::load    ? "read"
                     : kind == Access::store ? "write"
                                             : "atomic access";
  throw DeviceFault{kIllegalAddress,
                    std::string("invalid global ") + verb + " of " + std::to_string(bytes) +
                        " bytes at " + hex(a) + ": " + why + w.grid->memory->describe(a),
                    lane};
}

// The module's own variables, for runtimes whose find() does not list them.
bool find_module_variable(Warp& w, uint64_t a, MemoryRange& out) {
  const ModuleImpl& m = *w.grid->module;
  for (size_t i = 0; i < m.bindings.size(); ++i) {
    const auto& b = m.bindings[i];
    uint64_t size = std::max<uint64_t>(m.ir->variables[i].size, 1);
    if (!b.host || a < b.address || a >= b.address + size) continue;
    out = MemoryRange{};
    out.begin = b.address;
    out.end = b.address + size;
    out.host = b.host;
    out.writable = m.ir->variables[i].space != Space::constant;
    return true;
  }
  return false;
}

// Whether [begin, end) overlaps a .const variable.
bool holds_constant(Warp& w, uint64_t begin, uint64_t end) {
  const ModuleImpl& m = *w.grid->module;
  for (size_t i = 0; i < m.bindings.size(); ++i) {
    const auto& b = m.bindings[i];
    const ir::Variable& v = m.ir->variables[i];
    if (v.space == Space::constant && b.host && b.address < end && b.address + v.size > begin)
      return true;
  }
  return false;
}

RangeEntry& lookup_range(Warp& w, uint64_t a, uint32_t bytes, Access kind, int lane) {
  for (RangeEntry& r : w.ranges)
    if (a >= r.begin && a < r.end) {
      if (a + bytes > r.end) bad_address(w, a, bytes, kind, lane, "runs past the end; ");
      return r;
    }
  RangeEntry fresh;
  if ((a & kWindowMask) == kInternalWindow && a - kInternalWindow < sizeof w.grid->workspace) {
    fresh.begin = kInternalWindow;
    fresh.end = kInternalWindow + sizeof w.grid->workspace;
    fresh.host = w.grid->workspace;
  } else if ((a & kWindowMask) == kHeapWindow) {
    if (!find_heap(a, fresh))
      bad_address(w, a, bytes, kind, lane, "no live block of the device heap; ");
  } else if (!w.grid->memory->find(a, fresh) && !find_module_variable(w, a, fresh)) {
    bad_address(w, a, bytes, kind, lane, "");
  }
  if (a + bytes > fresh.end) bad_address(w, a, bytes, kind, lane, "runs past the end; ");
  fresh.constant = holds_constant(w, fresh.begin, fresh.end);
  RangeEntry& slot = w.ranges[w.next_range++ & 3];
  slot = fresh;
  return slot;
}

void check_writable(Warp& w, const RangeEntry& r, uint64_t a, uint32_t bytes, Access kind,
                    int lane) {
  if (kind == Access::load) return;
  if (!r.writable || (r.constant && is_constant(w, a)))
    bad_address(w, a, bytes, kind, lane, "the memory is read-only; ");
}

void check_init(Warp& w, const RangeEntry& r, uint64_t a, uint32_t bytes, int lane) {
  if (!r.init || !w.grid->options->initcheck) return;
  const uint8_t* p = r.init + (a - r.begin);
  for (uint32_t i = 0; i < bytes; ++i)
    if (!p[i]) {
      w.grid->finding(w, lane, "initcheck",
                      "read of " + std::to_string(bytes) + " bytes at " + hex(a) + ": byte " +
                          std::to_string(i) + " was never written; " + w.grid->memory->describe(a));
      return;
    }
}

void mark_init(const RangeEntry& r, uint64_t a, uint64_t bytes) {
  if (r.init) memset(r.init + (a - r.begin), 1, bytes);
}

// Faults for the first misaligned lane; `bits` is the addresses or-ed together.
void check_alignment(const uint64_t* a, uint64_t bits, uint32_t mask, uint32_t bytes,
                     const char* space) {
  if (!(bits & (bytes - 1))) return;
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    if (a[i] & (bytes - 1)) misaligned(a[i], bytes, i, space);
  }
}

uint8_t* local_pointer(Warp& w, uint64_t a, uint32_t bytes, int lane) {
  uint32_t top = w.frame->local_base + w.frame->fn->local_bytes;
  if (a + bytes > top || a + bytes < a)
    throw DeviceFault{kIllegalAddress,
                      "local access of " + std::to_string(bytes) + " bytes at offset " + hex(a) +
                          " is outside the thread's " + std::to_string(top) + " bytes",
                      lane};
  return w.local.data() + size_t(lane) * w.local_stride + a;
}

uint8_t* shared_at(Warp& w, uint64_t a, uint32_t bytes, int lane) {
  Block* b = w.block;
  uint32_t rank = uint32_t(a >> kSharedRankShift);
  uint64_t offset = a & kSharedOffsetMask;
  if (a >> 32)
    throw DeviceFault{kIllegalAddress, "shared address " + hex(a) + " is out of range", lane};
  if (rank) {
    if (!b->cluster || rank > b->cluster->blocks.size())
      throw DeviceFault{kIllegalAddress,
                        "shared address " + hex(a) + " is outside the block's shared memory", lane};
    b = b->cluster->blocks[rank - 1];
    if (b->finished)
      throw DeviceFault{kLaunchFailure, "shared memory of a cluster block that has exited", lane};
  }
  if (offset + bytes > w.grid->shared_bytes)
    throw DeviceFault{kIllegalAddress,
                      "shared access of " + std::to_string(bytes) + " bytes at offset " +
                          hex(offset) + " is outside the block's " +
                          std::to_string(w.grid->shared_bytes) + " bytes",
                      lane};
  return b->shared.data() + offset;
}

// ------------------------------------------------------------ whole warps

// Pointers of the active lanes in global memory.
void resolve_global(Warp& w, const uint64_t* a, uint32_t mask, uint32_t bytes, Access kind,
                    uint8_t** p) {
  uint64_t low = ~0ull, high = 0, bits = 0;
  auto extend = [&](uint64_t x) {
    low = std::min(low, x);
    high = std::max(high, x);
    bits |= x;
  };
  if (mask == ~0u) {
    for (int i = 0; i < 32; ++i) extend(a[i]);
  } else {
    for (uint32_t m = mask; m; m &= m - 1) extend(a[__builtin_ctz(m)]);
  }
  check_alignment(a, bits, mask, bytes, "global");
  int first = __builtin_ctz(mask);
  RangeEntry* r = nullptr;
  for (RangeEntry& e : w.ranges)
    if (low >= e.begin && high < e.end) {
      r = &e;
      break;
    }
  if (!r) r = &lookup_range(w, a[first], bytes, kind, first);
  bool simple = low >= r->begin && high + bytes <= r->end &&
                (kind == Access::load || (r->writable && !r->constant));
  if (simple && !r->init) {
    uint8_t* h = r->host - r->begin;
    for (int i = 0; i < 32; ++i) p[i] = h + a[i];  // inactive lanes' pointers are never used
    return;
  }
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    p[i] = global_pointer(w, a[i], bytes, kind, i);
  }
}

void resolve_shared(Warp& w, const uint64_t* a, uint32_t mask, uint32_t bytes, uint8_t** p) {
  uint64_t high = 0, bits = 0;
  for (uint32_t m = mask; m; m &= m - 1) {
    uint64_t x = a[__builtin_ctz(m)];
    high = std::max(high, x);
    bits |= x;
  }
  check_alignment(a, bits, mask, bytes, "shared");
  if (high + bytes <= w.grid->shared_bytes) {
    uint8_t* s = w.block->shared.data();
    for (uint32_t m = mask; m; m &= m - 1) {
      int i = __builtin_ctz(m);
      p[i] = s + a[i];
    }
    return;
  }
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    p[i] = shared_at(w, a[i], bytes, i);
  }
}

void resolve_local(Warp& w, const uint64_t* a, uint32_t mask, uint32_t bytes, uint8_t** p) {
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    if (a[i] & (bytes - 1)) misaligned(a[i], bytes, i, "local");
    p[i] = local_pointer(w, a[i], bytes, i);
  }
}

}  // namespace

void resolve(Warp& w, Space space, const uint64_t* a, uint32_t mask, uint32_t bytes, Access kind,
             uint8_t** p) {
  switch (space) {
    case Space::shared: return resolve_shared(w, a, mask, bytes, p);
    case Space::local: return resolve_local(w, a, mask, bytes, p);
    case Space::param:
      if (kind != Access::load)
        throw DeviceFault{kIllegalAddress, "store to a kernel parameter", __builtin_ctz(mask)};
      for (uint32_t m = mask; m; m &= m - 1) {
        int i = __builtin_ctz(m);
        p[i] = const_cast<uint8_t*>(param_pointer(w, a[i], bytes, i));
      }
      return;
    default: return resolve_global(w, a, mask, bytes, kind, p);
  }
}

// ------------------------------------------------------------- single lanes

bool is_constant(Warp& w, uint64_t a) { return holds_constant(w, a, a + 1); }

void misaligned(uint64_t a, uint32_t bytes, int lane, const char* space) {
  throw DeviceFault{kMisaligned,
                    std::string("misaligned ") + space + " access of " + std::to_string(bytes) +
                        " bytes at " + hex(a),
                    lane};
}

const uint8_t* param_pointer(Warp& w, uint64_t a, uint32_t bytes, int lane) {
  if (a + bytes > w.grid->param_bytes || a + bytes < a)
    throw DeviceFault{kIllegalAddress,
                      "parameter access at offset " + std::to_string(a) + " is outside the " +
                          std::to_string(w.grid->param_bytes) + " bytes of parameters",
                      lane};
  return w.grid->params + a;
}

uint8_t* global_pointer(Warp& w, uint64_t address, uint32_t bytes, Access kind, int lane) {
  RangeEntry& r = lookup_range(w, address, bytes, kind, lane);
  check_writable(w, r, address, bytes, kind, lane);
  if (kind != Access::store) check_init(w, r, address, bytes, lane);
  if (kind != Access::load) mark_init(r, address, bytes);
  return r.host + (address - r.begin);
}

uint8_t* shared_pointer(Warp& w, uint64_t address, uint32_t bytes, int lane) {
  if ((address & kWindowMask) == kSharedWindow) address &= ~kWindowMask;
  return shared_at(w, address, bytes, lane);
}

uint8_t* generic_pointer(Warp& w, uint64_t a, uint32_t bytes, Access kind, int lane) {
  switch (a & kWindowMask) {
    case kSharedWindow: return shared_at(w, a & ~kWindowMask, bytes, lane);
    case kLocalWindow: return local_pointer(w, a & ~kWindowMask, bytes, lane);
    case kParamWindow: return const_cast<uint8_t*>(param_pointer(w, a & ~kWindowMask, bytes, lane));
    default: return global_pointer(w, a, bytes, kind, lane);
  }
}

std::string read_string(Warp& w, uint64_t address, int lane) {
  std::string s;
  for (; address; ++address) {
    char c = char(*generic_pointer(w, address, 1, Access::load, lane));
    if (!c || s.size() > (1 << 20)) break;
    s.push_back(c);
  }
  return s;
}

void addresses(Warp& w, const Op& o, uint64_t* a) {
  if (o.a == kNoRef) {
    for (int i = 0; i < 32; ++i) a[i] = uint64_t(o.imm);
  } else if (o.aw == 8) {
    const uint64_t* s = lanes<uint64_t>(w, o.a);
    for (int i = 0; i < 32; ++i) a[i] = s[i] + uint64_t(o.imm);
  } else {
    const uint32_t* s = lanes<uint32_t>(w, o.a);
    uint32_t off = uint32_t(o.imm);
    for (int i = 0; i < 32; ++i) a[i] = s[i] + off;
  }
}

uint64_t lane_address(Warp& w, const Op& o, int i) {
  if (o.a == kNoRef) return uint64_t(o.imm);
  return o.aw == 8 ? lanes<uint64_t>(w, o.a)[i] + uint64_t(o.imm)
                   : lanes<uint32_t>(w, o.a)[i] + uint32_t(o.imm);
}

void observe(Warp& w, Space space, Access kind, Sem sem, const uint64_t* a, uint32_t mask,
             uint32_t bytes, bool past_l1) {
  Grid& g = *w.grid;
  if (g.profiler) g.profiler->access(w, space, kind, a, mask, bytes, past_l1);
  if (g.races) {
    bool sync = kind == Access::atomic || sem == Sem::sync;
    if (space == Space::global)
      g.races->access(w, kind, sync, a, mask, bytes);
    else if (space == Space::shared)
      race_shared(w, kind, sync, a, mask, bytes);
  }
}

}  // namespace cudasim
