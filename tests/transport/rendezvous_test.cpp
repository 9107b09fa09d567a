// SPDX-License-Identifier: Apache-2.0
#include "transport/rendezvous.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <thread>

#include "support/temporary_folder.hpp"
#include "transport/free_port.hpp"
#include "transport/launch_environment.hpp"
#include "transport/tcp_socket.hpp"
#include "transport/worlds.hpp"

namespace warpbag {
namespace {

using namespace std::chrono_literals;
using rendezvous::clock;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using testing::free_port;
using ::testing::HasSubstr;
using testing::outcome;
using testing::outcome_of;
using testing::temporary_folder;

nccl_id some_id() {
  nccl_id id;
  for (std::size_t i = 0; i < sizeof id.bytes; ++i) id.bytes[i] = static_cast<unsigned char>(i + 1);
  return id;
}

rendezvous::seat seat_of(int rank, int size, std::chrono::milliseconds deadline = 20s) {
  rendezvous::seat out = {rank, size, {}, clock::now() + deadline};
  out.device[0] = static_cast<unsigned char>(rank + 1);
  return out;
}

using way_to_meet = std::function<rendezvous::meeting(const rendezvous::seat&)>;

/// How it ended for each of `seats`; those that met know the id and every device.
std::vector<outcome> meet(const std::vector<rendezvous::seat>& seats, const way_to_meet& way) {
  std::vector<outcome> outcomes(seats.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    threads.emplace_back([&, i] {
      outcomes[i] = outcome_of([&] {
        const rendezvous::meeting met = way(seats[i]);
        EXPECT_TRUE(std::ranges::equal(met.id.bytes, some_id().bytes));
        ASSERT_EQ(met.devices.size(), static_cast<std::size_t>(seats[i].size));
        for (const rendezvous::seat& seat : seats) {
          EXPECT_EQ(met.devices[static_cast<std::size_t>(seat.rank)], seat.device);
        }
      });
    });
  }
  threads.clear();
  return outcomes;
}

way_to_meet at_file(const std::filesystem::path& file, const std::string& nonce) {
  return [=](const rendezvous::seat& seat) {
    return rendezvous::meet_at_file(seat, some_id, file, nonce);
  };
}

way_to_meet over_tcp(int port) {
  return [=](const rendezvous::seat& seat) {
    return rendezvous::meet_over_tcp(seat, some_id, "localhost", port);
  };
}

/// Both ways, each in a place of its own.
class Rendezvous : public ::testing::TestWithParam<bool> {
 protected:
  way_to_meet way() {
    return GetParam() ? over_tcp(port_) : at_file(folder_.path() / "meeting", "job 7");
  }
  temporary_folder folder_;
  int port_ = free_port();
};

const auto returned = Field(&outcome::how, outcome::kind::returned);
const auto lost = Field(&outcome::how, outcome::kind::lost);
const auto mismatch = Field(&outcome::how, outcome::kind::mismatch);

TEST_P(Rendezvous, gives_all_ranks_the_id_and_all_devices) {
  for (const int size : {1, 2, 5}) {
    std::vector<rendezvous::seat> seats;
    for (int rank = size - 1; rank >= 0; --rank) seats.push_back(seat_of(rank, size));
    EXPECT_THAT(meet(seats, way()), Each(returned)) << size;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_P(Rendezvous, names_the_ranks_that_do_not_come) {
  const auto outcomes = meet({seat_of(0, 4, 300ms), seat_of(2, 4, 1500ms)}, way());
  EXPECT_THAT(outcomes, Each(lost));
  EXPECT_THAT(outcomes[0].words, HasSubstr("for rank 1, 3"));
  EXPECT_EQ(outcomes[0].rank, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_P(Rendezvous, without_rank_0_is_lost_at_the_deadline) {
  const auto outcomes = meet({seat_of(1, 2, 300ms)}, way());
  EXPECT_THAT(outcomes, Each(AllOf(lost, Field(&outcome::rank, 0))));
}

TEST_P(Rendezvous, refuses_ranks_of_another_size_on_all) {
  const auto outcomes = meet({seat_of(0, 2), seat_of(1, 3)}, way());
  EXPECT_THAT(outcomes, Each(AllOf(mismatch, Field(&outcome::rank, 1),
                                   Field(&outcome::words, HasSubstr("one of 3 ranks")))));
}

INSTANTIATE_TEST_SUITE_P(FileAndTcp, Rendezvous, ::testing::Bool());

TEST(RendezvousAtFile, does_not_believe_half_a_file) {
  const temporary_folder folder;
  const std::filesystem::path file = folder.path() / "meeting";
  folder.write("meeting", "wrpbst01 is how a sheet begins");
  folder.write("meeting.rank-1", "");
  EXPECT_THAT(meet({seat_of(1, 2), seat_of(0, 2)}, at_file(file, "job 7")), Each(returned));
}

/// What is in the file as soon as there is something.
std::string first_bytes_of(const std::filesystem::path& file) {
  const auto end = clock::now() + 5s;
  std::string bytes;
  while (bytes.empty() && clock::now() < end) bytes = testing::bytes_of(file);
  return bytes;
}

TEST(RendezvousAtFile, ignores_what_a_killed_job_left) {
  const temporary_folder folder;
  const std::filesystem::path file = folder.path() / "meeting";
  const auto start = [&](int rank, outcome& how) {
    return std::jthread([&how, rank, file] {
      how = outcome_of([&] { at_file(file, "job 6")(seat_of(rank, 2, 400ms)); });
    });
  };
  // Rank 1 of job 6 announces itself and is killed; then rank 0 is, when it has answered.
  outcome of_guest;
  std::jthread guest = start(1, of_guest);
  const std::string announcement = first_bytes_of(folder.path() / "meeting.rank-1");
  guest.join();
  EXPECT_THAT(of_guest, lost);
  folder.write("meeting.rank-1", announcement);
  outcome of_host;
  std::jthread host = start(0, of_host);
  const std::string answer = first_bytes_of(file);
  host.join();
  EXPECT_THAT(of_host, AllOf(lost, Field(&outcome::words, HasSubstr("did not read"))));
  folder.write("meeting", answer);

  EXPECT_THAT(meet({seat_of(0, 2, 300ms)}, at_file(file, "job 7")), Each(lost));
  folder.write("meeting", answer);
  EXPECT_THAT(meet({seat_of(1, 2, 300ms)}, at_file(file, "job 7")), Each(lost));
  folder.write("meeting.rank-1", announcement);
  EXPECT_THAT(meet({seat_of(1, 2), seat_of(0, 2)}, at_file(file, "job 7")), Each(returned));
  EXPECT_FALSE(std::filesystem::exists(file));
}

// Rank 0 once took its answer away before the rank that it refused had read it.
TEST(RendezvousAtFile, leaves_a_refusal_until_it_is_read) {
  const temporary_folder folder;
  const std::filesystem::path file = folder.path() / "meeting";
  const auto run = [&](const rendezvous::seat& seat, outcome& how) {
    return std::jthread(
        [&how, seat, file] { how = outcome_of([&] { at_file(file, "job 7")(seat); }); });
  };
  outcome of_guest;
  std::jthread guest = run(seat_of(1, 3, 200ms), of_guest);
  const std::string announcement = first_bytes_of(folder.path() / "meeting.rank-1");
  guest.join();
  folder.write("meeting.rank-1", announcement);
  outcome of_host;
  std::jthread host = run(seat_of(0, 2), of_host);
  EXPECT_NE(first_bytes_of(file), "");
  std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(std::filesystem::exists(file));
  std::filesystem::remove(folder.path() / "meeting.rank-1");
  host.join();
  EXPECT_THAT(of_host, AllOf(mismatch, Field(&outcome::rank, 1)));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(RendezvousAtFile, throws_io_error_where_it_cannot_write) {
  const temporary_folder folder;
  const auto nowhere = at_file(folder.path() / "absent" / "meeting", "job 7");
  EXPECT_THROW(nowhere(seat_of(1, 2)), io_error);
}

TEST(RendezvousOverTcp, does_not_listen_to_strangers) {
  const int port = free_port();
  outcome of_host;
  std::jthread host([&] { of_host = outcome_of([&] { over_tcp(port)(seat_of(0, 2)); }); });
  const auto end = clock::now() + 5s;
  rendezvous::tcp_socket silent;
  while (!silent && clock::now() < end) silent = rendezvous::connect_to("localhost", port, end);
  ASSERT_TRUE(static_cast<bool>(silent));
  auto loud = rendezvous::connect_to("localhost", port, end);
  const std::vector<std::byte> garbage(64, std::byte{'x'});
  EXPECT_TRUE(loud.write_all(garbage, end));
  EXPECT_TRUE(loud.await_readable(end));  // sent away
  EXPECT_THAT(outcome_of([&] { over_tcp(port)(seat_of(1, 2)); }), returned);
  host.join();
  EXPECT_THAT(of_host, returned);
}

TEST(RendezvousOverTcp, refuses_two_processes_of_one_rank) {
  const auto outcomes =
      meet({seat_of(0, 3), seat_of(1, 3), seat_of(1, 3, 2s)},
           [port = free_port()](const rendezvous::seat& seat) { return over_tcp(port)(seat); });
  EXPECT_THAT(outcomes,
              Each(AllOf(mismatch, Field(&outcome::words, HasSubstr("started as rank 1")))));
}

TEST(RendezvousOverTcp, names_the_port_that_it_cannot_have) {
  const int port = free_port();
  const auto taken = rendezvous::listen_on(port);
  const outcome refused = outcome_of([&] { over_tcp(port)(seat_of(0, 2)); });
  EXPECT_EQ(refused.how, outcome::kind::other);
  EXPECT_THAT(refused.words, HasSubstr(std::to_string(port)));
}

class LaunchEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    set({{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"MASTER_ADDR", "node-0"}, {"MASTER_PORT", "29500"}});
  }
  void TearDown() override {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"}) {
      ::unsetenv(name);
    }
  }
  static void set(const std::vector<std::pair<const char*, const char*>>& variables) {
    for (const auto& [name, value] : variables) ::setenv(name, value, 1);
  }
};

TEST_F(LaunchEnvironment, is_read_as_torchrun_sets_it) {
  const auto read = ranks::read_launch_environment();
  EXPECT_EQ(read.rank, 3);
  EXPECT_EQ(read.size, 8);
  EXPECT_EQ(read.host, "node-0");
  EXPECT_EQ(read.port, 29500);
  set({{"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(ranks::read_launch_environment().port, 29501);
}

TEST_F(LaunchEnvironment, names_the_variable_that_is_missing_or_wrong) {
  const std::vector<std::pair<const char*, const char*>> wrong = {
      {"RANK", "8"},          {"RANK", "-1"},       {"RANK", "3x"},
      {"RANK", ""},           {"WORLD_SIZE", "0"},  {"WORLD_SIZE", "99999999999"},
      {"MASTER_ADDR", ""},    {"MASTER_PORT", "0"}, {"MASTER_PORT", "65536"},
      {"MASTER_PORT", "http"}};
  for (const auto& [name, value] : wrong) {
    SetUp();
    set({{name, value}});
    const outcome refused = outcome_of([] { ranks::read_launch_environment(); });
    EXPECT_EQ(refused.how, outcome::kind::other);
    EXPECT_THAT(refused.words, HasSubstr(name));
    EXPECT_THAT(refused.words, HasSubstr(value));
  }
}

}  // namespace
}  // namespace warpbag
