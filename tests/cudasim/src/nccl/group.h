// SPDX-License-Identifier: Apache-2.0
// ncclGroupStart ... ncclGroupEnd: what a thread has collected.
#pragma once
#include "membership.h"

namespace cudasim::nccl::group {

void start();
ncclResult_t end();
void forget();  // as end, but does nothing

// Each does its work at once outside a group, and at the group's end inside one.
ncclResult_t add(Joining join);
ncclResult_t add(Splitting split);
ncclResult_t add(const RankPtr& rank, cudaStream_t stream, const Task& task);

// A call inside the group was refused: so is the whole group.
void set_error(ncclResult_t error);

}  // namespace cudasim::nccl::group
