// SPDX-License-Identifier: Apache-2.0
#include <mutex>

#include "sharding/sharded_case.hpp"

namespace warpbag::support {

run_results run_sharded(const sharded_case& drawn, bool prefetch) {
  run_results results = make_results(drawn);
  std::mutex collecting;
  in_process_world world(drawn.num_ranks);
  for_each_rank(drawn.num_ranks, [&](int rank) {
    const auto device = cpu_backend(1).make_device();
    rank_run run(*device, drawn, world.connect(rank));
    run.run(0, drawn.num_steps(), prefetch);
    const std::lock_guard lock(collecting);
    run.collect(results);
  });
  return results;
}

}  // namespace warpbag::support
