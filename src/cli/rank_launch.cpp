// SPDX-License-Identifier: Apache-2.0
#include "cli/rank_launch.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cli/exit_code.hpp"

namespace warpbag::cli {

namespace {

/// The first of these environment variables that is set; nullptr: none is.
const char* first_variable(std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return nullptr;
}

/// Open MPI, and the MPIs that come from MPICH.
bool mpirun_started_us() {
  return first_variable({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"}) != nullptr;
}

/// The GPU of this process: --device cuda:N, or else as many as there are processes before it on
/// its machine, by what torchrun and MPIs say.
int device_of_process(const device_options& options) {
  if (!options.name.empty()) return parse_device(options).ordinal;
  const char* const text =
      first_variable({"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"});
  if (text == nullptr) return 0;
  int rank = -1;
  const std::string_view digits = text;
  const auto [end, problem] = std::from_chars(text, text + digits.size(), rank);
  if (problem != std::errc() || end != text + digits.size() || rank < 0) {
    throw invalid_argument("the local rank in the environment is '" + std::string(digits) + "'");
  }
  return rank;
}

void require_device(const device_options& options, device_kind kind, const char* where) {
  if (options.name.empty() || parse_device(options).kind == kind) return;
  throw invalid_argument(std::string(where) + ", not on --device " + options.name);
}

/// CPU ranks of one process share its threads.
int threads_of_rank(int threads, int num_ranks) {
  if (threads > 0) return threads;
  const auto all = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, all / num_ranks);
}

/// The ranks of one process.
struct process_ranks {
  std::unique_ptr<in_process_world> world;  // of CPU ranks
  std::vector<rank_place> places;
};

process_ranks make_cpu_ranks(int num_ranks, const device_options& device,
                             std::chrono::milliseconds deadline) {
  require_device(device, device_kind::cpu, "ranks of --transport in_process train on the CPU");
  process_ranks made;
  made.world = std::make_unique<in_process_world>(num_ranks);
  for (int rank = 0; rank < num_ranks; ++rank) {
    made.places.push_back({model::make_cpu_model_device(threads_of_rank(device.threads, num_ranks)),
                           made.world->connect(rank)});
    made.places.back().ranks->set_deadline(deadline);
  }
  return made;
}

process_ranks make_gpu_ranks(int num_ranks, const device_options& device,
                             std::chrono::milliseconds deadline) {
  if (!device.name.empty()) {
    throw invalid_argument(
        "--ranks N --transport nccl trains on GPUs 0 to N - 1, without --device");
  }
  process_ranks made;
  std::vector<resources> where;
  for (int rank = 0; rank < num_ranks; ++rank) {
    made.places.push_back({model::make_cuda_model_device(rank), nullptr});
    where.push_back(made.places.back().device->get_resources());
  }
  std::vector<std::unique_ptr<transport>> ranks = make_nccl_transports(where, deadline);
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    made.places[rank].ranks = std::move(ranks[rank]);
  }
  return made;
}

/// The rank that this process is.
rank_place make_place(const rank_options& options, const device_options& device) {
  const std::chrono::milliseconds deadline = deadline_of(options);
  rank_place place;
  if (transport_of(options) == rank_transport::mpi) {
    require_device(device, device_kind::cpu, "ranks of --transport mpi train on the CPU");
    place.device = model::make_cpu_model_device(device.threads);
    place.ranks = make_mpi_transport();
    place.ranks->set_deadline(deadline);
    return place;
  }
  require_device(device, device_kind::cuda, "ranks of --transport nccl train on GPUs");
  place.device = model::make_cuda_model_device(device_of_process(device));
  const resources& where = place.device->get_resources();
  const bool launched = first_variable({"RANK"}) != nullptr;
  if (!launched && has_mpi() && mpirun_started_us()) {
    place.ranks = make_nccl_transport(where, *make_mpi_transport(), deadline);
  } else {
    place.ranks = make_nccl_transport_from_environment(where, deadline);
  }
  return place;
}

/// The words of a rank at fault say more than those of the ranks that lost it.
[[noreturn]] void rethrow_cause(std::span<const std::exception_ptr> thrown) {
  std::exception_ptr lost;
  for (const std::exception_ptr& problem : thrown) {
    if (!problem) continue;
    try {
      std::rethrow_exception(problem);
    } catch (const transport_error&) {
      if (!lost) lost = problem;
    }
  }
  std::rethrow_exception(lost);
}

int run_threads(process_ranks ranks, const std::function<int(rank_place)>& work) {
  std::vector<std::exception_ptr> thrown(ranks.places.size());
  int code = exit_ok;
  {
    std::vector<std::jthread> threads;
    for (std::size_t rank = 0; rank < ranks.places.size(); ++rank) {
      threads.emplace_back([&, rank, mine = std::move(ranks.places[rank])]() mutable {
        try {
          const int returned = work(std::move(mine));
          if (rank == 0) code = returned;
        } catch (...) {
          thrown[rank] = std::current_exception();
        }
      });
    }
  }
  const bool failed =
      std::any_of(thrown.begin(), thrown.end(),
                  [](const std::exception_ptr& problem) { return problem != nullptr; });
  if (failed) rethrow_cause(thrown);
  return code;
}

}  // namespace

int run_on_ranks(const rank_options& ranks, const device_options& device,
                 const std::function<int(rank_place)>& work) {
  if (!are_wanted(ranks)) return work({make_device(device), nullptr});
  if (!ranks.ranks) return work(make_place(ranks, device));
  const auto make_ranks =
      transport_of(ranks) == rank_transport::nccl ? make_gpu_ranks : make_cpu_ranks;
  return run_threads(make_ranks(*ranks.ranks, device, deadline_of(ranks)), work);
}

}  // namespace warpbag::cli
