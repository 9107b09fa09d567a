// SPDX-License-Identifier: Apache-2.0
// sharding_mpi_survivor: rank 1 kills itself in the middle of a sharded step; the others print what
// they met, and whether it came within the deadline, and end with status 3.
#include <chrono>
#include <csignal>
#include <iostream>
#include <thread>

#include "sharding/sharded_case.hpp"

int main() {
  using namespace warpbag;
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  constexpr milliseconds deadline(2000);
  const std::shared_ptr<transport> ranks = make_mpi_transport();
  ranks->set_deadline(deadline);
  const support::sharded_case drawn = support::random_case(4, ranks->size(), {.steps = 15});
  const auto device = support::cpu_backend(1).make_device();
  support::rank_run run(*device, drawn, ranks);
  auto begin = steady_clock::now();
  try {
    for (std::int64_t step = 0; step < drawn.num_steps(); ++step) {
      // Whatever the step is doing then: its calls take longer than this on a loaded machine.
      if (step == 10 && ranks->rank() == 1) {
        std::thread([] {
          std::this_thread::sleep_for(std::chrono::microseconds(300));
          std::raise(SIGKILL);
        }).detach();
      }
      begin = steady_clock::now();
      run.run(step, step + 1, false);
    }
  } catch (const rank_lost& lost) {
    const auto waited = steady_clock::now() - begin;
    std::cout << "rank_lost " << lost.rank() << (waited < 2 * deadline ? " soon: " : " late: ")
              << lost.what() << std::endl;
    return 3;
  }
}
