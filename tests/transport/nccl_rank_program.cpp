// SPDX-License-Identifier: Apache-2.0
// One rank of nccl_processes_test: how it ended is its exit status (nccl_rank_status.hpp).
//
//   nccl_rank_program SCENARIO DEADLINE_MS [FILE NONCE]
//
// RANK and WORLD_SIZE say who it is; without a file it meets the others as torchrun's processes do.
#include <cstdio>
#include <cstdlib>

#include "transport/collective_checks.hpp"
#include "transport/gpu_ranks.hpp"
#include "transport/nccl_rank_status.hpp"

namespace warpbag::testing {
namespace {

int environment_number(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atoi(value);
}

std::unique_ptr<transport> connect(const resources& here, std::chrono::milliseconds deadline,
                                   int argc, char** argv) {
  if (argc < 5) return make_nccl_transport_from_environment(here, deadline);
  return make_nccl_transport(here, environment_number("RANK"), environment_number("WORLD_SIZE"),
                             std::filesystem::path(argv[3]), argv[4], deadline);
}

void run(transport& ranks, const std::string& scenario, std::chrono::milliseconds deadline) {
  if (scenario == "collectives") {
    check_collectives(ranks);
    const auto part = ranks.split(ranks.rank() % 2);
    check_collectives(*part);
  } else if (scenario == "until_it_fails") {
    ranks.set_deadline(deadline);
    for (;;) ranks.barrier();
  }
}

rank_status status_of(const std::string& scenario, int argc, char** argv) {
  const int device = scenario == "shared_device" ? 0 : environment_number("RANK");
  if (device_count() <= device) return rank_status::too_few_gpus;
  const std::chrono::milliseconds deadline(std::atoi(argv[2]));
  try {
    const gpu here(device);
    const auto ranks = connect(here, deadline, argc, argv);
    run(*ranks, scenario, deadline);
    return rank_status::done;
  } catch (const rank_lost& e) {
    std::fprintf(stderr, "rank_lost: %s\n", e.what());
    return rank_status::lost;
  } catch (const invalid_argument& e) {
    std::fprintf(stderr, "invalid_argument: %s\n", e.what());
    return rank_status::refused;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return rank_status::failed;
  }
}

}  // namespace
}  // namespace warpbag::testing

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return static_cast<int>(warpbag::testing::status_of(argv[1], argc, argv));
}
