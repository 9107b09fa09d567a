// SPDX-License-Identifier: Apache-2.0
// NCCL transports between processes, that meet at a file and as torchrun's do.
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"
#include "transport/free_port.hpp"
#include "transport/nccl_rank_status.hpp"

namespace warpbag::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr int done = static_cast<int>(rank_status::done);
constexpr int lost = static_cast<int>(rank_status::lost);
constexpr int refused = static_cast<int>(rank_status::refused);
constexpr int killed = -SIGKILL;

pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> variables) {
  std::vector<char*> argv;
  for (std::string& each : arguments) argv.push_back(each.data());
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (std::string& each : variables) environment.push_back(each.data());
  for (char** each = environ; *each != nullptr; ++each) environment.push_back(*each);
  environment.push_back(nullptr);
  pid_t child = -1;
  EXPECT_EQ(::posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environment.data()), 0);
  return child;
}

/// The exit status, or minus the signal, of a process that is killed at `end`.
int await(pid_t child, std::chrono::steady_clock::time_point end) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "process " << child << " hangs";
      ::kill(child, SIGKILL);
    }
    std::this_thread::sleep_for(5ms);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct job {
  int size = 2;
  int started = 2;  ///< ranks that are started
  std::string scenario = "collectives";
  std::chrono::milliseconds deadline = 20s;
  std::vector<std::string> variables = {};
};

/// True: they meet at a file; false: as torchrun's processes.
class NcclProcesses : public ::testing::TestWithParam<bool> {
 protected:
  /// How each started rank ended; skips the test where there are too few GPUs.
  std::vector<int> run(const job& job) {
    const std::string port = std::to_string(free_port());
    std::vector<pid_t> children;
    for (int rank = 0; rank < job.started; ++rank) {
      std::vector<std::string> arguments = {WARPBAG_NCCL_RANK_PROGRAM, job.scenario,
                                            std::to_string(job.deadline.count())};
      std::vector<std::string> variables = {"RANK=" + std::to_string(rank),
                                            "WORLD_SIZE=" + std::to_string(job.size)};
      variables.insert(variables.end(), job.variables.begin(), job.variables.end());
      if (GetParam()) {
        arguments.insert(arguments.end(), {(folder_.path() / "meeting").string(), port});
      } else {
        variables.insert(variables.end(), {"MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port});
      }
      children.push_back(spawn(arguments, variables));
    }
    std::vector<int> statuses;
    const auto end = std::chrono::steady_clock::now() + job.deadline + 10s;
    for (const pid_t child : children) statuses.push_back(await(child, end));
    return statuses;
  }

  static bool too_few_gpus(const std::vector<int>& statuses) {
    return std::ranges::find(statuses, static_cast<int>(rank_status::too_few_gpus)) !=
           statuses.end();
  }

  // What ends in a failure ends with findings of the simulator too.
  const std::vector<std::string> forgiving_ = {"CUDASIM_STRICT=0"};
  temporary_folder folder_;
};

TEST_P(NcclProcesses, run_every_collective) {
  for (const int size : {2, 4}) {
    const auto statuses = run({.size = size, .started = size});
    if (too_few_gpus(statuses)) GTEST_SKIP() << "too few GPUs";
    EXPECT_THAT(statuses, Each(done)) << size;
  }
}

TEST_P(NcclProcesses, refuse_one_device_for_two_ranks_on_both) {
  EXPECT_THAT(run({.scenario = "shared_device"}), Each(refused));
}

TEST_P(NcclProcesses, do_not_wait_longer_than_the_deadline_for_a_rank_that_never_starts) {
  const auto start = std::chrono::steady_clock::now();
  const auto statuses = run({.size = 3, .started = 2, .deadline = 1s});
  if (too_few_gpus(statuses)) GTEST_SKIP() << "too few GPUs";
  EXPECT_THAT(statuses, Each(lost));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST_P(NcclProcesses, lose_a_process_that_is_killed) {
  for (const int victim : {0, 2}) {
    auto variables = forgiving_;
    variables.push_back("CUDASIM_NCCL_KILL=" + std::to_string(victim) + ":9:process");
    std::vector<int> expected(3, lost);
    expected[static_cast<std::size_t>(victim)] = killed;
    const auto statuses = run({.size = 3,
                               .started = 3,
                               .scenario = "until_it_fails",
                               .deadline = 2s,
                               .variables = variables});
    if (too_few_gpus(statuses)) GTEST_SKIP() << "too few GPUs";
    EXPECT_EQ(statuses, expected);
  }
}

TEST_P(NcclProcesses, lose_a_rank_that_falls_silent) {
  auto variables = forgiving_;
  variables.push_back("CUDASIM_NCCL_KILL=1:9");
  const auto statuses = run({.scenario = "until_it_fails", .deadline = 1s, .variables = variables});
  if (too_few_gpus(statuses)) GTEST_SKIP() << "too few GPUs";
  EXPECT_THAT(statuses, Each(lost));
}

TEST_P(NcclProcesses, lose_a_rank_whose_operation_fails) {
  auto variables = forgiving_;
  variables.push_back("CUDASIM_NCCL_FAIL=0:9");
  const auto statuses = run({.scenario = "until_it_fails", .deadline = 2s, .variables = variables});
  if (too_few_gpus(statuses)) GTEST_SKIP() << "too few GPUs";
  EXPECT_THAT(statuses, Each(lost));
}

INSTANTIATE_TEST_SUITE_P(EnvironmentAndFile, NcclProcesses, ::testing::Bool());

}  // namespace
}  // namespace warpbag::testing
