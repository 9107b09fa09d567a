// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "cuda/device_allocation.hpp"
#include "transport/device_uuid.hpp"
#include "transport/nccl_communicator.hpp"
#include "transport/pieces.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::ranks {

/// Ranks that are GPUs. Calls are enqueued on the stream, barrier and split also wait for it; a
/// rank that is lost in the middle shows at the next wait. The reductions add in an order of NCCL's
/// own, so nothing that has to be exact may use them with floats.
///
/// NCCL does not say which rank is lost: only a rank that fails by itself names one, the others
/// throw rank_lost with rank -1, also after abort(), whose words stay on its rank. Sizes of other
/// ranks are not compared: the agreement above does that before. When the last rank comes just as
/// the deadline passes, a barrier may return on some ranks and throw on others.
///
/// Transports that were split off each other need their calls in the same order on all ranks, and
/// run them in it, whatever their streams: NCCL could stand still otherwise. A thread that drives
/// several ranks must not call them in turn, because the first calls wait for each other.
class nccl_transport final : public transport {
 public:
  /// `communicator` is joined or will be before the first call.
  nccl_transport(const resources& resources, std::unique_ptr<nccl_communicator> communicator,
                 int size);

  int rank() const override { return communicator_->rank(); }
  int size() const override { return size_; }
  device where() const override { return resources_.where; }
  cuda_stream stream() const override { return resources_.stream; }

  void all_to_all_v(std::span<const send_piece> sends,
                    std::span<const receive_piece> receives) override;
  void reduce_scatter_v(const void* data, std::span<const std::int64_t> counts, void* result,
                        reduce_type type, reduce_operation operation) override;
  void all_reduce(void* data, std::int64_t count, reduce_type type,
                  reduce_operation operation) override;
  void broadcast(void* data, std::int64_t bytes, int root) override;
  void barrier() override;
  std::unique_ptr<transport> split(int color, cuda_stream stream) override;
  void wait() override { communicator_->wait(); }
  void abort(const transport_error& fault) noexcept override;
  std::chrono::milliseconds deadline() const override { return communicator_->deadline(); }
  void set_deadline(std::chrono::milliseconds deadline) override;

  /// Throws invalid_argument on every rank when two ranks work on one device.
  void require_distinct_devices();

 private:
  using note = std::array<unsigned char, 16>;

  /// Every rank's 16 bytes, by rank. Waits.
  std::vector<note> exchange(const note& mine);
  /// `from` and `to`: the pieces of this rank to itself.
  void copy_own_pieces(std::span<const send_piece> sends, std::span<const piece_size> from,
                       std::span<const receive_piece> receives, std::span<const piece_size> to);
  void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);

  resources resources_;
  int size_;
  std::unique_ptr<nccl_communicator> communicator_;
  cuda::device_allocation notes_;  // one for each rank
};

/// Throws invalid_argument for another device than CUDA's or the legacy default stream, and
/// device_unavailable.
void require_cuda(const resources& resources);
device_uuid uuid_of_device(int ordinal);

}  // namespace warpbag::ranks
