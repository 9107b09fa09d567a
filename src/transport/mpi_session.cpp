// SPDX-License-Identifier: Apache-2.0
#include "transport/mpi_session.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

namespace warpbag::ranks {

using std::chrono::steady_clock;

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, words, &length);
  throw rank_lost(std::string("transport: ") + call + ": " + words, -1);
}

void idle::wait() {
  ++polls_;
  if (polls_ < 200) {
    std::this_thread::yield();
  } else {  // 20 to 200 us: a call that waits long need not be quick
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(polls_ / 10, 200)));
  }
}

mpi_session& mpi_session::instance() {
  static mpi_session session;
  return session;
}

mpi_session::mpi_session() {
  int initialised = 0;
  int level = MPI_THREAD_SINGLE;
  check_mpi(MPI_Initialized(&initialised), "MPI_Initialized");
  if (initialised != 0) {
    check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
  } else {
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level), "MPI_Init_thread");
    finalises_ = true;
  }
  concurrent_ = level == MPI_THREAD_MULTIPLE;
}

mpi_session::~mpi_session() {
  int finalised = 0;
  if (!finalises_ || MPI_Finalized(&finalised) != MPI_SUCCESS || finalised != 0) return;
  if (!all_come_to_the_end()) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Finalize();
}

bool mpi_session::all_come_to_the_end() {
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Ibarrier(MPI_COMM_WORLD, &request) != MPI_SUCCESS) return false;
  const auto last = steady_clock::now() + patience_;
  idle pause;
  for (int done = 0; done == 0; pause.wait()) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
    if (done == 0 && failed_ && steady_clock::now() > last) return false;
  }
  return true;
}

MPI_Comm mpi_session::duplicate_world(std::chrono::milliseconds deadline) {
  MPI_Comm made = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  {
    const auto locked = lock();
    check_mpi(MPI_Comm_idup(MPI_COMM_WORLD, &made, &request), "MPI_Comm_idup");
  }
  const auto last = steady_clock::now() + deadline;
  idle pause;
  for (int done = 0; done == 0; pause.wait()) {
    const auto locked = lock();
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0 && steady_clock::now() > last) {
      note_failure(deadline);
      throw rank_lost("transport: not all ranks came to make_mpi_transport within " +
                          std::to_string(deadline.count()) + " ms",
                      -1);
    }
  }
  const auto locked = lock();
  check_mpi(MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return made;
}

void mpi_session::keep(std::vector<std::vector<std::int64_t>>&& buffers) {
  const std::lock_guard locked(state_mutex_);
  kept_.push_back(std::move(buffers));
}

void mpi_session::note_failure(std::chrono::milliseconds patience) {
  const std::lock_guard locked(state_mutex_);
  failed_ = true;
  patience_ = std::min(std::max(patience_, patience), std::chrono::milliseconds(5000));
}

}  // namespace warpbag::ranks
