// SPDX-License-Identifier: Apache-2.0
#include "transport/agreement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "transport/worlds.hpp"

namespace warpbag {
namespace {

using ranks::agreement;
using ranks::call_header;
using ::testing::Each;
using ::testing::ElementsAreArray;
using testing::outcome;
using testing::run_world;

class heap final : public memory_resource {
 public:
  void* allocate(std::size_t bytes, std::size_t alignment, cuda_stream) override {
    return ::operator new(bytes, std::align_val_t(alignment));
  }
  void deallocate(void* memory, std::size_t, cuda_stream) noexcept override {
    ::operator delete(memory, std::align_val_t(256));
  }
};

/// Passes calls on; one word of what it receives is then changed.
class corrupting final : public transport {
 public:
  corrupting(transport& inner, std::size_t word) : inner_(inner), word_(word) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  device where() const override { return inner_.where(); }
  void all_to_all_v(std::span<const send_piece> sends,
                    std::span<const receive_piece> receives) override {
    inner_.all_to_all_v(sends, receives);
    if (rank() == 1) static_cast<std::int64_t*>(receives[0].data)[word_] ^= 4;
  }
  void barrier() override { inner_.barrier(); }
  std::unique_ptr<transport> split(int color, cuda_stream stream) override {
    return inner_.split(color, stream);
  }
  void abort(const transport_error& fault) noexcept override { inner_.abort(fault); }
  std::chrono::milliseconds deadline() const override { return inner_.deadline(); }
  void set_deadline(std::chrono::milliseconds deadline) override { inner_.set_deadline(deadline); }

