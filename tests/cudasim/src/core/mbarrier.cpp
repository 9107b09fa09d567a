// SPDX-License-Identifier: Apache-2.0
// mbarrier objects: words in shared memory that count arrivals and bytes of copies.
#include "handlers.h"
#include "memory.h"
#include "races.h"

namespace cudasim {

namespace {

// bit 0 phase, 1..20 pending arrivals, 21..40 expected arrivals, 41..62 transaction bytes (signed)
struct MBarrier {
  uint64_t phase, pending, expected;
  int64_t tx;
  explicit MBarrier(uint64_t v)
      : phase(v & 1),
        pending(v >> 1 & 0xFFFFF),
        expected(v >> 21 & 0xFFFFF),
        tx(int64_t(v << 1) >> 42) {}
  uint64_t word() const {
    return phase | pending << 1 | expected << 21 | (uint64_t(tx) & 0x3FFFFF) << 41;
  }
  void settle() {
    if (pending == 0 && tx == 0) {
      phase ^= 1;
      pending = expected;
    }
  }
};

uint64_t& mbarrier_word(Warp& w, uint64_t address, int lane) {
  if (address & 7) misaligned(address, 8, lane, "mbarrier");
  return *reinterpret_cast<uint64_t*>(shared_pointer(w, address, 8, lane));
}

// sub: operation; sub2 bit 0: arrive also expects `b` transaction bytes
void mbarrier_lane(Warp& w, const Op& o, uint64_t address, uint64_t& word, uint64_t count, int i) {
  MBarrier b(word);
  switch (o.sub) {
    case kInit:
      b = MBarrier(0);
      b.pending = b.expected = count;
      break;
    case kInval: word = ~0ull >> 1; return;
    case kArrive:
    case kArriveDrop: {
      uint64_t arrivals = count;
      if (o.sub2 & 1) b.tx += int64_t(count), arrivals = 1;
      if (o.sub == kArriveDrop) b.expected -= arrivals;
      if (b.pending < arrivals)
        throw DeviceFault{
            kLaunchFailure,
            "mbarrier at shared offset " + hex(address) + ": more arrivals than expected", i};
      b.pending -= arrivals;
      if (o.d != kNoRef) lanes<uint64_t>(w, o.d)[i] = word;
      b.settle();
      break;
    }
    case kExpectTx: b.tx += int64_t(count); break;
    case kCompleteTx:
      b.tx -= int64_t(count);
      b.settle();
      break;
    default: return;
  }
  word = b.word();
}

// The phase that lane i waits for has completed; `count` is a parity or a state that arrive
// returned.
bool phase_done(const Op& o, uint64_t word, uint64_t count) {
  uint64_t waited = o.sub == kTestParity ? count & 1 : MBarrier(count).phase;
  return MBarrier(word).phase != waited;
}

}  // namespace

void op_mbarrier(Lanes& l, const Op& o, uint32_t mask) {
  Warp& w = static_cast<Warp&>(l);
  if (o.sub == kPendingCount) {
    for (; mask; mask &= mask - 1) {
      int i = __builtin_ctz(mask);
      lanes<uint32_t>(w, o.d)[i] = uint32_t(MBarrier(lanes<uint64_t>(w, o.a)[i]).pending);
    }
    return;
  }
  bool test = o.sub == kTestWait || o.sub == kTestParity,
       arrive = o.sub == kArrive || o.sub == kArriveDrop;
  if (test) {
    w.spinny = true;
    drain_block_async(*w.block);
    if (w.block->cluster)
      for (Block* b : w.block->cluster->blocks) drain_block_async(*b);
  }
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    uint64_t address = lane_address(w, o, i);
    uint64_t& word = mbarrier_word(w, address, i);
    uint64_t count = o.b == kNoRef ? 1 : address_register(w, o.b, o.bw, i);
    bool done = false;
    if (test) {
      done = phase_done(o, word, count);
      set_pred(w, o.d, done ? ~0u : 0, 1u << i);
    } else {
      mbarrier_lane(w, o, address, word, count, i);
    }
    if (w.grid->races && (arrive || done)) {
      auto& clocks = w.block->race_mbarrier_vc[address & kSharedOffsetMask];
      if (arrive)
        race_join(clocks, w.race_vc);
      else
        race_barrier_leave(w, clocks);
    }
  }
  if (w.grid->races && arrive) race_warp_sync(w);
}

void mbarrier_complete_tx(Warp& w, uint64_t address, uint32_t bytes, int lane) {
  uint64_t& word = mbarrier_word(w, address, lane);
  MBarrier b(word);
  b.tx -= int64_t(bytes);
  b.settle();
  word = b.word();
}

void mbarrier_arrive_async(Warp& w, uint64_t address, bool noinc, int lane) {
  uint64_t& word = mbarrier_word(w, address, lane);
  MBarrier b(word);
  if (noinc) {
    if (b.pending == 0)
      throw DeviceFault{kLaunchFailure, "mbarrier: more arrivals than expected", lane};
    b.pending -= 1;
  }
  b.settle();
  word = b.word();
}

}  // namespace cudasim
