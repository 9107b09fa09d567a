// SPDX-License-Identifier: Apache-2.0
// The ways to a NCCL transport. All end the same: the ranks join, tell each other their devices by
// NCCL itself, and refuse two ranks on one. Where they meet before that, they refuse it there.
#include <cstring>
#include <string>

#include "cuda/current_device.hpp"
#include "transport/launch_environment.hpp"
#include "transport/nccl_transport.hpp"
#include "transport/rendezvous.hpp"

namespace warpbag {

namespace {

using clock = std::chrono::steady_clock;
using ranks::device_uuid;
using ranks::nccl_communicator;
using ranks::require_distinct_devices;
using ranks::uuid_of_device;

void require_arguments(const resources& resources, int rank, int size,
                       std::chrono::milliseconds deadline) {
  ranks::require_cuda(resources);
  if (size < 1 || rank < 0 || rank >= size) {
    throw invalid_argument("rank " + std::to_string(rank) + " of " + std::to_string(size));
  }
  ranks::checked_deadline(deadline);
}

void try_nccl(ncclResult_t result, const char* call) {
  if (result == ncclSuccess) return;
  throw cuda_error(std::string(call) + ": " + ncclGetErrorString(result));
}

ncclUniqueId unique_id(const nccl_id& id) {
  ncclUniqueId out;
  static_assert(sizeof out == sizeof id.bytes);
  std::memcpy(&out, id.bytes, sizeof out);
  return out;
}

std::unique_ptr<nccl_communicator> new_communicator(const resources& resources, int rank,
                                                    std::chrono::milliseconds deadline) {
  return std::make_unique<nccl_communicator>(resources.where.ordinal, resources.stream, rank,
                                             deadline);
}

std::unique_ptr<transport> checked(const resources& resources,
                                   std::unique_ptr<nccl_communicator> communicator, int size) {
  auto out = std::make_unique<ranks::nccl_transport>(resources, std::move(communicator), size);
  out->require_distinct_devices();
  return out;
}

std::unique_ptr<transport> join(const resources& resources, int rank, int size, const nccl_id& id,
                                std::chrono::milliseconds deadline, clock::time_point until) {
  auto communicator = new_communicator(resources, rank, deadline);
  try {
    communicator->finish_join(communicator->begin_join(size, unique_id(id)), until);
  } catch (const invalid_argument& error) {  // NCCL names ranks, but devices by their bus alone
    throw invalid_argument(std::string(error.what()) + "; rank " + std::to_string(rank) +
                           " works on " + ranks::text_of(uuid_of_device(resources.where.ordinal)));
  }
  return checked(resources, std::move(communicator), size);
}

rendezvous::seat seat_of(const resources& resources, int rank, int size, clock::time_point until) {
  return {rank, size, uuid_of_device(resources.where.ordinal), until};
}

}  // namespace

bool has_nccl() { return true; }

nccl_id make_nccl_id() {
  ncclUniqueId id;
  try_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
  nccl_id out;
  std::memcpy(out.bytes, &id, sizeof id);
  return out;
}

std::unique_ptr<transport> make_nccl_transport(const resources& resources, int rank, int size,
                                               const nccl_id& id,
                                               std::chrono::milliseconds deadline) {
  require_arguments(resources, rank, size, deadline);
  return join(resources, rank, size, id, deadline, clock::now() + deadline);
}

std::unique_ptr<transport> make_nccl_transport(const resources& resources, ncclComm* communicator) {
  ranks::require_cuda(resources);
  if (communicator == nullptr) throw invalid_argument("communicator is nullptr");
  int rank = 0;
  int size = 0;
  int ordinal = 0;
  try_nccl(ncclCommUserRank(communicator, &rank), "ncclCommUserRank");
  try_nccl(ncclCommCount(communicator, &size), "ncclCommCount");
  try_nccl(ncclCommCuDevice(communicator, &ordinal), "ncclCommCuDevice");
  if (ordinal != resources.where.ordinal) {
    throw invalid_argument("the communicator works on CUDA device " + std::to_string(ordinal) +
                           ", the resources on " + std::to_string(resources.where.ordinal));
  }
  auto own = new_communicator(resources, rank, transport::default_deadline);
  own->copy_from(communicator);
  return checked(resources, std::move(own), size);
}

std::unique_ptr<transport> make_nccl_transport(const resources& resources, transport& bootstrap,
                                               std::chrono::milliseconds deadline) {
  require_arguments(resources, bootstrap.rank(), bootstrap.size(), deadline);
  if (bootstrap.where().kind != device_kind::cpu) {
    throw invalid_argument("bootstrap: a transport between CPU ranks is needed");
  }
  const clock::time_point until = clock::now() + deadline;
  const device_uuid mine = uuid_of_device(resources.where.ordinal);
  std::vector<device_uuid> devices(static_cast<std::size_t>(bootstrap.size()));
  std::vector<receive_piece> received;
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    received.push_back({static_cast<int>(rank), devices[rank].data(), sizeof mine});
  }
  bootstrap.all_gather_v(mine.data(), sizeof mine, received);
  require_distinct_devices(devices);
  nccl_id id;
  if (bootstrap.rank() == 0) id = make_nccl_id();
  bootstrap.broadcast(id.bytes, sizeof id.bytes, 0);
  return join(resources, bootstrap.rank(), bootstrap.size(), id, deadline, until);
}

