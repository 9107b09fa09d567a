// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace warpbag::ranks {

/// What torchrun and its like tell a process.
struct launch_environment {
  int rank = 0;
  int size = 1;
  std::string host;
  int port = 0;
};

/// RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT. torchrun's own store may listen on that port
/// (TORCHELASTIC_USE_AGENT_STORE=True); then the port is the next one. Throws invalid_argument
/// naming the variable that is missing or wrong.
launch_environment read_launch_environment();

}  // namespace warpbag::ranks
