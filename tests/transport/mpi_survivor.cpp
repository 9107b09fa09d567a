// SPDX-License-Identifier: Apache-2.0
// mpi_survivor: rank 1 kills itself between two calls; the others print what they met and end with
// status 3.
#include <csignal>
#include <iostream>

#include "warpbag/transport.hpp"

int main() {
  const auto ranks = warpbag::make_mpi_transport();
  ranks->set_deadline(std::chrono::milliseconds(500));
  try {
    for (int call = 0;; ++call) {
      if (call == 10 && ranks->rank() == 1) std::raise(SIGKILL);
      ranks->barrier();
    }
  } catch (const warpbag::rank_lost& lost) {
    std::cout << "rank_lost " << lost.rank() << ": " << lost.what() << std::endl;
    return 3;
  }
}