std::unique_ptr<transport> make_nccl_transport(const resources& resources, int rank, int size,
                                               const std::filesystem::path& file,
                                               const std::string& nonce,
                                               std::chrono::milliseconds deadline) {
  require_arguments(resources, rank, size, deadline);
  const clock::time_point until = clock::now() + deadline;
  const rendezvous::meeting meeting =
      rendezvous::meet_at_file(seat_of(resources, rank, size, until), make_nccl_id, file, nonce);
  require_distinct_devices(meeting.devices);
  return join(resources, rank, size, meeting.id, deadline, until);
}

std::unique_ptr<transport> make_nccl_transport_from_environment(
    const resources& resources, std::chrono::milliseconds deadline) {
  const ranks::launch_environment launch = ranks::read_launch_environment();
  require_arguments(resources, launch.rank, launch.size, deadline);
  const clock::time_point until = clock::now() + deadline;
  const rendezvous::meeting meeting = rendezvous::meet_over_tcp(
      seat_of(resources, launch.rank, launch.size, until), make_nccl_id, launch.host, launch.port);
  require_distinct_devices(meeting.devices);
  return join(resources, launch.rank, launch.size, meeting.id, deadline, until);
}

std::vector<std::unique_ptr<transport>> make_nccl_transports(std::span<const resources> resources,
                                                             std::chrono::milliseconds deadline) {
  if (resources.empty()) throw invalid_argument("no devices: there must be a rank at least");
  const int size = static_cast<int>(resources.size());
  std::vector<device_uuid> devices;
  std::vector<std::unique_ptr<nccl_communicator>> communicators;
  for (const warpbag::resources& each : resources) {
    const int rank = static_cast<int>(communicators.size());
    require_arguments(each, rank, size, deadline);
    devices.push_back(uuid_of_device(each.where.ordinal));
    communicators.push_back(new_communicator(each, rank, deadline));
  }
  require_distinct_devices(devices);
  const clock::time_point until = clock::now() + deadline;
  const ncclUniqueId id = unique_id(make_nccl_id());
  try_nccl(ncclGroupStart(), "ncclGroupStart");
  ncclResult_t begun = ncclSuccess;
  for (const auto& communicator : communicators) {
    if (ranks::went_well(begun)) begun = communicator->begin_join(size, id);
  }
  const ncclResult_t ended = ncclGroupEnd();
  if (ranks::went_well(begun)) begun = ended;
  std::vector<std::unique_ptr<transport>> out;
  for (std::size_t rank = 0; rank < communicators.size(); ++rank) {
    communicators[rank]->finish_join(begun, until);
    out.push_back(std::make_unique<ranks::nccl_transport>(resources[rank],
                                                          std::move(communicators[rank]), size));
  }
  return out;
}

}  // namespace warpbag
