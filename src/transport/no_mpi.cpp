// SPDX-License-Identifier: Apache-2.0
// Stands in for MPI in builds without it.
#include "warpbag/transport.hpp"

namespace warpbag {

bool has_mpi() { return false; }

std::unique_ptr<transport> make_mpi_transport() {
  throw device_unavailable("make_mpi_transport: this build of warpbag has no MPI");
}

}  // namespace warpbag
