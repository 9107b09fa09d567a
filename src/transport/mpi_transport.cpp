// SPDX-License-Identifier: Apache-2.0
#include "transport/mpi_transport.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace warpbag::ranks {
namespace {

using std::chrono::steady_clock;
using word = std::int64_t;

enum tag : int { header_tag, notice_tag, data_tag };

// A header: kind, number of sizes sent, sizes sent, sizes expected.
constexpr std::size_t fixed_words = 2;

std::span<const word> sent_sizes(const std::vector<word>& header) {
  return std::span(header).subspan(fixed_words, static_cast<std::size_t>(header[1]));
}
std::span<const word> expected_sizes(const std::vector<word>& header) {
  return std::span(header).subspan(fixed_words + static_cast<std::size_t>(header[1]));
}

}  // namespace

/// What a rank that closes tells the others. Small enough to be sent eagerly by every MPI: it is
/// delivered although its sender may do nothing more.
struct mpi_transport::notice {
  enum what : word { lost, mismatch, departed } says = departed;
  word committed = 0;
  word rank = -1;
  char words[1000] = {};
};

struct mpi_transport::call {
  call_kind kind;
  std::int64_t number;
  std::span<const send_piece> sends;
  std::span<const receive_piece> receives;
  std::vector<piece_size> send_sizes;
  std::vector<piece_size> receive_sizes;
  std::vector<std::vector<word>> headers_out;  // [ranks]
  std::vector<std::vector<word>> headers_in;   // [ranks]
  std::vector<bool> heard;                     // [ranks] whose header is here and fits
  std::vector<MPI_Request> header_requests;    // [ranks] of headers_in
  std::vector<MPI_Request> sending;            // headers and pieces; and the barrier
  std::vector<MPI_Request> receiving;          // pieces
  idle pause;
};

mpi_transport::mpi_transport(MPI_Comm communicator, std::int64_t chunk_bytes,
                             std::chrono::milliseconds deadline)
    : session_(mpi_session::instance()),
      communicator_(communicator),
      chunk_bytes_(chunk_bytes),
      deadline_(deadline) {
  const auto locked = session_.lock();
  check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
  peers_.resize(static_cast<std::size_t>(size_));
}

mpi_transport::~mpi_transport() {
  const std::lock_guard locked(mutex_);
  int finalised = 0;
  if (told_ || MPI_Finalized(&finalised) != MPI_SUCCESS || finalised != 0) return;
  send_notices({.says = notice::departed, .committed = committed_});
}

void mpi_transport::all_to_all_v(std::span<const send_piece> sends,
                                 std::span<const receive_piece> receives) {
  make_call(call_kind::all_to_all_v, sends, receives);
}

