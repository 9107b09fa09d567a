// SPDX-License-Identifier: Apache-2.0
// Starting blocks and warps; frames.
#include "interpreter.h"

namespace cudasim {

uint8_t* aligned_storage(std::vector<uint8_t>& v, size_t bytes) {
  if (v.size() < bytes + 64) v.resize(bytes + 64);
  return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(v.data()) + 63) & ~uintptr_t(63));
}

namespace {

constexpr uint32_t kMaxLocal = 512 * 1024;  // bytes of stack a thread may use

void fill(uint8_t* base, uint32_t slot, uint32_t value) {
  uint32_t* d = reinterpret_cast<uint32_t*>(base + slot * 128);
  for (int i = 0; i < 32; ++i) d[i] = value;
}

}  // namespace

void Machine::start_block(Block& b, uint64_t index, Cluster* cluster, uint32_t rank) {
  const LaunchConfig& c = *g_.config;
  b.grid = &g_;
  b.index = index;
  b.id = Dim3{uint32_t(index % c.grid.x), uint32_t(index / c.grid.x % c.grid.y),
              uint32_t(index / c.grid.x / c.grid.y)};
  b.threads = uint32_t(c.block.count());
  b.live = b.threads;
  b.executed = 0;
  b.finished = false;
  b.barriers = {};
  b.pending_bulk.clear();
  b.shadow.clear();
  b.race_sync_vc.clear();
  b.race_mbarrier_vc.clear();
  b.shared.assign(g_.shared_bytes + 16, 0xCD);  // uninitialised memory has no useful value
  b.cluster = cluster;
  b.cluster_rank = rank;

  fill_specials(b);
  b.warp_count = (b.threads + 31) / 32;
  while (b.warps.size() < b.warp_count) b.warps.push_back(std::make_unique<Warp>());
  for (uint32_t i = 0; i < b.warp_count; ++i) start_warp(b, *b.warps[i], i);
  g_.counters.blocks += 1;
  g_.counters.threads += b.threads;
}

// Special registers that are the same for the whole block.
void Machine::fill_specials(Block& b) {
  const LaunchConfig& c = *g_.config;
  uint8_t* s = aligned_storage(b.special_storage, kBlockSpecials * 128);
  const Dim3& cl = c.cluster;
  const uint32_t nc[3] = {cl.x, cl.y, cl.z};
  const uint32_t id[3] = {b.id.x, b.id.y, b.id.z};
  const uint32_t n[3] = {c.grid.x, c.grid.y, c.grid.z};
  const uint32_t t[3] = {c.block.x, c.block.y, c.block.z};
  for (uint32_t k = 0; k < 3; ++k) {
    fill(s, kNtidX + k, t[k]);
    fill(s, kCtaidX + k, id[k]);
    fill(s, kNctaidX + k, n[k]);
    fill(s, kClusterIdX + k, id[k] / nc[k]);
    fill(s, kNClusterIdX + k, n[k] / nc[k]);
    fill(s, kClusterCtaidX + k, id[k] % nc[k]);
    fill(s, kClusterNctaidX + k, nc[k]);
  }
  fill(s, kNWarpId, (b.threads + 31) / 32);
  fill(s, kSmId, uint32_t(b.index % uint64_t(std::max(1, g_.model->sm_count))));
  fill(s, kNSmId, uint32_t(g_.model->sm_count));
  fill(s, kClusterCtaRank, b.cluster_rank);
  fill(s, kClusterNctaRank, uint32_t(cl.count()));
  fill(s, kIsExplicitCluster, cl.count() > 1 ? ~0u : 0);
  for (uint32_t k : {kGridId, kGridIdHi, kZero, kZero64, kZero64b, kGridId64, kGridId64b})
    fill(s, k, 0);
  uint64_t env = c.cooperative ? kInternalWindow : 0;
  fill(s, kEnvReg1, uint32_t(env >> 32));
  fill(s, kEnvReg2, uint32_t(env));
  fill(s, kTotalSmem, g_.shared_bytes);
  fill(s, kDynamicSmem, uint32_t(c.dynamic_shared));
}

void Machine::start_warp(Block& b, Warp& w, uint32_t id) {
  w.block = &b;
  w.grid = &g_;
  w.id = id;
  uint32_t count = std::min(32u, b.threads - id * 32);
  w.live = count == 32 ? ~0u : (1u << count) - 1;
  w.executed = 0;
  for (auto& f : w.frames) w.spare.push_back(std::move(f));
  w.frames.clear();
  w.frags.clear();
  w.next_range = 0;
  w.async.reset();
  w.cluster_phase = {};
  w.race_clock = 1;
  w.race_vc.clear();
  w.base[1] = p_.pool;
  w.base[2] = aligned_storage(w.special_storage, kWarpSpecials * 128);
  w.base[3] = aligned_storage(b.special_storage, kBlockSpecials * 128);
  const Dim3& n = g_.config->block;
  uint32_t* s = reinterpret_cast<uint32_t*>(w.base[2]);
  for (uint32_t i = 0; i < 32; ++i) {
    uint32_t t = id * 32 + i;
    s[kTidX * 32 + i] = t % n.x;
    s[kTidY * 32 + i] = t / n.x % n.y;
    s[kTidZ * 32 + i] = t / n.x / n.y;
    s[kLaneId * 32 + i] = i;
    s[kWarpId * 32 + i] = id;
    uint32_t eq = 1u << i;
    s[kMaskEq * 32 + i] = eq;
    s[kMaskLt * 32 + i] = eq - 1;
    s[kMaskLe * 32 + i] = eq | (eq - 1);
    s[kMaskGe * 32 + i] = ~(eq - 1);
    s[kMaskGt * 32 + i] = ~(eq | (eq - 1));
  }
  Frame* f = new_frame(w, p_.functions[0], nullptr);
  f->live = w.live;
  push_fragment(w, p_.functions[0].begin, w.live, f);
}

Frame* Machine::new_frame(Warp& w, const FunctionCode& fn, Frame* parent) {
  std::unique_ptr<Frame> f;
  if (!w.spare.empty()) {
    f = std::move(w.spare.back());
    w.spare.pop_back();
  } else
    f = std::make_unique<Frame>();
  f->fn = &fn;
  f->parent = parent;
  f->regs = aligned_storage(f->reg_storage, fn.frame_bytes);
  memset(f->regs, 0, fn.frame_bytes);
  f->params.assign(size_t(fn.param_bytes) * 32, 0);
  f->local_base = parent ? parent->local_base + parent->fn->local_bytes : 0;
  f->depth = parent ? parent->depth + 1 : 0;
  f->live = 0;
  reserve_stack(w, *f);
  w.frames.push_back(std::move(f));
  return w.frames.back().get();
}

// The frame's .local variables are on the threads' stacks, above its parent's.
void Machine::reserve_stack(Warp& w, const Frame& f) {
  uint32_t top = f.local_base + f.fn->local_bytes;
  if (top <= w.local_stride) return;
  if (top > kMaxLocal)
    throw DeviceFault{kHardwareStack, "stack overflow: a thread needs more than " +
                                          std::to_string(kMaxLocal) + " bytes"};
  uint32_t stride = f.parent ? std::max(top, w.local_stride * 2) : top;
  std::vector<uint8_t> bigger(size_t(stride) * 32, 0xCD);
  for (size_t i = 0; i < 32 && f.parent && w.local_stride; ++i)
    memcpy(&bigger[i * stride], &w.local[i * w.local_stride], w.local_stride);
  w.local = std::move(bigger);
  w.local_stride = stride;
}

}  // namespace cudasim
