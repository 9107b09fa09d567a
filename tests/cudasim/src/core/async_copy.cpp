// SPDX-License-Identifier: Apache-2.0
// cp.async and cp.async.bulk: copies are recorded, and done when something waits for them.
#include "handlers.h"
#include "memory.h"
#include "profiler.h"

namespace cudasim {

namespace {

LaneAsync& lane_async(Warp& w, int lane) {
  if (!w.async) w.async = std::make_unique<std::array<LaneAsync, 32>>();
  return (*w.async)[size_t(lane)];
}

void run_all(Warp& w, std::vector<AsyncCopy>& copies, int lane) {
  for (const AsyncCopy& c : copies) run_async_copy(w, c, lane);
  copies.clear();
}

void complete(Warp& w, std::deque<std::vector<AsyncCopy>>& groups, std::vector<AsyncCopy>& open,
              int lane) {
  for (auto& group : groups) run_all(w, group, lane);
  groups.clear();
  run_all(w, open, lane);
}

uint8_t* source_pointer(Warp& w, const AsyncCopy& c, int lane) {
  if (c.where == AsyncCopy::global_to_shared)
    return global_pointer(w, c.source, c.source_bytes, Access::load, lane);
  return shared_pointer(w, c.source, c.source_bytes, lane);
}

uint8_t* destination_pointer(Warp& w, const AsyncCopy& c, int lane) {
  if (c.where == AsyncCopy::shared_to_global)
    return global_pointer(w, c.destination, c.bytes, Access::store, lane);
  return shared_pointer(w, c.destination, c.bytes, lane);
}

// Checks the ranges when the copy is issued, so that the fault names the instruction.
void check_bulk(Warp& w, const AsyncCopy& c, int lane) {
  source_pointer(w, c, lane);
  destination_pointer(w, c, lane);
}

// The global side, in requests of 32 lanes x 16 bytes.
void profile_bulk(Warp& w, const AsyncCopy& c) {
  if (c.where == AsyncCopy::shared_to_cluster) return;
  bool load = c.where == AsyncCopy::global_to_shared;
  for (uint32_t at = 0; at < c.bytes; at += 512) {
    uint64_t a[32];
    uint32_t count = std::min<uint32_t>(32, (c.bytes - at) / 16);
    for (uint32_t k = 0; k < count; ++k) a[k] = (load ? c.source : c.destination) + at + 16 * k;
    uint32_t mask = count == 32 ? ~0u : (1u << count) - 1;
    w.grid->profiler->access(w, Space::global, load ? Access::load : Access::store, a, mask, 16);
  }
}

}  // namespace

// cp.async [a], [b], n{, source size or ignore predicate in c}; sub 1: c is a predicate
void op_cp_async(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  alignas(64) uint64_t read[32] = {}, written[32] = {};
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    AsyncCopy c;
    c.destination = lane_address(w, o, i);
    if ((c.destination & kWindowMask) == kSharedWindow) c.destination &= ~kWindowMask;
    c.source = address_register(w, o.b, o.bw, i) + uint64_t(int64_t(int32_t(o.target)));
    c.bytes = c.source_bytes = o.n;
    if (o.c != kNoRef) {
      if (o.sub == 1) {
        if (*lanes<uint32_t>(w, o.c) >> i & 1) c.source_bytes = 0;
      } else
        c.source_bytes = std::min<uint32_t>(lanes<uint32_t>(w, o.c)[i], o.n);
    }
    if (c.destination & (o.n - 1u)) misaligned(c.destination, o.n, i, "shared (cp.async)");
    if (c.source & (o.n - 1u)) misaligned(c.source, o.n, i, "global (cp.async)");
    shared_pointer(w, c.destination, c.bytes, i);
    if (c.source_bytes) global_pointer(w, c.source, c.source_bytes, Access::load, i);
    lane_async(w, i).open.push_back(c);
    read[i] = c.source;
    written[i] = c.destination;
  }
  if (w.grid->observe) {
    observe(w, Space::global, Access::load, Sem::weak, read, mask, o.n);
    observe(w, Space::shared, Access::store, Sem::weak, written, mask, o.n);
  }
}

