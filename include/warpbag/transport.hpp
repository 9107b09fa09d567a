// SPDX-License-Identifier: Apache-2.0
#pragma once
// How ranks talk: one narrow interface, three backends. In-process ranks are threads; MPI ranks are
// CPU processes; NCCL ranks are GPUs. A transport moves bytes and does not know what they mean:
// tags, schema checks and agreement on errors are made once, above it
// (src/transport/agreement.hpp).
//
// Every call here is collective: all ranks of the transport make the same calls in the same order,
// with sizes that fit each other; ranks with nothing to say take part. One thread at a time uses a
// transport; transports made by split() may be used at the same time, but those of NCCL by one
// thread at a time, and all ranks make the calls on all of them in one order. Memory is that of
// where(): for NCCL, of its GPU, and calls are enqueued on its stream; for the others calls return
// when they are done. Results do not depend on timing: reductions add in rank order.
//
// Failure: when a rank is lost, does not come within the deadline, or sends what does not fit, the
// call throws rank_lost or rank_mismatch on every live rank, naming the rank at fault; from then on
// the transport is closed, and every call throws the same again.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "warpbag/error.hpp"
#include "warpbag/resources.hpp"

struct ncclComm;

namespace warpbag {

/// One piece of a message. Pieces between the same two ranks pair up in order, and pairs have the
/// same size; a piece of 0 bytes is sent to nobody and pairs with nothing. `peer` may be the rank
/// itself.
struct send_piece {
  int peer = 0;
  const void* data = nullptr;
  std::int64_t bytes = 0;
};
struct receive_piece {
  int peer = 0;
  void* data = nullptr;
  std::int64_t bytes = 0;
};

enum class reduce_type : std::uint8_t { f32, f64, i64 };
enum class reduce_operation : std::uint8_t { sum, min, max };

class WARPBAG_EXPORT transport {
 public:
  static constexpr std::chrono::milliseconds default_deadline = std::chrono::seconds(300);

  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Whose memory the calls work on. CUDA: `stream()` is where they are enqueued.
  virtual device where() const = 0;
  virtual cuda_stream stream() const { return nullptr; }

  virtual void all_to_all_v(std::span<const send_piece> sends,
                            std::span<const receive_piece> receives) = 0;

  /// Every rank's `bytes` bytes to every rank: received[r] for rank r, in order, this one included.
  virtual void all_gather_v(const void* data, std::int64_t bytes,
                            std::span<const receive_piece> received);
  /// `data`: counts[0] + counts[1] + ... elements; rank r gets the reduction of part r.
  virtual void reduce_scatter_v(const void* data, std::span<const std::int64_t> counts,
                                void* result, reduce_type type, reduce_operation operation);
  /// In place. Two calls for fault_options and for the traffic: reduce_scatter_v and all_gather_v.
  virtual void all_reduce(void* data, std::int64_t count, reduce_type type,
                          reduce_operation operation);
  virtual void broadcast(void* data, std::int64_t bytes, int root);
  /// Returns only when all ranks have come: a barrier that returned on one live rank returns on
  /// all of them.
  virtual void barrier() = 0;

  /// A transport of the ranks that give the same color, in the order of their ranks here. Its
  /// failures are its own. CUDA: its calls are enqueued on `stream`; nullptr: on stream().
  virtual std::unique_ptr<transport> split(int color, cuda_stream stream = nullptr) = 0;

  /// Waits until everything enqueued is done.
  virtual void wait() {}

  /// Closes the transport for every rank: calls that wait and all later ones throw rank_lost or, if
  /// `fault` is one, rank_mismatch with its words. Any thread may call it.
  virtual void abort(const transport_error& fault) noexcept = 0;

