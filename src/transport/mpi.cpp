// SPDX-License-Identifier: Apache-2.0
#include "transport/mpi_transport.hpp"

namespace warpbag {

bool has_mpi() { return true; }

std::unique_ptr<transport> make_mpi_transport() {
  constexpr auto deadline = transport::default_deadline;
  const MPI_Comm world = ranks::mpi_session::instance().duplicate_world(deadline);
  return std::make_unique<ranks::mpi_transport>(world, ranks::mpi_chunk_bytes, deadline);
}

}  // namespace warpbag
