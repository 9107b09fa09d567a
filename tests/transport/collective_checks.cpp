// SPDX-License-Identifier: Apache-2.0
#include "transport/collective_checks.hpp"

#include <stdexcept>
#include <string>

#include "transport/gpu_ranks.hpp"

namespace warpbag::testing {

namespace {

using values = std::vector<std::int64_t>;

void require(bool holds, const transport& ranks, const char* what) {
  if (holds) return;
  throw std::runtime_error(std::string(what) + " gives rank " + std::to_string(ranks.rank()) +
                           " of " + std::to_string(ranks.size()) + " wrong values");
}

std::int64_t element(int from, int to, int piece, std::int64_t i) {
  return ((from * 100 + to) * 10 + piece) * 1000 + i;
}

/// Words of piece `piece` from one rank to another: uneven, sometimes none.
std::int64_t words(int from, int to, int piece) { return (from * 3 + to * 5 + piece * 7) % 11; }
constexpr int pieces = 3;

void check_all_to_all_v(transport& ranks) {
  const int me = ranks.rank();
  values sent;
  values expected;
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  std::vector<std::size_t> send_at;
  std::vector<std::size_t> receive_at;
  // Pieces of one peer lie apart in both lists; their order is that of `piece`.
  for (int piece = 0; piece < pieces; ++piece) {
    for (int peer = ranks.size() - 1; peer >= 0; --peer) {
      sends.push_back({peer, nullptr, words(me, peer, piece) * 8});
      receives.push_back({peer, nullptr, words(peer, me, piece) * 8});
      send_at.push_back(sent.size());
      receive_at.push_back(expected.size());
      for (std::int64_t i = 0; i < words(me, peer, piece); ++i) {
        sent.push_back(element(me, peer, piece, i));
      }
      for (std::int64_t i = 0; i < words(peer, me, piece); ++i) {
        expected.push_back(element(peer, me, piece, i));
      }
    }
  }
  const gpu_array<std::int64_t> out(ranks.stream(), sent);
  const gpu_array<std::int64_t> in(ranks.stream(), values(expected.size(), -1));
  for (std::size_t i = 0; i < sends.size(); ++i) {
    sends[i].data = out.data() + send_at[i];
    receives[i].data = in.data() + receive_at[i];
  }
  ranks.all_to_all_v(sends, receives);
  ranks.wait();
  require(in.values() == expected, ranks, "all_to_all_v");
  ranks.all_to_all_v({}, {});  // nothing from anybody
  ranks.wait();
}

void check_all_gather_v(transport& ranks) {
  const int me = ranks.rank();
  const auto count = [](int rank) { return static_cast<std::int64_t>(rank * 4 % 7); };
  values expected;
  std::vector<std::size_t> at;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    at.push_back(expected.size());
    for (std::int64_t i = 0; i < count(rank); ++i) expected.push_back(element(rank, 0, 0, i));
  }
  values mine;
  for (std::int64_t i = 0; i < count(me); ++i) mine.push_back(element(me, 0, 0, i));
  const gpu_array<std::int64_t> out(ranks.stream(), mine);
  const gpu_array<std::int64_t> in(ranks.stream(), values(expected.size(), -1));
  std::vector<receive_piece> received;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    received.push_back({rank, in.data() + at[static_cast<std::size_t>(rank)], count(rank) * 8});
  }
  ranks.all_gather_v(out.data(), count(me) * 8, received);
  ranks.wait();
  require(in.values() == expected, ranks, "all_gather_v");
}

void check_broadcast(transport& ranks) {
  for (int root = 0; root < ranks.size(); ++root) {
    const values expected = {root + 1, root + 2, root + 3};
    const gpu_array<std::int64_t> data(ranks.stream(),
                                       ranks.rank() == root ? expected : values(3, -1));
    ranks.broadcast(data.data(), 3 * 8, root);
    ranks.broadcast(nullptr, 0, root);
    ranks.wait();
    require(data.values() == expected, ranks, "broadcast");
  }
}

/// What `operation` makes of 10 * rank + i over all ranks.
std::int64_t reduced(int size, std::int64_t i, reduce_operation operation) {
  switch (operation) {
    case reduce_operation::min: return i;
    case reduce_operation::max: return 10 * (size - 1) + i;
    case reduce_operation::sum: break;
  }
  return 10 * size * (size - 1) / 2 + size * i;
}

template <typename Element>
void check_reductions(transport& ranks, reduce_type type, reduce_operation operation) {
  const int size = ranks.size();
  std::vector<std::int64_t> counts;
  std::vector<Element> mine;
  std::vector<Element> all;
  std::vector<Element> part;
  for (int rank = 0; rank < size; ++rank) {
    counts.push_back(rank % 3 == 1 ? 0 : rank + 2);
    for (std::int64_t k = 0; k < counts.back(); ++k) {
      const auto i = static_cast<std::int64_t>(mine.size());
      mine.push_back(static_cast<Element>(10 * ranks.rank() + i));
      all.push_back(static_cast<Element>(reduced(size, i, operation)));
      if (rank == ranks.rank()) part.push_back(all.back());
    }
  }
  const gpu_array<Element> data(ranks.stream(), mine);
  const gpu_array<Element> result(ranks.stream(), std::vector<Element>(part.size()));
  ranks.reduce_scatter_v(data.data(), counts, result.data(), type, operation);
  ranks.wait();
  require(result.values() == part, ranks, "reduce_scatter_v");
  ranks.all_reduce(data.data(), static_cast<std::int64_t>(mine.size()), type, operation);
  ranks.all_reduce(nullptr, 0, type, operation);
  ranks.wait();
  require(data.values() == all, ranks, "all_reduce");
}

}  // namespace

void check_collectives(transport& ranks) {
  check_all_to_all_v(ranks);
  check_all_gather_v(ranks);
  check_broadcast(ranks);
  for (const auto operation :
       {reduce_operation::sum, reduce_operation::min, reduce_operation::max}) {
    check_reductions<float>(ranks, reduce_type::f32, operation);
    check_reductions<double>(ranks, reduce_type::f64, operation);
    check_reductions<std::int64_t>(ranks, reduce_type::i64, operation);
  }
  ranks.barrier();
}

}  // namespace warpbag::testing
