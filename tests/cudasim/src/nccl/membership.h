// SPDX-License-Identifier: Apache-2.0
// How communicators come to be (init, split, shrink) and go.
#pragma once
#include <string>
#include <vector>

#include "rank.h"

namespace cudasim::nccl {

// A rank on its way into a communicator whose id it knows.
struct Joining {
  ncclComm_t* out;
  RankPtr rank;
  bool makes_hub = false;  // shrink: the first survivor's process becomes the meeting point
  bool patient = false;    // shrink: the meeting point may not be there yet
};
// A rank on its way into the communicator that its colour selects.
struct Splitting {
  ncclComm_t* out;
  RankPtr parent, child;
  int color, key;
};

// Every rank of the lists first registers, then waits: they may be all there are. With
// blocking = 0 the handles are there at once and the rest happens in the background.
ncclResult_t join_all(std::vector<Joining> joins);
ncclResult_t split_all(std::vector<Splitting> splits);

// Checks the arguments and makes the rank; the configuration may be null.
ncclResult_t prepare_rank(int ranks, int rank, const std::string& id, const ncclConfig_t* config,
                          RankPtr& out);
ncclResult_t prepare_child(const RankPtr& parent, const ncclConfig_t* config, RankPtr& out);
// The place of `parent` in the communicator without the excluded ranks.
ncclResult_t prepare_shrink(const RankPtr& parent, const int* excluded, int count,
                            const ncclConfig_t* config, ncclComm_t* out, Joining& join);

void leave(const RankPtr& rank, bool orderly);

}  // namespace cudasim::nccl