// imm: groups that may stay pending; -1: commit; -2: wait_all
void op_cp_async_group(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  if (!w.async) return;
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    LaneAsync& s = lane_async(w, i);
    bool bulk = o.sub;
    auto& open = bulk ? s.bulk_open : s.open;
    auto& groups = bulk ? s.bulk_groups : s.groups;
    if (o.imm == -1) {
      groups.push_back(std::move(open));
      open.clear();
      continue;
    }
    size_t keep = o.imm == -2 ? 0 : size_t(o.imm);
    while (groups.size() > keep) {
      run_all(w, groups.front(), i);
      groups.pop_front();
    }
    if (o.imm == -2) run_all(w, open, i);
  }
}

// cp.async.mbarrier.arrive: this lane's copies complete, then it arrives. sub 1: .noinc
void op_cp_async_arrive(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    LaneAsync& s = lane_async(w, i);
    complete(w, s.groups, s.open, i);
    mbarrier_arrive_async(w, lane_address(w, o, i), o.sub, i);
  }
}

// cp.async.bulk: a = destination, b = source, c = bytes, e = mbarrier; sub: AsyncCopy::Where; sub2:
// reduce op + 1
void op_cp_bulk(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    AsyncCopy c;
    c.where = AsyncCopy::Where(o.sub);
    c.destination = lane_address(w, o, i);
    c.source = address_register(w, o.b, o.bw, i) + uint64_t(int64_t(int32_t(o.target)));
    c.bytes = c.source_bytes = lanes<uint32_t>(w, o.c)[i];
    c.type = o.ty;
    if (o.sub2) c.reduce = o.sub2 - 1u;
    if (c.bytes & 15)
      throw DeviceFault{
          kLaunchFailure,
          "cp.async.bulk of " + std::to_string(c.bytes) + " bytes: not a multiple of 16", i};
    if ((c.destination | c.source) & 15)
      misaligned((c.destination & 15) ? c.destination : c.source, 16, i, "cp.async.bulk");
    if (c.bytes == 0) continue;
    if (o.e != kNoRef) {
      c.has_mbarrier = true;
      c.mbarrier = address_register(w, o.e, o.cw, i);
      c.mbarrier += uint64_t(o.list);
    }
    check_bulk(w, c, i);
    if (w.grid->profiler) profile_bulk(w, c);
    if (c.has_mbarrier)
      w.block->pending_bulk.push_back(c);
    else
      lane_async(w, i).bulk_open.push_back(c);
  }
}

void run_async_copy(Warp& w, const AsyncCopy& c, int lane) {
  uint8_t* d = destination_pointer(w, c, lane);
  const uint8_t* s = c.source_bytes ? source_pointer(w, c, lane) : nullptr;
  if (c.reduce != ~0u) {
    uint32_t esize = ir::type_bytes(c.type);
    for (uint32_t k = 0; k + esize <= c.bytes; k += esize) {
      uint64_t v = 0;
      memcpy(&v, s + k, std::min<uint32_t>(esize, 8));
      atomic_scalar(d + k, c.where != AsyncCopy::shared_to_global, AtomOp(c.reduce), c.type, v, 0);
    }
  } else {
    if (c.source_bytes) memmove(d, s, c.source_bytes);
    if (c.bytes > c.source_bytes) memset(d + c.source_bytes, 0, c.bytes - c.source_bytes);
  }
  if (c.has_mbarrier) mbarrier_complete_tx(w, c.mbarrier, c.bytes, lane);
}

void drain_block_async(Block& b) {
  if (b.pending_bulk.empty()) return;
  std::vector<AsyncCopy> list = std::move(b.pending_bulk);
  b.pending_bulk.clear();
  for (const AsyncCopy& c : list) run_async_copy(*b.warps[0], c, 0);
}

void finish_lane_async(Warp& w, uint32_t mask) {
  if (!w.async) return;
  for (; mask; mask &= mask - 1) {
    int i = __builtin_ctz(mask);
    LaneAsync& s = (*w.async)[size_t(i)];
    complete(w, s.groups, s.open, i);
    complete(w, s.bulk_groups, s.bulk_open, i);
    s = LaneAsync{};
  }
}

}  // namespace cudasim
