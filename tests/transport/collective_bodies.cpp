// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "transport/bodies.hpp"

namespace warpbag::testing {
namespace {

using bytes = std::vector<unsigned char>;
using owner = std::unique_ptr<transport>;

/// The pieces that `from` sends to `to` in one round: the same on every rank that asks.
std::vector<bytes> pieces_between(int from, int to, int round, int largest) {
  std::mt19937 random(static_cast<unsigned>(round * 10'007 + from * 101 + to));
  std::vector<bytes> pieces(random() % 4);
  for (bytes& piece : pieces) {
    piece.resize(random() % 3 == 0 ? 0 : random() % static_cast<unsigned>(largest));
    const auto first = static_cast<unsigned char>(
        random());  // not a draw for every byte: sanitizers make those slow
    std::iota(piece.begin(), piece.end(), first);
  }
  return pieces;
}

void exchange(transport& ranks, int round, int largest) {
  std::vector<std::vector<bytes>> out;
  std::vector<std::vector<bytes>> expected;
  std::vector<std::vector<bytes>> in;
  for (int r = 0; r < ranks.size(); ++r) {
    out.push_back(pieces_between(ranks.rank(), r, round, largest));
    expected.push_back(pieces_between(r, ranks.rank(), round, largest));
    in.push_back(expected.back());
    for (bytes& piece : in.back()) std::ranges::fill(piece, 0xEE);
  }
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (std::size_t k = 0; k < 4; ++k) {  // pieces of one peer are in order, peers interleave
    for (std::size_t r = out.size(); r-- > 0;) {
      if (k >= out[r].size()) continue;
      sends.push_back(
          {static_cast<int>(r), out[r][k].data(), static_cast<std::int64_t>(out[r][k].size())});
    }
  }
  for (std::size_t r = 0; r < in.size(); ++r) {
    for (bytes& piece : in[r]) {
      receives.push_back(
          {static_cast<int>(r), piece.data(), static_cast<std::int64_t>(piece.size())});
    }
  }
  ranks.all_to_all_v(sends, receives);
  EXPECT_EQ(in, expected) << "round " << round;
}

void uneven_pieces(transport&, owner ranks) {
  for (int round = 0; round < 30; ++round) exchange(*ranks, round, 200);
}

void large_pieces(transport&, owner ranks) {
  for (int round = 0; round < 2; ++round) exchange(*ranks, round, 100'000);
}

void no_pieces(transport&, owner ranks) {
  ranks->all_to_all_v({}, {});
  // Only rank 0 has something to say, and to the last rank alone; pieces of 0 bytes need no pair.
  const int last = ranks->size() - 1;
  std::int64_t sent = 17;
  std::int64_t got = ranks->rank() == last ? 0 : 17;
  std::vector<send_piece> sends = {{last, nullptr, 0}};
  std::vector<receive_piece> receives;
  if (ranks->rank() == 0) sends.push_back({last, &sent, 8});
  if (ranks->rank() == last) receives = {{0, nullptr, 0}, {0, nullptr, 0}, {0, &got, 8}};
  ranks->all_to_all_v(sends, receives);
  EXPECT_EQ(got, 17);
}

void gathered(transport&, owner ranks) {
  for (int round = 0; round < 4; ++round) {
    const auto part = [&](int r) {  // some ranks have nothing
      return std::vector<int>(static_cast<std::size_t>((r + round) % 3) * 5, r * 10 + round);
    };
    std::vector<std::vector<int>> got;
    std::vector<std::vector<int>> expected;
    std::vector<receive_piece> receives;
    for (int r = 0; r < ranks->size(); ++r) {
      expected.push_back(part(r));
      got.emplace_back(expected.back().size());
      receives.push_back(
          {r, got.back().data(), static_cast<std::int64_t>(got.back().size() * sizeof(int))});
    }
    const std::vector<int> mine = part(ranks->rank());
    ranks->all_gather_v(mine.data(), static_cast<std::int64_t>(mine.size() * sizeof(int)),
                        receives);
    EXPECT_EQ(got, expected);
  }
  EXPECT_THROW(ranks->all_gather_v(nullptr, 0, {}), invalid_argument);
}

template <class Element>
constexpr reduce_type type_of = std::is_same_v<Element, float>    ? reduce_type::f32
                                : std::is_same_v<Element, double> ? reduce_type::f64
                                                                  : reduce_type::i64;

/// Values whose sum depends on the order of additions, unless they are integers.
template <class Element>
std::vector<Element> values_of(int rank, std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(rank + 1));
  std::vector<Element> values(count);
  for (Element& value : values) {
    const double spread = std::ldexp(1.0, static_cast<int>(random() % 20));
    value = static_cast<Element>((static_cast<double>(random()) - 2e9) * spread);
  }
  return values;
}

template <class Element>
std::vector<Element> reduced_values(int size, std::size_t count, reduce_operation operation) {
  std::vector<Element> result = values_of<Element>(0, count);
  for (int r = 1; r < size; ++r) {
    const std::vector<Element> next = values_of<Element>(r, count);
    for (std::size_t i = 0; i < count; ++i) {
      if (operation == reduce_operation::sum) result[i] = result[i] + next[i];
      if (operation == reduce_operation::min) result[i] = std::min(result[i], next[i]);
      if (operation == reduce_operation::max) result[i] = std::max(result[i], next[i]);
    }
  }
  return result;
}

template <class Element>
void reduce_all(transport& ranks, reduce_operation operation) {
  for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
    std::vector<Element> values = values_of<Element>(ranks.rank(), count);
    ranks.all_reduce(values.data(), static_cast<std::int64_t>(count), type_of<Element>, operation);
    EXPECT_EQ(values, reduced_values<Element>(ranks.size(), count, operation));
  }
  std::vector<std::int64_t> counts;  // 0, 3, 6, ...
  std::int64_t begin = 0;
  for (int r = 0; r < ranks.size(); ++r) {
    if (r < ranks.rank()) begin += 3 * r;
    counts.push_back(3 * r);
  }
  const auto total = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  const std::vector<Element> all = reduced_values<Element>(ranks.size(), total, operation);
  std::vector<Element> part(static_cast<std::size_t>(3 * ranks.rank()));
  ranks.reduce_scatter_v(values_of<Element>(ranks.rank(), total).data(), counts, part.data(),
                         type_of<Element>, operation);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + begin));
}

void reduced(transport&, owner ranks) {
  for (const auto operation :
       {reduce_operation::sum, reduce_operation::min, reduce_operation::max}) {
    reduce_all<float>(*ranks, operation);
    reduce_all<double>(*ranks, operation);
    reduce_all<std::int64_t>(*ranks, operation);
  }
}

void broadcast(transport&, owner ranks) {
  for (int root = 0; root < ranks->size(); ++root) {
    std::vector<int> values(5000, ranks->rank());
    ranks->broadcast(values.data(), 20'000, root);
    EXPECT_THAT(values, ::testing::Each(root));
    ranks->broadcast(nullptr, 0, root);
  }
  EXPECT_THROW(ranks->broadcast(nullptr, 0, ranks->size()), invalid_argument);
}

/// Nobody leaves a barrier before the last has come: rank `late` tells the others, after its sleep,
/// by a message that they must not have to wait for.
void barriers(transport&, owner ranks) {
  for (int round = 0; round < 20; ++round) {
    if (round % ranks->size() == ranks->rank()) std::this_thread::yield();
    ranks->barrier();
  }
  using clock = std::chrono::steady_clock;
  const bool late = ranks->rank() == ranks->size() - 1;
  if (late) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::int64_t came = clock::now().time_since_epoch().count();
  ranks->barrier();
  const std::int64_t left = clock::now().time_since_epoch().count();
  ranks->all_reduce(&came, 1, reduce_type::i64, reduce_operation::max);
  EXPECT_GE(left, came);  // one clock: all ranks are on one machine
}

void splits(transport&, owner ranks) {
  const int size = ranks->size();
  const int parity = ranks->rank() % 2;
  const owner half = ranks->split(parity == 0 ? -7 : 7);
  EXPECT_EQ(half->size(), (size + 1 - parity) / 2);
  EXPECT_EQ(half->rank(), ranks->rank() / 2);
  const owner everyone = ranks->split(3);
  EXPECT_EQ(everyone->size(), size);
  EXPECT_EQ(everyone->rank(), ranks->rank());
  // Two threads of each rank, each with a transport of its own.
  std::jthread other([&] {
    for (int round = 0; round < 20; ++round) exchange(*everyone, round, 3000);
  });
  for (int round = 20; round < 40; ++round) exchange(*half, round, 3000);
}

void refused_arguments(transport&, owner ranks) {
  std::int64_t value = 0;
  const auto send = [&](send_piece piece) { ranks->all_to_all_v({&piece, 1}, {}); };
  EXPECT_THROW(send({-1, &value, 8}), invalid_argument);
  EXPECT_THROW(send({ranks->size(), &value, 8}), invalid_argument);
  EXPECT_THROW(send({0, &value, -8}), invalid_argument);
  EXPECT_THROW(send({0, nullptr, 8}), invalid_argument);
  EXPECT_THROW(ranks->set_deadline(std::chrono::milliseconds(0)), invalid_argument);
  EXPECT_THROW(ranks->all_reduce(&value, -1, reduce_type::i64, reduce_operation::sum),
               invalid_argument);
  EXPECT_THROW(ranks->reduce_scatter_v(&value, {}, &value, reduce_type::i64, reduce_operation::sum),
               invalid_argument);
  ranks->barrier();  // nothing of it reached the others
  EXPECT_EQ(ranks->deadline(), transport::default_deadline);
}

constexpr transport_body bodies[] = {{"uneven_pieces", uneven_pieces},
                                     {"large_pieces", large_pieces},
                                     {"no_pieces", no_pieces},
                                     {"gathered", gathered},
                                     {"reduced", reduced},
                                     {"broadcast", broadcast},
                                     {"barriers", barriers},
                                     {"splits", splits},
                                     {"refused_arguments", refused_arguments}};

}  // namespace

std::span<const transport_body> collective_bodies() { return bodies; }

}  // namespace warpbag::testing
