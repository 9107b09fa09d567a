// SPDX-License-Identifier: Apache-2.0
#pragma once
// One rank of a transport over MPI. A call has two phases:
//   meeting   Every rank tells every other what it calls and the sizes that it sends and expects.
//             A rank that has heard all and found that all fits is `committed`.
//   exchange  The bytes, in chunks that an int can count, and a barrier.
// A failure before the commitment (another call, another size, a rank that does not come) leaves no
// byte in flight, and since the barrier cannot complete, no rank returns. After it, ranks finish
// the call unless they hear of one that failed before its own commitment: so what returned on one
// live rank returns on all of them, as far as none dies between the two. If one does, MPI may touch
// the memory of the pieces that were under way as long as the process makes other calls of it, and
// nobody can tell: such a process had better end.
//
// A rank that closes tells all others, once, by a notice with how many calls it has committed to.

#include <mpi.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transport/call_kind.hpp"
#include "transport/mpi_session.hpp"
#include "transport/pieces.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::ranks {

/// Pieces travel in chunks of at most this many bytes; MPI counts with int.
constexpr std::int64_t mpi_chunk_bytes = std::int64_t{1} << 30;

class mpi_transport final : public transport {
 public:
  /// Takes part in `communicator`, which it never frees: that is collective, and a destructor must
  /// not wait for other ranks. A process makes a handful.
  mpi_transport(MPI_Comm communicator, std::int64_t chunk_bytes,
                std::chrono::milliseconds deadline);
  ~mpi_transport() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  device where() const override { return {}; }

  void all_to_all_v(std::span<const send_piece> sends,
                    std::span<const receive_piece> receives) override;
  void barrier() override { make_call(call_kind::barrier, {}, {}); }
  /// MPI_Comm_split is made after a call of all ranks, because it waits without a deadline. Two
  /// threads may split two transports at the same time only where MPI has MPI_THREAD_MULTIPLE.
  std::unique_ptr<transport> split(int color, cuda_stream) override;

  void abort(const transport_error& fault) noexcept override { close(failure_of(fault)); }
  std::chrono::milliseconds deadline() const override { return deadline_; }
  void set_deadline(std::chrono::milliseconds deadline) override {
    deadline_ = checked_deadline(deadline);
  }

 private:
  struct call;
  struct notice;

  void make_call(call_kind kind, std::span<const send_piece> sends,
                 std::span<const receive_piece> receives);
  void tell_sizes(call& now);
  void meet(call& now);
  void take_headers(call& now);
  void check_header(call& now, int from);
  void commit();
  void start_exchange(call& now);
  void exchange(call& now);
  bool test_all(std::vector<MPI_Request>& requests);
  /// Names no rank where several are missing: a live one may still wait, in the call before, for
  /// one that died there.
  failure absence(const call& now) const;
  void give_up(call& now);

  /// The first failure stays; the others are told of it.
  void close(failure why);
  void send_notices(const notice& told);
  void take_notices();
  void throw_if_closed();

  mpi_session& session_;
  const MPI_Comm communicator_;
  const std::int64_t chunk_bytes_;
  std::chrono::milliseconds deadline_;
  int rank_ = 0;
  int size_ = 0;

  // Of the thread in a call.
  struct peer {
    bool gone = false;           // it makes no more calls
    std::int64_t committed = 0;  // if gone: to how many calls it was
  };
  std::vector<peer> peers_;

  // Of any thread: abort() may come from another one.
  std::mutex mutex_;
  std::int64_t committed_ = 0;
  bool told_ = false;
  std::optional<failure> failure_;
};

}  // namespace warpbag::ranks
