// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "transport/bodies.hpp"
#include "transport/worlds.hpp"

namespace warpbag::testing {
namespace {

using namespace std::chrono_literals;
using owner = std::unique_ptr<transport>;
using how = outcome::kind;

/// The ranks that have something to say say the same.
void expect_same_words(transport& control, const std::string& words) {
  const std::uint64_t mine = words.empty() ? 0 : std::hash<std::string>()(words) | 1U;
  std::vector<std::uint64_t> all(static_cast<std::size_t>(control.size()));
  std::vector<receive_piece> pieces;
  for (std::size_t r = 0; r < all.size(); ++r) pieces.push_back({static_cast<int>(r), &all[r], 8});
  control.all_gather_v(&mine, sizeof(mine), pieces);
  for (const std::uint64_t other : all) {
    EXPECT_TRUE(mine == 0 || other == 0 || other == mine) << words;
  }
}

/// `call` throws `expected` naming `rank` on every rank, and every call throws it again from then
/// on, in the same words. `control` is whole: the failures of a transport are its own.
void expect_closed(transport& control, transport& ranks, how expected, int rank,
                   const std::function<void()>& call) {
  const outcome first = outcome_of(call);
  EXPECT_EQ(first.how, expected) << first.words;
  EXPECT_EQ(first.rank, rank) << first.words;
  EXPECT_EQ(outcome_of([&] { ranks.barrier(); }), first);
  EXPECT_EQ(outcome_of([&] { ranks.all_to_all_v({}, {}); }), first);
  EXPECT_EQ(outcome_of([&] { ranks.split(0); }), first);
  ranks.abort(rank_mismatch("too late", 0));
  EXPECT_EQ(outcome_of([&] { ranks.barrier(); }), first);
  expect_same_words(control, first.words);
}

void wrong_size(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  std::vector<char> memory(100);
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  if (ranks->rank() == 1) sends = {{0, memory.data(), 4}, {0, memory.data(), 5}};
  if (ranks->rank() == 0) receives = {{1, memory.data(), 4}, {1, memory.data(), 6}};
  expect_closed(control, *ranks, how::mismatch, 1, [&] { ranks->all_to_all_v(sends, receives); });
}

void missing_piece(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  std::vector<char> memory(100'000);
  std::vector<receive_piece> receives;
  if (ranks->rank() == 0) receives = {{1, memory.data(), 100'000}};
  expect_closed(control, *ranks, how::mismatch, 1, [&] { ranks->all_to_all_v({}, receives); });
}

void surplus_piece_to_itself(transport& control, owner ranks) {
  const int last = ranks->size() - 1;
  std::vector<char> memory(8);
  std::vector<send_piece> sends;
  if (ranks->rank() == last) sends = {{last, memory.data(), 8}};
  expect_closed(control, *ranks, how::mismatch, last, [&] { ranks->all_to_all_v(sends, {}); });
}

void another_call(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  // Rank 0 and 1 find it; 1 is the higher. With more ranks others find themselves against rank 0.
  const outcome met = outcome_of([&] {
    if (ranks->rank() == 0) {
      ranks->barrier();
    } else {
      ranks->all_to_all_v({}, {});
    }
  });
  EXPECT_EQ(met.how, how::mismatch) << met.words;
  EXPECT_GE(met.rank, 1);
  EXPECT_EQ(outcome_of([&] { ranks->barrier(); }), met);
  control.barrier();
}

void late_rank(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  const int last = ranks->size() - 1;
  ranks->barrier();
  ranks->set_deadline(60ms);
  if (ranks->rank() == last) std::this_thread::sleep_for(200ms);
  expect_closed(control, *ranks, how::lost, last, [&] { ranks->barrier(); });
}

void closed_by_one(transport& control, owner ranks) {
  const bool first = ranks->rank() == 0;
  expect_closed(control, *ranks, how::mismatch, 0, [&] {
    if (first) ranks->abort(rank_mismatch("other plans", 0));
    ranks->barrier();
  });
}

void closed_by_another_thread(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  std::jthread other([&] {  // while this rank's first thread is in one call or another
    if (ranks->rank() == 1) ranks->abort(rank_lost("signal", 1));
  });
  expect_closed(control, *ranks, how::lost, 1, [&] {
    for (;;) ranks->all_to_all_v({}, {});
  });
}

void gone_early(transport& control, owner ranks) {
  if (ranks->size() < 2) return;
  ranks->barrier();
  if (ranks->rank() == 1) {
    ranks.reset();
    expect_same_words(control, "");
    return;
  }
  expect_closed(control, *ranks, how::lost, 1, [&] { ranks->barrier(); });
}

void groups_fail_alone(transport& control, owner ranks) {
  const int parity = ranks->rank() % 2;
  const owner half = ranks->split(parity);
  if (parity == 0) {
    expect_closed(*ranks, *half, how::lost, -1, [&] {
      half->abort(rank_lost("no reason", -1));
      half->barrier();
    });
  } else {
    for (int round = 0; round < 5; ++round) half->barrier();
    expect_same_words(*ranks, "");
  }
  control.barrier();
}

constexpr transport_body bodies[] = {{"wrong_size", wrong_size},
                                     {"missing_piece", missing_piece},
                                     {"surplus_piece_to_itself", surplus_piece_to_itself},
                                     {"another_call", another_call},
                                     {"late_rank", late_rank},
                                     {"closed_by_one", closed_by_one},
                                     {"closed_by_another_thread", closed_by_another_thread},
                                     {"gone_early", gone_early},
                                     {"groups_fail_alone", groups_fail_alone}};

}  // namespace

std::span<const transport_body> failure_bodies() { return bodies; }

}  // namespace warpbag::testing