  /// How long a call waits for other ranks.
  virtual std::chrono::milliseconds deadline() const = 0;
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;
};

// ---- in-process ranks ----

/// What went over the links between in-process ranks, by [from][to].
struct link_traffic {
  std::int64_t messages = 0;
  std::int64_t bytes = 0;
};

/// Faults that in-process ranks meet, drawn from `seed`. A call is a collective call of one rank,
/// counted from 0 for each rank over all the transports that it made by split().
struct fault_options {
  std::uint64_t seed = 0;
  double delay_chance = 0.0;  ///< of a message: it comes up to max_delay late
  std::chrono::microseconds max_delay = std::chrono::microseconds(0);
  bool reorder = false;  ///< messages of different links overtake each other
  /// At that call, -1: never; the rank throws rank_lost("killed") and takes no part any more.
  int killed_rank = -1;
  std::int64_t killed_at_call = 0;
  bool silent_kill = false;  ///< the others learn of it by their deadline alone
  /// At that call the rank's first piece with bytes is sent with a wrong size.
  int corrupted_rank = -1;
  std::int64_t corrupted_at_call = 0;
};

/// The ranks of one process. Outlived by none of its transports.
class WARPBAG_EXPORT in_process_world {
 public:
  explicit in_process_world(int size, const fault_options& faults = {});
  ~in_process_world();
  in_process_world(const in_process_world&) = delete;
  in_process_world& operator=(const in_process_world&) = delete;

  int size() const;
  /// The transport of `rank`; ask once.
  std::unique_ptr<transport> connect(int rank);

  /// Bytes over the link so far; messages of a rank to itself are not counted. With the traffic of
  /// transports made by split().
  link_traffic traffic(int from, int to) const;
  link_traffic total_traffic() const;
  void reset_traffic();

  /// Runs body(transport) for every rank on a thread of its own and waits for all. Rethrows the
  /// exception of the lowest rank that threw.
  static void run(int size, const std::function<void(transport&)>& body);

 private:
  struct state;
  std::shared_ptr<state> state_;
};

// ---- MPI ----

/// Whether this build has MPI.
WARPBAG_EXPORT bool has_mpi();
/// The ranks of MPI_COMM_WORLD, as CPU processes; initialises MPI where nobody has, and then
/// finalises it at exit. Throws device_unavailable in a build without MPI.
WARPBAG_EXPORT std::unique_ptr<transport> make_mpi_transport();

// ---- NCCL ----

/// Whether this build has NCCL.
WARPBAG_EXPORT bool has_nccl();

/// Opaque bytes that rank 0 makes and gives to all ranks of one communicator.
struct nccl_id {
  unsigned char bytes[128] = {};
};
WARPBAG_EXPORT nccl_id make_nccl_id();

/// Every make function throws device_unavailable in a build without CUDA and NCCL, rank_lost when
/// not all ranks come within the deadline, and invalid_argument on every rank when two ranks share
/// a device (naming its UUID). `resources`: the device and the stream of all calls.
WARPBAG_EXPORT std::unique_ptr<transport> make_nccl_transport(
    const resources& resources, int rank, int size, const nccl_id& id,
    std::chrono::milliseconds deadline = transport::default_deadline);
/// Around a communicator that the caller made and destroys later: works on a copy (ncclCommSplit),
/// which a failure may abort. All ranks of it call this.
WARPBAG_EXPORT std::unique_ptr<transport> make_nccl_transport(const resources& resources,
                                                              ncclComm* communicator);
/// The id goes through another transport (MPI), between CPU ranks.
WARPBAG_EXPORT std::unique_ptr<transport> make_nccl_transport(
    const resources& resources, transport& bootstrap,
    std::chrono::milliseconds deadline = transport::default_deadline);
/// The id goes through a file that all ranks see. `nonce` is the same for all ranks of a job and
/// differs from job to job, so that a file that another job left is not believed.
WARPBAG_EXPORT std::unique_ptr<transport> make_nccl_transport(
    const resources& resources, int rank, int size, const std::filesystem::path& file,
    const std::string& nonce, std::chrono::milliseconds deadline = transport::default_deadline);
/// As torchrun starts processes: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; the id goes over TCP,
/// on the next port where torchrun's own store has that one (TORCHELASTIC_USE_AGENT_STORE=True).
/// Throws invalid_argument naming the variable that is missing or wrong.
WARPBAG_EXPORT std::unique_ptr<transport> make_nccl_transport_from_environment(
    const resources& resources, std::chrono::milliseconds deadline = transport::default_deadline);
/// One process with many devices: a transport for each of `resources`, in rank order.
WARPBAG_EXPORT std::vector<std::unique_ptr<transport>> make_nccl_transports(
    std::span<const resources> resources,
    std::chrono::milliseconds deadline = transport::default_deadline);

}  // namespace warpbag
