// SPDX-License-Identifier: Apache-2.0
#include "rank.h"

#include <unordered_set>

namespace cudasim::nccl {
namespace {

std::mutex handles_mutex;
std::unordered_set<ncclComm_t>& handles() {
  static auto* h = new std::unordered_set<ncclComm_t>;
  return *h;
}
thread_local std::string last_error;

}  // namespace

bool valid(ncclComm_t comm) {
  std::lock_guard lock(handles_mutex);
  return comm && handles().count(comm);
}

ncclComm_t new_handle(RankPtr rank) {
  auto* comm = new ncclComm{std::move(rank)};
  std::lock_guard lock(handles_mutex);
  handles().insert(comm);
  return comm;
}

void delete_handle(ncclComm_t comm) {
  std::lock_guard lock(handles_mutex);
  handles().erase(comm);
  delete comm;
}

ncclResult_t refuse(ncclResult_t result, const std::string& why) {
  last_error = why;
  complain(why);
  return result;
}

const char* last_refusal() { return last_error.c_str(); }

}  // namespace cudasim::nccl
