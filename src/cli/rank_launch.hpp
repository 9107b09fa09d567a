// SPDX-License-Identifier: Apache-2.0
#pragma once
// From options to ranks at work.

#include <functional>
#include <memory>

#include "cli/device_options.hpp"
#include "cli/rank_options.hpp"
#include "model/model_device.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::cli {

/// What one rank works with. Without ranks: nullptr.
struct rank_place {
  std::unique_ptr<model::model_device> device;
  std::shared_ptr<transport> ranks;
};

/// Runs `work` for the rank of this process, or for each rank of it on a thread of its own, and
/// returns what it returned, which is the same on all ranks. When ranks throw, throws what the rank
/// at fault threw, as far as it is in this process.
/// @throws invalid_argument, device_unavailable, rank_lost
int run_on_ranks(const rank_options& ranks, const device_options& device,
                 const std::function<int(rank_place)>& work);

}  // namespace warpbag::cli
