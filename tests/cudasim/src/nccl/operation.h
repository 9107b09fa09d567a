// SPDX-License-Identifier: Apache-2.0
// Collectives as stream operations.
#pragma once
#include <vector>

#include "rank.h"

namespace cudasim::nccl {

// Enqueues the tasks that one group call gave a rank on one stream: they progress together.
ncclResult_t launch(const RankPtr& rank, cudaStream_t stream, std::vector<Task> tasks);

}  // namespace cudasim::nccl
