// SPDX-License-Identifier: Apache-2.0
// What one rank asks for: one collective, send or receive.
#pragma once
#include <nccl.h>

#include <cstdint>
#include <string>

#include "reduce.h"

namespace cudasim::nccl {

enum class Kind : uint32_t {
  all_reduce,
  reduce,
  broadcast,
  all_gather,
  reduce_scatter,
  all_to_all,
  gather,
  scatter,
  send,
  recv
};

struct Task {
  Kind kind{};
  uint64_t count = 0;
  ncclDataType_t type = ncclInt8;
  Reduction reduction;
  int root = 0;  // or the peer of send and recv
  uint64_t index =
      0;  // position among this rank's collectives, or its sends to / recvs from a peer
  const void* send = nullptr;
  void* recv = nullptr;
  uint64_t wire_bytes = 0;              // how much of a message's payload is this task's
  const void* device_scalar = nullptr;  // PreMulSum whose factor lies in device memory
  int delay_ms = 0;                     // injected: comes late
  bool dead = false;                    // injected: never comes

  size_t send_bytes(int ranks, int rank) const;
  size_t recv_bytes(int ranks, int rank) const;
  bool point_to_point() const { return kind == Kind::send || kind == Kind::recv; }
  std::string text() const;
};

}  // namespace cudasim::nccl
