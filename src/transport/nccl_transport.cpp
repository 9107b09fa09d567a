// SPDX-License-Identifier: Apache-2.0
#include "transport/nccl_transport.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "cuda/current_device.hpp"
#include "cuda/device_count.hpp"

namespace warpbag::ranks {

namespace {

/// Larger pieces travel as several, far below the 2^31 bytes that network plugins of older NCCL
/// count in an int.
constexpr std::int64_t chunk_bytes = std::int64_t{1} << 26;

ncclDataType_t nccl_type(reduce_type type) {
  switch (type) {
    case reduce_type::f32: return ncclFloat32;
    case reduce_type::f64: return ncclFloat64;
    case reduce_type::i64: return ncclInt64;
  }
  throw invalid_argument("transport: reduce_type " + std::to_string(static_cast<int>(type)));
}

std::int64_t bytes_of(reduce_type type) { return type == reduce_type::f32 ? 4 : 8; }

ncclRedOp_t nccl_operation(reduce_operation operation) {
  switch (operation) {
    case reduce_operation::sum: return ncclSum;
    case reduce_operation::min: return ncclMin;
    case reduce_operation::max: return ncclMax;
  }
  throw invalid_argument("transport: reduce_operation " +
                         std::to_string(static_cast<int>(operation)));
}

void require_memory(const char* call, const void* data, std::int64_t size) {
  if (size >= 0 && (size == 0 || data != nullptr)) return;
  throw invalid_argument("transport: " + std::string(call) + " of size " + std::to_string(size) +
                         " with " + (data == nullptr ? "no memory" : "memory"));
}

/// Calls move(offset, bytes) for every chunk of a piece until one fails.
template <typename Move>
ncclResult_t in_chunks(std::int64_t bytes, const Move& move) {
  for (std::int64_t offset = 0; offset < bytes; offset += chunk_bytes) {
    const ncclResult_t result =
        move(offset, static_cast<std::size_t>(std::min(chunk_bytes, bytes - offset)));
    if (!went_well(result)) return result;
  }
  return ncclSuccess;
}

}  // namespace

void require_cuda(const resources& resources) {
  if (resources.where.kind != device_kind::cuda) {
    throw invalid_argument("a NCCL transport works on a CUDA device, not on the CPU");
  }
  cuda::require_device(resources.where.ordinal);
  if (resources.stream == nullptr || resources.stream == cudaStreamLegacy) {
    throw invalid_argument(
        "resources.stream is CUDA's legacy default stream, which hides missing dependencies: make "
        "one with cudaStreamCreateWithFlags(..., cudaStreamNonBlocking)");
  }
}

device_uuid uuid_of_device(int ordinal) {
  cudaDeviceProp properties;
  WARPBAG_CUDA_TRY(cudaGetDeviceProperties(&properties, ordinal));
  device_uuid uuid;
  static_assert(sizeof uuid == sizeof properties.uuid);
  std::memcpy(uuid.data(), &properties.uuid, sizeof uuid);
  return uuid;
}

nccl_transport::nccl_transport(const resources& resources,
                               std::unique_ptr<nccl_communicator> communicator, int size)
    : resources_(resources), size_(size), communicator_(std::move(communicator)) {
  if (resources_.memory == nullptr) resources_.memory = &default_memory_resource(resources_.where);
  const cuda::current_device here(resources_.where.ordinal);
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(note);
  notes_ = cuda::device_allocation(*resources_.memory, bytes, resources_.stream);
  WARPBAG_CUDA_TRY(cudaMemsetAsync(notes_.data(), 0, bytes, resources_.stream));
}

void nccl_transport::all_to_all_v(std::span<const send_piece> sends,
                                  std::span<const receive_piece> receives) {
  communicator_->throw_if_closed();
  const std::vector<piece_size> outgoing = sizes_by_peer(sends, size_);
  const std::vector<piece_size> incoming = sizes_by_peer(receives, size_);
  copy_own_pieces(sends, of_peer(outgoing, rank()), receives, of_peer(incoming, rank()));
  communicator_->enqueue("all_to_all_v", [&](ncclComm_t communicator) {
    ncclResult_t result = ncclSuccess;
    for (const piece_size& piece : outgoing) {
      if (piece.peer == rank() || !went_well(result)) continue;
      const auto* data = static_cast<const std::byte*>(sends[piece.index].data);
      result = in_chunks(piece.bytes, [&](std::int64_t offset, std::size_t bytes) {
        return ncclSend(data + offset, bytes, ncclUint8, piece.peer, communicator,
                        resources_.stream);
      });
    }
    for (const piece_size& piece : incoming) {
      if (piece.peer == rank() || !went_well(result)) continue;
      auto* data = static_cast<std::byte*>(receives[piece.index].data);
      result = in_chunks(piece.bytes, [&](std::int64_t offset, std::size_t bytes) {
        return ncclRecv(data + offset, bytes, ncclUint8, piece.peer, communicator,
                        resources_.stream);
      });
    }
    return result;
  });
}

void nccl_transport::copy_own_pieces(std::span<const send_piece> sends,
                                     std::span<const piece_size> from,
                                     std::span<const receive_piece> receives,
                                     std::span<const piece_size> to) {
  const auto mismatch = find_mismatch(rank(), bytes_of(from), rank(), bytes_of(to));
  if (mismatch) communicator_->fail(*mismatch);
  const cuda::current_device here(resources_.where.ordinal);
  for (std::size_t i = 0; i < from.size(); ++i) {
    copy(receives[to[i].index].data, sends[from[i].index].data,
         static_cast<std::size_t>(from[i].bytes), cudaMemcpyDeviceToDevice);
  }
}

void nccl_transport::reduce_scatter_v(const void* data, std::span<const std::int64_t> counts,
                                      void* result, reduce_type type, reduce_operation operation) {
  communicator_->throw_if_closed();
  if (counts.size() != static_cast<std::size_t>(size_)) {
    throw invalid_argument("transport: reduce_scatter_v with " + std::to_string(counts.size()) +
                           " counts on " + std::to_string(size_) + " ranks");
  }
  for (const std::int64_t count : counts) require_memory("reduce_scatter_v", data, count);
  require_memory("reduce_scatter_v", result, counts[static_cast<std::size_t>(rank())]);
  const ncclDataType_t element = nccl_type(type);
  const ncclRedOp_t reduction = nccl_operation(operation);
  // NCCL's own takes parts of one size; a group of reductions, each to the rank that wants it,
  // takes any.
  communicator_->enqueue("reduce_scatter_v", [&](ncclComm_t communicator) {
    const std::byte* part = static_cast<const std::byte*>(data);
    for (int root = 0; root < size_; ++root) {
      const std::int64_t count = counts[static_cast<std::size_t>(root)];
      if (count == 0) continue;
      const ncclResult_t added =
          ncclReduce(part, root == rank() ? result : nullptr, static_cast<std::size_t>(count),
                     element, reduction, root, communicator, resources_.stream);
      if (!went_well(added)) return added;
      part += count * bytes_of(type);
    }
    return ncclSuccess;
  });
}

void nccl_transport::all_reduce(void* data, std::int64_t count, reduce_type type,
                                reduce_operation operation) {
  communicator_->throw_if_closed();
  require_memory("all_reduce", data, count);
  const ncclDataType_t element = nccl_type(type);
  const ncclRedOp_t reduction = nccl_operation(operation);
  if (count == 0) return;
  communicator_->enqueue("all_reduce", [&](ncclComm_t communicator) {
    return ncclAllReduce(data, data, static_cast<std::size_t>(count), element, reduction,
                         communicator, resources_.stream);
  });
}

void nccl_transport::broadcast(void* data, std::int64_t bytes, int root) {
  communicator_->throw_if_closed();
  if (root < 0 || root >= size_) {
    throw invalid_argument("transport: broadcast from rank " + std::to_string(root) + " of " +
                           std::to_string(size_));
  }
  require_memory("broadcast", data, bytes);
  if (bytes == 0) return;
  communicator_->enqueue("broadcast", [&](ncclComm_t communicator) {
    return ncclBroadcast(data, data, static_cast<std::size_t>(bytes), ncclUint8, root, communicator,
                         resources_.stream);
  });
}

void nccl_transport::barrier() {
  all_reduce(notes_.data(), 1, reduce_type::i64, reduce_operation::max);
  wait();
}

std::unique_ptr<transport> nccl_transport::split(int color, cuda_stream stream) {
  note mine = {};
  std::memcpy(mine.data(), &color, sizeof color);
  const std::vector<note> colors = exchange(mine);
  // NCCL's colors are not negative: the first rank of each color stands for it.
  const auto first = std::find(colors.begin(), colors.end(), mine);
  const int child_rank =
      static_cast<int>(std::count(colors.begin(), colors.begin() + rank(), mine));
  const int child_size = static_cast<int>(std::count(colors.begin(), colors.end(), mine));
  resources of_child = resources_;
  if (stream != nullptr) of_child.stream = stream;
  auto child = std::make_unique<nccl_communicator>(of_child.where.ordinal, of_child.stream,
                                                   child_rank, deadline());
  communicator_->split(*child, static_cast<int>(first - colors.begin()));
  return std::make_unique<nccl_transport>(of_child, std::move(child), child_size);
}

void nccl_transport::abort(const transport_error& fault) noexcept {
  try {
    communicator_->close(failure_of(fault));
  } catch (const std::exception&) {  // no memory for its words
    communicator_->close({});
  }
}

void nccl_transport::set_deadline(std::chrono::milliseconds deadline) {
  communicator_->set_deadline(checked_deadline(deadline));
}

void nccl_transport::require_distinct_devices() {
  ranks::require_distinct_devices(exchange(uuid_of_device(resources_.where.ordinal)));
}

std::vector<nccl_transport::note> nccl_transport::exchange(const note& mine) {
  communicator_->throw_if_closed();
  const cuda::current_device here(resources_.where.ordinal);
  std::byte* own = notes_.data() + static_cast<std::size_t>(rank()) * sizeof(note);
  copy(own, mine.data(), sizeof(note), cudaMemcpyHostToDevice);
  communicator_->enqueue("exchange", [&](ncclComm_t communicator) {
    return ncclAllGather(own, notes_.data(), sizeof(note), ncclUint8, communicator,
                         resources_.stream);
  });
  wait();  // before the copy, which would wait without a deadline
  std::vector<note> all(static_cast<std::size_t>(size_));
  copy(all.data(), notes_.data(), all.size() * sizeof(note), cudaMemcpyDeviceToHost);
  wait();
  return all;
}

void nccl_transport::copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t result = cudaMemcpyAsync(to, from, bytes, kind, resources_.stream);
  if (result != cudaSuccess) communicator_->fail_cuda("cudaMemcpyAsync", result);
}

}  // namespace warpbag::ranks
