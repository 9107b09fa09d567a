// SPDX-License-Identifier: Apache-2.0
// Calls, returns, and the functions the device runtime provides.
#include "interpreter.h"
#include "memory.h"

namespace cudasim {

bool Machine::call(Warp& w, const Op& op, uint32_t m, uint32_t pc) {
  const CallSite& site = p_.calls[op.target];
  if (site.builtin) {
    builtin(w, site, m);
    return false;
  }
  Frame* caller = w.frame;
  uint32_t rest = w.mask & ~m;
  bool first = true;
  for (uint32_t left = m; left;) {
    uint32_t group = left;
    const FunctionCode& fn = p_.functions[size_t(call_target(w, op, site, group))];
    left &= ~group;
    Frame* frame = enter(w, site, fn, group, pc);
    if (first) {
      Fragment& f = w.frags[w.current];
      f.pc = fn.begin;
      f.mask = group;
      f.frame = frame;
      first = false;
    } else {
      push_fragment(w, fn.begin, group, frame);
    }
  }
  if (rest) push_fragment(w, pc + 1, rest, caller);
  return true;
}

// The function that the first lane of `group` calls; the group shrinks to the lanes that call it.
int Machine::call_target(Warp& w, const Op& op, const CallSite& site, uint32_t& group) {
  if (site.function >= 0) return site.function;
  const uint64_t* t = lanes<uint64_t>(w, op.a);
  int lane = __builtin_ctz(group);
  uint64_t v = t[lane];
  auto it = (v & kWindowMask) == kFunctionWindow
                ? p_.by_index.find(int((v & ~kWindowMask) / 16) - 1)
                : p_.by_index.end();
  if (it == p_.by_index.end())
    throw DeviceFault{kInvalidPc, "indirect call of an address that is no function of this program",
                      lane};
  uint32_t same = 0;
  for (uint32_t k = group; k; k &= k - 1)
    same |= uint32_t(t[__builtin_ctz(k)] == v) << __builtin_ctz(k);
  group = same;
  return it->second;
}

// The activation that the lanes enter, theirs alone or shared with lanes that called before.
Frame* Machine::enter(Warp& w, const CallSite& site, const FunctionCode& fn, uint32_t group,
                      uint32_t pc) {
  Frame* caller = w.frame;
  Frame* frame = nullptr;
  for (auto& f : w.frames)
    if (f->parent == caller && f->fn == &fn && f->live) frame = f.get();
  if (!frame) frame = new_frame(w, fn, caller);
  frame->live |= group;
  if (site.args.size() != fn.params.size())
    throw DeviceFault{kInvalidPc, "call with a wrong number of arguments", __builtin_ctz(group)};
  for (uint32_t k = group; k; k &= k - 1) {
    uint32_t i = uint32_t(__builtin_ctz(k));
    frame->ret_pc[i] = pc;
    for (size_t a = 0; a < site.args.size(); ++a)
      memcpy(frame->params.data() + size_t(i) * fn.param_bytes + fn.params[a].offset,
             caller->params.data() + size_t(i) * caller->fn->param_bytes + site.args[a].offset,
             std::min(site.args[a].size, fn.params[a].size));
  }
  return frame;
}

bool Machine::ret(Warp& w, uint32_t m, uint32_t pc) {
  leave_fragment(w, m, pc);
  return_lanes(w, m);
  return true;
}

void Machine::return_lanes(Warp& w, uint32_t m) {
  Frame* frame = w.frame;
  Frame* caller = frame->parent;
  const FunctionCode& fn = *frame->fn;
  while (m) {
    uint32_t pc = frame->ret_pc[size_t(__builtin_ctz(m))], group = 0;
    const CallSite& site = p_.calls[p_.code[pc].target];
    for (uint32_t k = m; k; k &= k - 1) {
      uint32_t i = uint32_t(__builtin_ctz(k));
      if (frame->ret_pc[i] != pc) continue;
      group |= 1u << i;
      for (size_t r = 0; r < site.rets.size() && r < fn.returns.size(); ++r)
        memcpy(caller->params.data() + size_t(i) * caller->fn->param_bytes + site.rets[r].offset,
               frame->params.data() + size_t(i) * fn.param_bytes + fn.returns[r].offset,
               std::min(site.rets[r].size, fn.returns[r].size));
    }
    push_fragment(w, pc + 1, group, caller);
    frame->live &= ~group;
    m &= ~group;
  }
  if (!frame->live) {
    for (auto& f : w.frames)
      if (f.get() == frame) {
        std::swap(f, w.frames.back());
        w.spare.push_back(std::move(w.frames.back()));
        w.frames.pop_back();
        break;
      }
  }
}

void Machine::builtin(Warp& w, const CallSite& site, uint32_t m) {
  uint32_t stride = w.frame->fn->param_bytes;
  auto arg = [&](int lane, size_t k) {
    uint64_t v = 0;
    memcpy(&v, w.frame->params.data() + size_t(lane) * stride + site.args[k].offset,
           std::min(site.args[k].size, 8u));
    return v;
  };
  for (; m; m &= m - 1) {
    int i = __builtin_ctz(m);
    auto give = [&](uint64_t v) {
      if (!site.rets.empty())
        memcpy(w.frame->params.data() + size_t(i) * stride + site.rets[0].offset, &v,
               std::min(site.rets[0].size, 8u));
    };
    switch (site.builtin) {
      case CallSite::vprintf:
        vprintf_call(w, arg(i, 0), arg(i, 1), i);
        give(0);
        break;
      case CallSite::malloc: give(heap_malloc(arg(i, 0))); break;
      case CallSite::free: heap_free(w, arg(i, 0), i); break;
      default:
        throw DeviceFault{kAssert,
                          read_string(w, arg(i, 1), i) + ":" + std::to_string(uint32_t(arg(i, 2))) +
                              ": " + read_string(w, arg(i, 3), i) + ": assertion `" +
                              read_string(w, arg(i, 0), i) + "` failed",
                          i};
    }
  }
}

}  // namespace cudasim