std::unique_ptr<transport> mpi_transport::split(int color, cuda_stream) {
  std::vector<word> colors(static_cast<std::size_t>(size_));
  const word own = color;
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (int r = 0; r < size_; ++r) {
    sends.push_back({r, &own, sizeof(word)});
    receives.push_back({r, &colors[static_cast<std::size_t>(r)], sizeof(word)});
  }
  make_call(call_kind::split, sends, receives);
  // MPI refuses negative colors: 0, 1, ... in the order of the colors that there are.
  std::ranges::sort(colors);
  colors.erase(std::unique(colors.begin(), colors.end()), colors.end());
  const auto index = std::ranges::lower_bound(colors, own) - colors.begin();

  MPI_Comm made = MPI_COMM_NULL;
  {
    const auto locked = session_.lock();
    check_mpi(MPI_Comm_split(communicator_, static_cast<int>(index), rank_, &made),
              "MPI_Comm_split");
    check_mpi(MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  return std::make_unique<mpi_transport>(made, chunk_bytes_, deadline_);
}

void mpi_transport::make_call(call_kind kind, std::span<const send_piece> sends,
                              std::span<const receive_piece> receives) {
  const auto ranks = static_cast<std::size_t>(size_);
  call now{.kind = kind,
           .number = committed_,
           .sends = sends,
           .receives = receives,
           .send_sizes = sizes_by_peer(sends, size_),
           .receive_sizes = sizes_by_peer(receives, size_),
           .headers_out = std::vector<std::vector<word>>(ranks),
           .headers_in = std::vector<std::vector<word>>(ranks),
           .heard = std::vector<bool>(ranks),
           .header_requests = std::vector<MPI_Request>(ranks, MPI_REQUEST_NULL),
           .sending = {},
           .receiving = {},
           .pause = {}};
  take_notices();
  throw_if_closed();
  try {
    tell_sizes(now);
    meet(now);
    commit();
    start_exchange(now);
    exchange(now);
  } catch (const transport_error& fault) {
    close(failure_of(fault));
    give_up(now);
    throw_if_closed();
  } catch (...) {  // out of memory
    close({failure_kind::lost, rank_,
           "transport: rank " + std::to_string(rank_) + " could not go on in " +
               name_of(kind, now.number)});
    give_up(now);
    throw;
  }
}

void mpi_transport::tell_sizes(call& now) {
  for (int r = 0; r < size_; ++r) {
    const auto index = static_cast<std::size_t>(r);
    const std::vector<word> sent = bytes_of(of_peer(now.send_sizes, r));
    const std::vector<word> expected = bytes_of(of_peer(now.receive_sizes, r));
    std::vector<word>& header = now.headers_out[index];
    header = {static_cast<word>(now.kind), static_cast<word>(sent.size())};
    header.insert(header.end(), sent.begin(), sent.end());
    header.insert(header.end(), expected.begin(), expected.end());
    if (r == rank_) {
      now.headers_in[index] = header;
      check_header(now, r);
      continue;
    }
    const auto locked = session_.lock();
    check_mpi(MPI_Isend(header.data(), static_cast<int>(header.size()), MPI_INT64_T, r, header_tag,
                        communicator_, &now.sending.emplace_back(MPI_REQUEST_NULL)),
              "MPI_Isend");
  }
}

void mpi_transport::meet(call& now) {
  const auto last = steady_clock::now() + deadline_;
  while (std::ranges::find(now.heard, false) != now.heard.end()) {
    take_headers(now);
    take_notices();
    throw_if_closed();
    for (int r = 0; r < size_; ++r) {
      const auto index = static_cast<std::size_t>(r);
      const peer& other = peers_[index];
      if (!now.heard[index] && other.gone && other.committed <= now.number) {
        raise(has_closed(r, name_of(now.kind, now.number)));
      }
    }
    if (steady_clock::now() > last) {
      raise(absence(now));
    }
    now.pause.wait();
  }
}

void mpi_transport::take_headers(call& now) {
  const auto locked = session_.lock();
  for (;;) {
    int found = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check_mpi(MPI_Improbe(MPI_ANY_SOURCE, header_tag, communicator_, &found, &message, &status),
              "MPI_Improbe");
    if (found == 0) break;
    int words = 0;
    check_mpi(MPI_Get_count(&status, MPI_INT64_T, &words), "MPI_Get_count");
    const auto from = static_cast<std::size_t>(status.MPI_SOURCE);
    now.headers_in[from].resize(static_cast<std::size_t>(words));
    check_mpi(MPI_Imrecv(now.headers_in[from].data(), words, MPI_INT64_T, &message,
                         &now.header_requests[from]),
              "MPI_Imrecv");
  }
  for (int r = 0; r < size_; ++r) {
    MPI_Request& request = now.header_requests[static_cast<std::size_t>(r)];
    if (request == MPI_REQUEST_NULL) continue;
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done != 0) check_header(now, r);
  }
}

void mpi_transport::check_header(call& now, int from) {
  const std::vector<word>& mine = now.headers_out[static_cast<std::size_t>(from)];
  const std::vector<word>& theirs = now.headers_in[static_cast<std::size_t>(from)];
  const auto their_kind = static_cast<call_kind>(theirs[0]);
  if (auto found = find_mismatch(rank_, now.kind, from, their_kind, now.number)) raise(*found);
  // In the order of ranks, so that both sides find the same first.
  for (const bool outwards : {rank_ < from, rank_ >= from}) {
    const auto found = outwards
                           ? find_mismatch(rank_, sent_sizes(mine), from, expected_sizes(theirs))
                           : find_mismatch(from, sent_sizes(theirs), rank_, expected_sizes(mine));
    if (found) raise(*found);
  }
  now.heard[static_cast<std::size_t>(from)] = true;
}

void mpi_transport::commit() {
  const std::lock_guard locked(mutex_);
  if (failure_) raise(*failure_);
  ++committed_;
}

/// The chunks of one piece: (begin, bytes as int).
template <class Function>
static void for_each_chunk(std::int64_t bytes, std::int64_t chunk_bytes, Function function) {
  for (std::int64_t begin = 0; begin < bytes; begin += chunk_bytes) {
    function(begin, static_cast<int>(std::min(chunk_bytes, bytes - begin)));
  }
}

void mpi_transport::start_exchange(call& now) {
  const auto locked = session_.lock();
  for (const piece_size& piece : now.receive_sizes) {
    if (piece.peer == rank_) continue;
    auto* data = static_cast<std::byte*>(now.receives[piece.index].data);
    for_each_chunk(piece.bytes, chunk_bytes_, [&](std::int64_t begin, int bytes) {
      check_mpi(MPI_Irecv(data + begin, bytes, MPI_BYTE, piece.peer, data_tag, communicator_,
                          &now.receiving.emplace_back(MPI_REQUEST_NULL)),
                "MPI_Irecv");
    });
  }
  for (const piece_size& piece : now.send_sizes) {
    if (piece.peer == rank_) continue;
    const auto* data = static_cast<const std::byte*>(now.sends[piece.index].data);
    for_each_chunk(piece.bytes, chunk_bytes_, [&](std::int64_t begin, int bytes) {
      check_mpi(MPI_Isend(data + begin, bytes, MPI_BYTE, piece.peer, data_tag, communicator_,
                          &now.sending.emplace_back(MPI_REQUEST_NULL)),
                "MPI_Isend");
    });
  }
  check_mpi(MPI_Ibarrier(communicator_, &now.sending.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Ibarrier");
  const std::span<const piece_size> to_self = of_peer(now.send_sizes, rank_);
  const std::span<const piece_size> from_self = of_peer(now.receive_sizes, rank_);
  for (std::size_t i = 0; i < to_self.size(); ++i) {
    std::memmove(now.receives[from_self[i].index].data, now.sends[to_self[i].index].data,
                 static_cast<std::size_t>(to_self[i].bytes));
  }
}

void mpi_transport::exchange(call& now) {
  auto last = steady_clock::now() + deadline_;
  now.pause.reset();
  for (;;) {
    const bool received = test_all(now.receiving);
    const bool sent = test_all(now.sending);
    if (now.receiving.empty() && now.sending.empty()) return;
    if (received || sent) {  // the deadline is for standing still, not for many bytes
      last = steady_clock::now() + deadline_;
      now.pause.reset();
    }
    take_notices();
    for (const peer& other : peers_) {
      if (other.gone && other.committed <= now.number) throw_if_closed();
    }
    if (steady_clock::now() > last) {
      raise({failure_kind::lost, -1,
             "transport: a rank was lost in " + name_of(now.kind, now.number) +
                 "; nothing came for " + std::to_string(deadline_.count()) + " ms"});
    }
    now.pause.wait();
  }
}

bool mpi_transport::test_all(std::vector<MPI_Request>& requests) {
  const auto locked = session_.lock();
  const std::size_t before = requests.size();
  for (MPI_Request& request : requests) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  }
  std::erase(requests, MPI_REQUEST_NULL);
  return requests.size() < before;
}

failure mpi_transport::absence(const call& now) const {
  const std::string name = name_of(now.kind, now.number);
  const auto first = std::ranges::find(now.heard, false);
  if (std::find(first + 1, now.heard.end(), false) == now.heard.end()) {
    return did_not_come(static_cast<int>(first - now.heard.begin()), name, deadline_);
  }
  std::string ranks;
  for (std::size_t r = 0; r < now.heard.size(); ++r) {
    if (!now.heard[r]) ranks += " " + std::to_string(r);
  }
  return {failure_kind::lost, -1,
          "transport: of ranks" + ranks + " none came to " + name + " within " +
              std::to_string(deadline_.count()) + " ms"};
}

void mpi_transport::give_up(call& now) {
  session_.note_failure(deadline_);
  {
    const auto locked = session_.lock();
    for (MPI_Request& request : now.receiving) {  // a failed MPI_Cancel leaves it as it was
      if (request != MPI_REQUEST_NULL) MPI_Cancel(&request);
    }
  }
  session_.keep(std::move(now.headers_out));
  session_.keep(std::move(now.headers_in));
}

void mpi_transport::close(failure why) {
  const std::lock_guard locked(mutex_);
  if (!failure_) failure_ = std::move(why);
  if (std::exchange(told_, true)) return;
  notice told{.says = failure_->kind == failure_kind::mismatch ? notice::mismatch : notice::lost,
              .committed = committed_,
              .rank = failure_->rank};
  failure_->words.copy(told.words, sizeof(told.words) - 1);
  send_notices(told);
}

void mpi_transport::send_notices(const notice& told) {
  std::vector<word> buffer((sizeof(notice) + sizeof(word) - 1) / sizeof(word));
  std::memcpy(buffer.data(), &told, sizeof(notice));
  const void* const bytes = buffer.data();
  std::vector<std::vector<word>> kept;
  kept.push_back(std::move(buffer));
  session_.keep(std::move(kept));  // for ever: nobody waits until the others have read it
  const auto locked = session_.lock();
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    MPI_Request request = MPI_REQUEST_NULL;
    // A rank that cannot be told any more needs no notice.
    const int status = MPI_Isend(bytes, static_cast<int>(sizeof(notice)), MPI_BYTE, r, notice_tag,
                                 communicator_, &request);
    if (status == MPI_SUCCESS) MPI_Request_free(&request);
  }
}

void mpi_transport::take_notices() {
  for (;;) {
    notice told;
    int found = 0;
    MPI_Status status;
    {
      const auto locked = session_.lock();
      MPI_Message message = MPI_MESSAGE_NULL;
      check_mpi(MPI_Improbe(MPI_ANY_SOURCE, notice_tag, communicator_, &found, &message, &status),
                "MPI_Improbe");
      if (found == 0) return;
      check_mpi(MPI_Mrecv(&told, static_cast<int>(sizeof(told)), MPI_BYTE, &message, &status),
                "MPI_Mrecv");
    }
    peers_[static_cast<std::size_t>(status.MPI_SOURCE)] = {true, told.committed};
    if (told.says == notice::departed) continue;
    close({told.says == notice::mismatch ? failure_kind::mismatch : failure_kind::lost,
           static_cast<int>(told.rank), told.words});
  }
}

void mpi_transport::throw_if_closed() {
  const std::lock_guard locked(mutex_);
  if (failure_) raise(*failure_);
}

}  // namespace warpbag::ranks
