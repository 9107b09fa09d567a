// SPDX-License-Identifier: Apache-2.0
#pragma once
// MPI of this process: its initialisation, its end, and whether threads may call it at the same
// time. Only MPI's C interface is used.

#include <mpi.h>

#include <chrono>
#include <list>
#include <mutex>
#include <vector>

#include "transport/failure.hpp"

namespace warpbag::ranks {

class mpi_session {
 public:
  /// Initialises MPI at the first call, if nobody has.
  static mpi_session& instance();
  /// Finalises MPI if this initialised it. MPI_Finalize waits for all ranks, for ever if one is
  /// dead. So ranks first meet at a barrier; one that knows of a failure waits there for its
  /// `patience` only, and then ends by MPI_Abort, which ends the whole job with status 1.
  ~mpi_session();

  /// Held around calls of MPI; locks nothing when MPI is thread-safe.
  std::unique_lock<std::mutex> lock() {
    return concurrent_ ? std::unique_lock<std::mutex>() : std::unique_lock(mutex_);
  }

  /// A communicator of the ranks of MPI_COMM_WORLD. Collective.
  MPI_Comm duplicate_world(std::chrono::milliseconds deadline);

  /// A transport has failed. Memory that MPI may still read or write is kept for ever: nobody can
  /// say when a rank that is lost will let go of it.
  void keep(std::vector<std::vector<std::int64_t>>&& buffers);
  void note_failure(std::chrono::milliseconds patience);

 private:
  mpi_session();
  bool all_come_to_the_end();

  std::mutex mutex_;  // of calls, if !concurrent_
  bool concurrent_ = false;
  bool finalises_ = false;
  std::mutex state_mutex_;
  bool failed_ = false;
  std::chrono::milliseconds patience_{0};
  std::list<std::vector<std::vector<std::int64_t>>> kept_;
};

/// Throws rank_lost with MPI's words unless `status` is MPI_SUCCESS.
void check_mpi(int status, const char* call);

/// What to do between polls: ranks may be more than cores, so others get their turn.
class idle {
 public:
  void wait();
  void reset() { polls_ = 0; }

 private:
  int polls_ = 0;
};

}  // namespace warpbag::ranks
