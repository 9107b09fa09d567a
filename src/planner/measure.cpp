// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include "collection/device_buffer.hpp"
#include "operations/device_access.hpp"
#include "warpbag/planner.hpp"

namespace warpbag {

namespace {

constexpr std::int64_t exchange_bytes = std::int64_t{4} << 20;  // of a rank, each way
constexpr std::int64_t copied_bytes = std::int64_t{16} << 20;
constexpr std::int64_t small_piece = 64;
constexpr int repeats = 5;

resources resources_of(const transport& ranks) {
  return {ranks.where(), ranks.stream(), &default_memory_resource(ranks.where())};
}

class speed_test {
 public:
  explicit speed_test(transport& ranks)
      : ranks_(ranks),
        access_(operations::make_device_access(resources_of(ranks))),
        from_(*access_, static_cast<std::size_t>(copied_bytes)),
        to_(*access_, static_cast<std::size_t>(copied_bytes)) {
    const std::vector<std::byte> zeros(from_.bytes());
    access_->write(from_.data(), zeros.data(), zeros.size());
  }

  double memory_bandwidth() {
    const double seconds = time([&] { access_->copy(to_.data(), from_.data(), copied_bytes); });
    return 2.0 * copied_bytes / seconds;
  }

  /// With these peers, as many for every rank, all at once.
  link_speed links_to(const std::vector<int>& peers) {
    const auto count = static_cast<std::int64_t>(peers.size());
    const std::int64_t piece = std::max(exchange_bytes / count, small_piece);
    const double small = time([&] { exchange(peers, small_piece); });
    const double large = time([&] { exchange(peers, piece); });
    // What bytes add to the time of messages; on a fast link that is lost in the noise.
    const double moving = std::max(large - small, 0.1 * large);
    return {2.0 * static_cast<double>(piece * count) / moving, small / static_cast<double>(count)};
  }

 private:
  void exchange(const std::vector<int>& peers, std::int64_t bytes) {
    std::vector<send_piece> sends;
    std::vector<receive_piece> receives;
    std::int64_t at = 0;
    for (const int peer : peers) {
      sends.push_back({peer, static_cast<const std::byte*>(from_.data()) + at, bytes});
      receives.push_back({peer, static_cast<std::byte*>(to_.data()) + at, bytes});
      at += bytes;
    }
    ranks_.all_to_all_v(sends, receives);
  }

  /// Seconds of the slowest rank, in the quickest of some runs. The first is to warm up.
  template <typename Body>
  double time(Body&& body) {
    double least = 1e300;
    for (int i = 0; i <= repeats; ++i) {
      ranks_.barrier();
      const auto start = std::chrono::steady_clock::now();
      body();
      ranks_.wait();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      if (i > 0) least = std::min(least, slowest(taken.count()));
    }
    return std::max(least, 1e-9);
  }

  double slowest(double seconds) {
    access_->write(to_.data(), &seconds, sizeof seconds);
    ranks_.all_reduce(to_.data(), 1, reduce_type::f64, reduce_operation::max);
    access_->read(&seconds, to_.data(), sizeof seconds);
    return seconds;
  }

  transport& ranks_;
  std::unique_ptr<operations::device_access> access_;
  collection::device_buffer from_;
  collection::device_buffer to_;
};

}  // namespace

topology measure_topology(transport& transport, int ranks_per_node, std::int64_t memory_bytes) {
  topology machine = {.num_ranks = transport.size(),
                      .ranks_per_node = ranks_per_node,
                      .memory_bytes = memory_bytes};
  validate(machine);
  const int node_size = ranks_per_node == 0 ? machine.num_ranks : ranks_per_node;
  std::vector<int> near;
  std::vector<int> far;
  for (int rank = 0; rank < machine.num_ranks; ++rank) {
    if (rank == transport.rank()) continue;
    (rank / node_size == transport.rank() / node_size ? near : far).push_back(rank);
  }
  speed_test test(transport);
  machine.memory_bandwidth = test.memory_bandwidth();
  if (!near.empty()) machine.intra_node = test.links_to(near);
  if (!far.empty()) machine.inter_node = test.links_to(far);
  // A kind of link that there is not costs nothing; it only has to be something.
  if (near.empty() && !far.empty()) machine.intra_node = machine.inter_node;
  if (far.empty() && !near.empty()) machine.inter_node = machine.intra_node;
  return machine;
}

}  // namespace warpbag
