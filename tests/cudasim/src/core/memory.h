// SPDX-License-Identifier: Apache-2.0
// Memory as the instructions see it: addresses of lanes to checked host pointers.
#pragma once

#include "machine.h"

namespace cudasim {

// ---- address_space.cpp: all checked, and throw DeviceFault
// Pointers of the active lanes, in p; what other lanes' hold is never used.
void resolve(Warp& w, Space space, const uint64_t* a, uint32_t mask, uint32_t bytes, Access kind,
             uint8_t** p);
// Host pointer for `bytes` at a global address, checked; throws DeviceFault.
uint8_t* global_pointer(Warp& w, uint64_t address, uint32_t bytes, Access kind, int lane);
uint8_t* shared_pointer(Warp& w, uint64_t address, uint32_t bytes, int lane);
// Any generic address.
uint8_t* generic_pointer(Warp& w, uint64_t address, uint32_t bytes, Access kind, int lane);
std::string read_string(Warp& w, uint64_t address, int lane);
bool is_constant(Warp& w, uint64_t a);  // in a .const variable
const uint8_t* param_pointer(Warp& w, uint64_t a, uint32_t bytes, int lane);
[[noreturn]] void misaligned(uint64_t a, uint32_t bytes, int lane, const char* space);

// The profile and the race checkers see every access. past_l1: what L1 does not hold stays out.
void observe(Warp& w, Space space, Access kind, Sem sem, const uint64_t* a, uint32_t mask,
             uint32_t bytes, bool past_l1 = false);

// Operand a of every lane, with the displacement.
void addresses(Warp& w, const Op& o, uint64_t* a);
uint64_t lane_address(Warp& w, const Op& o, int lane);

// A register of 4 or 8 bytes.
inline uint64_t address_register(Warp& w, uint32_t ref, uint8_t width, int lane) {
  return width == 8 ? lanes<uint64_t>(w, ref)[lane] : lanes<uint32_t>(w, ref)[lane];
}

// Calls f(space, addresses within the space, lanes) for each window that generic addresses fall in.
template <class F>
void split_generic(const uint64_t* a, uint32_t mask, F f) {
  uint64_t bits = 0;
  for (uint32_t m = mask; m; m &= m - 1) bits |= a[__builtin_ctz(m)];
  if (!(bits & kWindowMask)) return f(Space::global, a, mask);
  uint32_t sets[4] = {};
  uint64_t t[32];
  for (uint32_t m = mask; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    uint64_t window = a[i] & kWindowMask;
    int k = window == kSharedWindow  ? 1
            : window == kLocalWindow ? 2
            : window == kParamWindow ? 3
                                     : 0;
    sets[k] |= 1u << i;
    t[i] = k ? a[i] & ~kWindowMask : a[i];
  }
  static constexpr Space kSpaces[4] = {Space::global, Space::shared, Space::local, Space::param};
  for (int k = 0; k < 4; ++k)
    if (sets[k]) f(kSpaces[k], t, sets[k]);
}

// ---- device_heap.cpp
uint64_t heap_malloc(uint64_t bytes);  // 0 when the heap is full
void heap_free(Warp& w, uint64_t address, int lane);
bool find_heap(uint64_t address, MemoryRange& out);

// ---- async_copy.cpp
void run_async_copy(Warp& w, const AsyncCopy& c, int lane);
void drain_block_async(Block& b);
void finish_lane_async(Warp& w, uint32_t mask);

// ---- atomics.cpp
// One atomic at p; operands and result are the low bytes of 64-bit words.
uint64_t atomic_scalar(uint8_t* p, bool shared, AtomOp op, Ty ty, uint64_t b, uint64_t c);

// ---- mbarrier.cpp: words in shared memory
void mbarrier_complete_tx(Warp& w, uint64_t address, uint32_t bytes, int lane);
// The copies of cp.async.mbarrier.arrive are done; without .noinc it added an arrival of its own.
void mbarrier_arrive_async(Warp& w, uint64_t address, bool noinc, int lane);

// ---- printf.cpp
void vprintf_call(Warp& w, uint64_t format, uint64_t args, int lane);

}  // namespace cudasim
