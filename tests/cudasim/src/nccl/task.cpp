// SPDX-License-Identifier: Apache-2.0
#include "task.h"

namespace cudasim::nccl {

size_t Task::send_bytes(int n, int rank) const {
  size_t one = count * element_size(type), all = one * static_cast<size_t>(n);
  switch (kind) {
    case Kind::broadcast: return rank == root ? one : 0;
    case Kind::scatter: return rank == root ? all : 0;
    case Kind::reduce_scatter:
    case Kind::all_to_all: return all;
    case Kind::recv: return 0;
    default: return one;
  }
}

size_t Task::recv_bytes(int n, int rank) const {
  size_t one = count * element_size(type), all = one * static_cast<size_t>(n);
  switch (kind) {
    case Kind::reduce: return rank == root ? one : 0;
    case Kind::gather: return rank == root ? all : 0;
    case Kind::all_gather:
    case Kind::all_to_all: return all;
    case Kind::send: return 0;
    default: return one;
  }
}

std::string Task::text() const {
  static const char* names[] = {"AllReduce", "Reduce", "Broadcast", "AllGather", "ReduceScatter",
                                "AlltoAll",  "Gather", "Scatter",   "Send",      "Recv"};
  std::string out = names[static_cast<int>(kind)];
  out += "(count " + std::to_string(count) + ", " + type_name(type);
  if (kind == Kind::all_reduce || kind == Kind::reduce || kind == Kind::reduce_scatter)
    out += std::string(", ") + op_name(reduction.op);
  if (kind == Kind::reduce || kind == Kind::broadcast || kind == Kind::gather ||
      kind == Kind::scatter)
    out += ", root " + std::to_string(root);
  if (point_to_point()) out += ", peer " + std::to_string(root);
  return out + ")";
}

}  // namespace cudasim::nccl