 private:
  transport& inner_;
  std::size_t word_;
};

struct staging {
  heap memory;
  std::unique_ptr<operations::device_access> access =
      operations::make_cpu_device_access({.memory = &memory});
};

using payloads = std::vector<std::vector<std::int64_t>>;

std::string_view name_of(std::uint32_t operation) {
  return operation == 1 ? "forward" : "backward";
}

/// What each rank meets in one exchange with `mine(rank)`, and then at a barrier.
std::vector<outcome> outcomes_of(const std::function<call_header(int rank)>& mine) {
  in_process_world world(4);
  return run_world(world, [&](std::unique_ptr<transport> ranks) {
    staging memory;
    agreement agree(*ranks, *memory.access, name_of);
    payloads from_each(4);
    agree.exchange(mine(ranks->rank()), payloads(4), from_each);
    ranks->barrier();
  });
}

TEST(Agreement, brings_headers_and_payloads_of_every_size) {
  in_process_world world(4);
  const auto payload = [](int from, int to, int round) {
    return std::vector<std::int64_t>(static_cast<std::size_t>((from * 5 + to * 3) * round % 40),
                                     from * 100 + to + round * 10'000);
  };
  const auto outcomes = run_world(world, [&](std::unique_ptr<transport> ranks) {
    staging memory;
    agreement agree(*ranks, *memory.access);
    for (int round = 0; round < 4; ++round) {
      const auto header = [&](int rank) {
        return call_header{
            static_cast<std::uint64_t>(round), 7, ~0ULL, static_cast<std::uint32_t>(rank),
            {rank, -1, 1LL << 40, -2, rank},   -5};
      };
      payloads to_each;
      payloads from_each;
      payloads expected;
      std::vector<call_header> headers;
      for (int r = 0; r < 4; ++r) {
        to_each.push_back(payload(ranks->rank(), r, round));
        expected.push_back(payload(r, ranks->rank(), round));
        from_each.emplace_back(expected.back().size());
        headers.push_back(header(r));
      }
      EXPECT_EQ(agree.exchange(header(ranks->rank()), to_each, from_each), headers);
      EXPECT_EQ(from_each, expected);
    }
  });
  EXPECT_THAT(outcomes, Each(outcome{}));
}

TEST(Agreement, a_rank_that_differs_is_named_to_all_in_the_same_words) {
  const auto differing = [](call_header other) {
    return outcomes_of([other](int rank) { return rank == 2 ? other : call_header{5, 1, 9}; });
  };
  EXPECT_THAT(differing({6, 1, 9}),
              Each(outcome{outcome::kind::mismatch, 2,
                           "ranks do not agree: rank 2 is at another step: its is 6 where rank "
                           "0's is 5"}));
  EXPECT_THAT(differing({5, 2, 9}),
              Each(outcome{outcome::kind::mismatch, 2,
                           "ranks do not agree: rank 2 has another operation: its is backward "
                           "where rank 0's is forward"}));
  EXPECT_THAT(differing({5, 1, 0xabc}),
              Each(outcome{outcome::kind::mismatch, 2,
                           "ranks do not agree: rank 2 has other tables or another plan: its hash "
                           "is 0000000000000abc where rank 0's is 0000000000000009"}));
}

TEST(Agreement, a_fault_of_a_rank_is_told_and_not_judged) {
  const auto outcomes = outcomes_of([](int rank) {
    return call_header{5, 1, 9, rank == 1 ? 2U : 0U};
  });
  EXPECT_THAT(outcomes, Each(outcome{}));
}

TEST(Agreement, a_changed_word_of_header_payload_or_checksum_is_found) {
  for (std::size_t word = 0; word < 14; ++word) {  // 11 of the header, 2 of payload, checksum
    SCOPED_TRACE(word);
    in_process_world world(2);
    const auto outcomes = run_world(world, [&](std::unique_ptr<transport> ranks) {
      corrupting faulty(*ranks, word);
      staging memory;
      agreement agree(faulty, *memory.access);
      payloads from_each(2, std::vector<std::int64_t>(2));
      const payloads to_each(2, std::vector<std::int64_t>{3, 4});
      agree.exchange({5, 1, 9}, to_each, from_each);
      ranks->barrier();
    });
    EXPECT_THAT(outcomes, Each(outcomes[0]));
    EXPECT_EQ(outcomes[1].how, outcome::kind::mismatch);
    EXPECT_EQ(outcomes[1].rank, 0);
  }
}

TEST(Agreement, a_payload_of_another_size_than_expected_is_found) {
  in_process_world world(3);
  const auto outcomes = run_world(world, [&](std::unique_ptr<transport> ranks) {
    staging memory;
    agreement agree(*ranks, *memory.access);
    payloads from_each(3);
    payloads to_each(3);
    if (ranks->rank() == 1) to_each[0].push_back(1);
    agree.exchange({5, 1, 9}, to_each, from_each);
  });
  EXPECT_THAT(outcomes, Each(outcomes[0]));
  EXPECT_EQ(outcomes[0].how, outcome::kind::mismatch);
  EXPECT_EQ(outcomes[0].rank, 1);
}

TEST(DeviceAccess, copies_bytes_and_rows_of_any_strides_on_the_cpu) {
  staging memory;
  std::vector<float> from(3 * 5);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
  std::vector<float> to(3 * 4, -1.0F);
  memory.access->copy_rows({to.data(), dtype::f32, 3, 2, 4}, {from.data(), dtype::f32, 3, 2, 5});
  EXPECT_THAT(
      to, ElementsAreArray({0.F, 1.F, -1.F, -1.F, 5.F, 6.F, -1.F, -1.F, 10.F, 11.F, -1.F, -1.F}));
  memory.access->copy_rows({to.data(), dtype::f32, 2, 4, 4}, {from.data(), dtype::f32, 2, 4, 5});
  EXPECT_THAT(to,
              ElementsAreArray({0.F, 1.F, 2.F, 3.F, 5.F, 6.F, 7.F, 8.F, 10.F, 11.F, -1.F, -1.F}));
  memory.access->write(to.data() + 1, from.data() + 3, 8);
  memory.access->copy(to.data() + 3, to.data() + 1, 4);
  float read[4] = {};
  memory.access->read(read, to.data(), sizeof(read));
  EXPECT_THAT(read, ElementsAreArray({0.F, 3.F, 4.F, 3.F}));
  memory.access->copy(nullptr, nullptr, 0);
}

}  // namespace
}  // namespace warpbag
