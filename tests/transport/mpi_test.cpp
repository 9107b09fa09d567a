// SPDX-License-Identifier: Apache-2.0
// The common bodies over MPI. Every rank of mpirun runs this whole program.
#include <gtest/gtest.h>

#include <thread>

#include "transport/bodies.hpp"
#include "transport/mpi_transport.hpp"
#include "transport/worlds.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using testing::outcome;
using testing::transport_body;

// Chunks of 4096 bytes, so that large pieces are cut.
transport& world() {
  static const std::unique_ptr<transport> all = std::make_unique<ranks::mpi_transport>(
      ranks::mpi_session::instance().duplicate_world(transport::default_deadline), 4096,
      transport::default_deadline);
  return *all;
}

TEST(Mpi, every_collective_works) {
  for (const transport_body& body : testing::collective_bodies()) {
    SCOPED_TRACE(body.name);
    body.run(world(), world().split(0));
  }
}

TEST(Mpi, every_failure_is_found_by_every_rank) {
  for (const transport_body& body : testing::failure_bodies()) {
    SCOPED_TRACE(body.name);
    body.run(world(), world().split(0));
  }
}

TEST(Mpi, names_a_rank_that_does_not_come_but_none_of_several) {
  const auto ranks = make_mpi_transport();
  ranks->set_deadline(60ms);
  if (ranks->rank() > 0) std::this_thread::sleep_for(400ms);
  const outcome met = testing::outcome_of([&] { ranks->barrier(); });
  EXPECT_EQ(met.how, outcome::kind::lost) << met.words;
  EXPECT_EQ(met.rank, ranks->size() == 2 ? 1 : -1) << met.words;
}

TEST(Mpi, a_second_transport_of_the_world_is_its_own) {
  const auto first = make_mpi_transport();
  const auto second = make_mpi_transport();
  EXPECT_TRUE(has_mpi());
  first->abort(rank_lost("enough", 0));
  EXPECT_THROW(first->barrier(), rank_lost);
  second->barrier();
}

}  // namespace
}  // namespace warpbag
