// SPDX-License-Identifier: Apache-2.0
// What a meeting computes once all of its parts are there.
#include <cstdio>
#include <cstring>

#include "hub.h"

namespace cudasim::nccl {

namespace {

struct View {
  uint8_t* data = nullptr;
  uint8_t* init = nullptr;
};

// The bytes a part reads or writes; empty optional: not (all) there.
std::optional<View> view(Part& p, const void* address, size_t bytes, bool output) {
  if (bytes == 0) return View{};
  if (p.device < 0) return View{output ? p.out.data() : p.in.data(), nullptr};
  View v;
  if (cudasim_plugin_locate(p.device, address, bytes, &v.data, &v.init)) return v;
  char near[240];
  cudasim_plugin_describe(address, near, sizeof near);
  char line[400];
  std::snprintf(line, sizeof line,
                "%s on device %d: its %s buffer %p, %zu bytes, is not usable: %s",
                p.task.text().c_str(), p.device, output ? "receive" : "send", address, bytes, near);
  complain(line);
  return std::nullopt;
}

}  // namespace

void Hub::compute(Meeting& m) {
  auto bad = [&](ncclResult_t why) {
    std::lock_guard lock(mutex_);
    m.result = why;
    error_ = why;
  };
  // All inputs first: outputs may overlap them (in-place operation).
  size_t lanes = m.parts.size();
  bool p2p = m.parts[0].task.point_to_point();
  std::vector<std::vector<uint8_t>> in(lanes);
  for (size_t r = 0; r < lanes; ++r) {
    Part& p = m.parts[r];
    size_t bytes = p.task.send_bytes(ranks, p2p ? -1 : static_cast<int>(r));
    auto v = view(p, p.task.send, bytes, false);
    if (!v) return bad(ncclInvalidArgument);
    if (bytes) in[r].assign(v->data, v->data + bytes);
    if (p.task.device_scalar && p.device >= 0) {
      auto s = view(p, p.task.device_scalar, element_size(p.task.type), false);
      if (!s) return bad(ncclInvalidArgument);
      std::memcpy(p.task.reduction.scalar, s->data, element_size(p.task.type));
    }
  }
  const Task& t = m.parts[0].task;
  size_t one = t.count * element_size(t.type);
  std::vector<uint8_t> result;
  auto concatenate = [&] {
    for (auto& x : in) result.insert(result.end(), x.begin(), x.end());
  };
  switch (t.kind) {
    case Kind::all_reduce:
    case Kind::reduce:
    case Kind::reduce_scatter: {
      size_t elements = in[0].size() / element_size(t.type);
      for (size_t r = 0; r < lanes; ++r) {
        scale_input(in[r].data(), elements, t.type, m.parts[r].task.reduction, ranks);
        if (r == 0)
          result = in[0];
        else
          combine(result.data(), in[r].data(), elements, t.type, t.reduction);
      }
      finish_output(result.data(), elements, t.type, t.reduction, ranks);
      break;
    }
    case Kind::broadcast:
    case Kind::scatter: result = in[static_cast<size_t>(t.root)]; break;
    default: concatenate(); break;  // gathers, AlltoAll (indexed below), Send
  }
  for (size_t r = 0; r < lanes; ++r) {
    Part& p = m.parts[r];
    size_t bytes = p.task.recv_bytes(ranks, p2p ? -1 : static_cast<int>(r));
    if (bytes == 0) continue;
    if (p.device < 0) p.out.resize(bytes);
    auto v = view(p, p.task.recv, bytes, true);
    if (!v) return bad(ncclInvalidArgument);
    switch (t.kind) {
      case Kind::reduce_scatter:
      case Kind::scatter: std::memcpy(v->data, result.data() + r * one, one); break;
      case Kind::all_to_all:
        for (size_t from = 0; from < lanes; ++from)
          std::memcpy(v->data + from * one, in[from].data() + r * one, one);
        break;
      default: std::memcpy(v->data, result.data(), bytes); break;
    }
    if (v->init) std::memset(v->init, 1, bytes);
  }
}

}  // namespace cudasim::nccl
