// SPDX-License-Identifier: Apache-2.0
#include "group.h"

#include <algorithm>

#include "operation.h"

namespace cudasim::nccl::group {
namespace {

// The tasks of one communicator on one stream.
struct Batch {
  RankPtr rank;
  cudaStream_t stream;
  std::vector<Task> tasks;
};

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Batch> batches;
  std::vector<Joining> joins;
  std::vector<Splitting> splits;
};
thread_local Group current;

// With blocking = 0 the first operation connects the ranks, which takes its time.
ncclResult_t issue(Batch& batch) {
  ncclResult_t result = launch(batch.rank, batch.stream, std::move(batch.tasks));
  if (result != ncclSuccess || batch.rank->blocking || batch.rank->issued.exchange(true))
    return result;
  return batch.rank->in_progress();
}

}  // namespace

void start() { ++current.depth; }

ncclResult_t end() {
  if (current.depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--current.depth) return ncclSuccess;
  Group g = std::move(current);
  current = {};
  if (g.error != ncclSuccess) return g.error;
  ncclResult_t result = ncclSuccess;
  auto note = [&](ncclResult_t r) {  // an error counts for more than ncclInProgress
    if (result == ncclSuccess || (result == ncclInProgress && r != ncclSuccess)) result = r;
  };
  if (!g.joins.empty()) note(join_all(std::move(g.joins)));
  if (!g.splits.empty()) note(split_all(std::move(g.splits)));
  for (auto& batch : g.batches) note(issue(batch));
  return result;
}

void forget() {
  if (current.depth) --current.depth;
  if (!current.depth) current = {};
}

ncclResult_t add(Joining join) {
  if (!current.depth) return join_all({std::move(join)});
  current.joins.push_back(std::move(join));
  return ncclSuccess;
}

ncclResult_t add(Splitting split) {
  if (!current.depth) return split_all({std::move(split)});
  current.splits.push_back(std::move(split));
  return ncclSuccess;
}

ncclResult_t add(const RankPtr& rank, cudaStream_t stream, const Task& task) {
  Batch one{rank, stream, {task}};
  if (!current.depth) return issue(one);
  auto it = std::find_if(current.batches.begin(), current.batches.end(),
                         [&](const Batch& b) { return b.rank == rank && b.stream == stream; });
  if (it != current.batches.end())
    it->tasks.push_back(task);
  else
    current.batches.push_back(std::move(one));
  return ncclSuccess;
}

void set_error(ncclResult_t error) {
  if (current.depth) current.error = error;
}

}  // namespace cudasim::nccl::group
