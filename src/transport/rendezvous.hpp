// SPDX-License-Identifier: Apache-2.0
#pragma once
// How ranks that share nothing yet meet: each announces itself to rank 0, which answers all of them
// with the id of the communicator and everybody's device once all have come. All of this throws
// rank_lost at the deadline, rank_mismatch where processes were started with numbers that do not
// fit each other, io_error.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "transport/device_uuid.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::rendezvous {

using ranks::device_uuid;

/// Who asks.
struct seat {
  int rank = 0;
  int size = 1;
  device_uuid device = {};
  std::chrono::steady_clock::time_point deadline;
};

struct meeting {
  nccl_id id;
  std::vector<device_uuid> devices;  ///< by rank
};

/// Called by rank 0 when all have come.
using id_maker = std::function<nccl_id()>;

/// Through `file` and files beside it, whose folder all ranks see. Files that carry another nonce
/// are of another job and not believed. Rank 0 removes the file when all ranks have read it.
meeting meet_at_file(const seat& seat, const id_maker& make_id, const std::filesystem::path& file,
                     const std::string& nonce);

/// Over TCP: rank 0 listens on `port` of all its addresses, the others connect to `host`.
/// Strangers that connect are not listened to.
meeting meet_over_tcp(const seat& seat, const id_maker& make_id, const std::string& host, int port);

}  // namespace warpbag::rendezvous
