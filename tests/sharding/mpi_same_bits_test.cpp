// SPDX-License-Identifier: Apache-2.0
// The bits of one device, by ranks that share no memory. Every rank of mpirun runs this whole
// program: it draws the same cases and trains its part; rank 0 puts the parts together and compares
// them with a run on one device.

#include <gtest/gtest.h>

#include "sharding/sharded_case.hpp"
#include "support/configuration.hpp"

namespace warpbag::support {
namespace {

constexpr case_limits small = {.max_samples = 60, .max_rows = 100, .max_dim = 64};

transport& world() {
  static const std::unique_ptr<transport> all = make_mpi_transport();
  return *all;
}

template <typename Body>
void for_each_vector(run_results& results, Body body) {
  for (auto& step : results.outputs) {
    for (std::vector<float>& output : step) body(output);
  }
  for (auto& step : results.gradients) {
    for (std::vector<float>& gradient : step) body(gradient);
  }
  for (table_contents& table : results.tables) {
    body(table.weight);
    for (std::vector<float>& state : table.state) body(state);
  }
}

/// What any rank has, in place of what make_results put there. Collective.
void gather(const sharded_case& drawn, run_results& results) {
  std::vector<float> mine;
  for_each_vector(results, [&](std::vector<float>& values) {
    mine.insert(mine.end(), values.begin(), values.end());
  });
  std::vector<std::vector<float>> of_ranks(static_cast<std::size_t>(world().size()), mine);
  const auto bytes = static_cast<std::int64_t>(mine.size() * sizeof(float));
  std::vector<receive_piece> receives;
  for (int rank = 0; rank < world().size(); ++rank) {
    receives.push_back({rank, of_ranks[static_cast<std::size_t>(rank)].data(), bytes});
  }
  world().all_gather_v(mine.data(), bytes, receives);
  run_results untouched = make_results(drawn);
  std::vector<float> pattern;
  for_each_vector(untouched, [&](std::vector<float>& values) {
    pattern.insert(pattern.end(), values.begin(), values.end());
  });
  std::size_t next = 0;
  for_each_vector(results, [&](std::vector<float>& values) {
    for (float& value : values) {
      for (const std::vector<float>& held : of_ranks) {
        if (held[next] != pattern[next]) value = held[next];
      }
      ++next;
    }
  });
}

TEST(MpiBits, equal_those_of_one_device) {
  world().set_deadline(std::chrono::seconds(20));
  const auto first = static_cast<std::uint64_t>(3000 * world().size());
  for (const std::uint64_t seed : seeds_of_test(first, 15)) {
    const sharded_case drawn = random_case(seed, world().size(), small);
    const auto device = cpu_backend(1).make_device();
    run_results results = make_results(drawn);
    rank_run run(*device, drawn, world().split(0));
    run.run(0, drawn.num_steps(), seed % 2 == 0);
    run.collect(results);
    gather(drawn, results);
    if (world().rank() != 0) continue;
    EXPECT_EQ("", difference(run_on_one_device(*device, drawn), results)) << drawn;
  }
}

}  // namespace
}  // namespace warpbag::support
