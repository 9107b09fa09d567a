// SPDX-License-Identifier: Apache-2.0
// The NCCL entry points.
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "faults.h"
#include "group.h"

using namespace cudasim::nccl;

namespace {

ncclResult_t submit(ncclComm_t comm, cudaStream_t stream, Task task) {
  auto fail = [&](ncclResult_t r, const std::string& why) {
    group::set_error(r);
    return refuse(r, why);
  };
  if (!valid(comm)) return fail(ncclInvalidArgument, "not a communicator");
  auto& rank = comm->rank;
  Injection injection = count_operation(rank->origin);
  if (injection.result != ncclSuccess)
    return fail(injection.result, task.text() + ": injected failure");
  task.dead = injection.dead;
  task.delay_ms = injection.delay_ms;
  if (element_size(task.type) == 0)
    return fail(ncclInvalidArgument, task.text() + ": not a data type");
  if (task.root < 0 || task.root >= rank->ranks)
    return fail(ncclInvalidArgument, task.text() + ": no such rank");
  if (rank->revoked || rank->finalized)
    return fail(ncclInvalidUsage, task.text() + ": the communicator was revoked or finalized");
  if (rank->joining || rank->unpolled)
    return fail(
        ncclInvalidArgument,
        task.text() +
            ": the call before it returned ncclInProgress, and nobody waited for ncclSuccess");
  if (ncclResult_t e = rank->state(); e != ncclSuccess)
    return fail(e, task.text() + ": the communicator has failed before");
  for (bool out : {false, true}) {
    const void* p = out ? task.recv : task.send;
    size_t bytes =
        out ? task.recv_bytes(rank->ranks, rank->rank) : task.send_bytes(rank->ranks, rank->rank);
    uint8_t *data = nullptr, *init = nullptr;
    if (bytes && !cudasim_plugin_locate(rank->device, p, bytes, &data, &init)) {
      if (p && cudasim_plugin_promised(p)) continue;
      return fail(ncclInvalidArgument, task.text() + ": its " + (out ? "receive" : "send") +
                                           " buffer is not device memory");
    }
  }
  return group::add(rank, stream, task);
}

ncclResult_t reducing(ncclComm_t comm, cudaStream_t stream, Task task, ncclRedOp_t op) {
  task.reduction.op = op;
  if (op < 0) return refuse(ncclInvalidArgument, "not a reduction");
  if (op >= ncclNumOps) {
    if (!valid(comm)) return refuse(ncclInvalidArgument, "not a communicator");
    std::lock_guard lock(comm->rank->mutex);
    auto it = comm->rank->operators.find(op);
    if (it == comm->rank->operators.end())
      return refuse(ncclInvalidArgument, "not a reduction of this communicator");
    task.reduction = it->second.first;
    task.device_scalar = it->second.second;
  }
  return submit(comm, stream, task);
}

ncclResult_t init_rank(ncclComm_t* out, int ranks, const ncclUniqueId& id, int index,
                       const ncclConfig_t* config) {
  if (!out) return ncclInvalidArgument;
  *out = nullptr;
  Joining join{out, nullptr};
  std::string text(id.internal, strnlen(id.internal, sizeof id.internal));
  ncclResult_t result = prepare_rank(ranks, index, text, config, join.rank);
  return result == ncclSuccess ? group::add(std::move(join)) : result;
}

ncclResult_t release(ncclComm_t comm, bool orderly) {
  if (!comm) return ncclSuccess;
  if (!valid(comm)) return refuse(ncclInvalidArgument, "not a communicator");
  auto rank = comm->rank;
  delete_handle(comm);
  leave(rank, orderly);
  return ncclSuccess;
}

template <class F>
ncclResult_t query(ncclComm_t comm, int* out, F&& value) {
  if (!valid(comm) || !out) return ncclInvalidArgument;
  if (comm->rank->joining)
    return refuse(ncclInvalidArgument, "the communicator is not initialised yet");
  *out = value(*comm->rank);
  return ncclSuccess;
}

Task make(Kind kind, const void* send, void* recv, size_t count, ncclDataType_t type,
          int root = 0) {
  Task t;
  t.kind = kind;
  t.send = send;
  t.recv = recv;
  t.count = count;
  t.type = type;
  t.root = root;
  return t;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  if (!version) return ncclInvalidArgument;
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* out) {
  if (!out) return ncclInvalidArgument;
  std::memset(out, 0, sizeof *out);
  std::string id = new_hub()->id;
  std::memcpy(out->internal, id.data(), std::min(id.size(), sizeof out->internal - 1));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return init_rank(comm, ranks, id, rank, nullptr);
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  return init_rank(comm, ranks, id, rank, config);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t* comm, int ranks, int rank, int ids,
                                      ncclUniqueId* list, ncclConfig_t* config) {
  if (ids < 1 || ids > ranks || !list)
    return refuse(ncclInvalidArgument, "ncclCommInitRankScalable: one to nranks unique ids");
  return init_rank(comm, ranks, list[0], rank, config);  // all ranks meet where the first id leads
}

ncclResult_t ncclCommInitAll(ncclComm_t* out, int devices, const int* list) {
  if (!out || devices < 1) return ncclInvalidArgument;
  std::string id = new_hub()->id;
  std::vector<Joining> joins;
  for (int i = 0; i < devices; ++i) {
    Joining join{out + i, nullptr};
    if (ncclResult_t r = prepare_rank(devices, i, id, nullptr, join.rank); r != ncclSuccess)
      return r;
    int d = join.rank->device = list ? list[i] : i;
    if (d < 0 || d >= cudasim_plugin_device_count())
      return refuse(ncclInvalidArgument, "ncclCommInitAll: no device " + std::to_string(d));
    for (auto& j : joins)
      if (j.rank->device == d)
        return refuse(ncclInvalidUsage,
                      "ncclCommInitAll: device " + std::to_string(d) + " is named twice");
    joins.push_back(std::move(join));
  }
  return join_all(std::move(joins));
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* out,
                           ncclConfig_t* config) {
  if (!out || !valid(comm)) return refuse(ncclInvalidArgument, "ncclCommSplit: not a communicator");
  if (color < 0 && color != NCCL_SPLIT_NOCOLOR)
    return refuse(ncclInvalidArgument, "ncclCommSplit: negative color");
  if (ncclResult_t r = comm->rank->usable(); r != ncclSuccess)
    return refuse(r, "ncclCommSplit: the communicator is not usable");
  Splitting split{out, comm->rank, nullptr, color, key};
  if (ncclResult_t r = prepare_child(comm->rank, config, split.child); r != ncclSuccess) return r;
  return group::add(std::move(split));
}

ncclResult_t ncclCommShrink(ncclComm_t comm, int* excluded, int count, ncclComm_t* out,
                            ncclConfig_t* config, int flags) {
  if (!out || !valid(comm))
    return refuse(ncclInvalidArgument, "ncclCommShrink: not a communicator");
  if (flags & ~NCCL_SHRINK_ABORT)
    return refuse(ncclInvalidArgument, "ncclCommShrink: unknown flags");
  *out = nullptr;
  auto& parent = comm->rank;
  if (!(flags & NCCL_SHRINK_ABORT))
    if (ncclResult_t r = parent->usable(); r != ncclSuccess)
      return refuse(r, "ncclCommShrink: the communicator is not usable");
  Joining join{out, nullptr};
  if (ncclResult_t r = prepare_shrink(parent, excluded, count, config, out, join); r != ncclSuccess)
    return r;
  if (flags & NCCL_SHRINK_ABORT) parent->stop();
  return group::add(std::move(join));
}

ncclResult_t ncclCommRevoke(ncclComm_t comm, int flags) {
  if (!valid(comm) || flags != NCCL_REVOKE_DEFAULT)
    return refuse(ncclInvalidArgument, "ncclCommRevoke: not a communicator, or flags");
  auto& rank = comm->rank;
  if (rank->joining)
    return refuse(ncclInvalidArgument, "ncclCommRevoke: the communicator is not initialised yet");
  rank->revoked = true;
  rank->stop();
  return rank->in_progress();
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (!valid(comm)) return ncclInvalidArgument;
  auto& rank = comm->rank;
  if (rank->revoked)
    return refuse(ncclInvalidUsage, "ncclCommFinalize: the communicator was revoked");
  if (ncclResult_t r = rank->usable(); r != ncclSuccess) return r;
  rank->finalized = true;
  return rank->in_progress();
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) { return release(comm, true); }
ncclResult_t ncclCommAbort(ncclComm_t comm) { return release(comm, false); }

ncclResult_t ncclCommCount(const ncclComm_t comm, int* out) {
  return query(comm, out, [](const Rank& r) { return r.ranks; });
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* out) {
  return query(comm, out, [](const Rank& r) { return r.device; });
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* out) {
  return query(comm, out, [](const Rank& r) { return r.rank; });
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* out) {
  if (!valid(comm) || !out) return ncclInvalidArgument;
  *out = comm->rank->state();
  // What returned ncclInProgress is not done before it was asked about.
  if (*out == ncclSuccess && comm->rank->unpolled.exchange(false)) *out = ncclInProgress;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError: return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument: return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage: return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
    default: return "unknown result code";
  }
}
const char* ncclGetLastError(ncclComm_t) { return last_refusal(); }

ncclResult_t ncclGroupStart() {
  group::start();
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() { return group::end(); }
ncclResult_t ncclGroupSimulateEnd(ncclSimInfo_t* info) {
  if (info) info->estimatedTime = 0;
  group::forget();
  return ncclSuccess;
}

// ------------------------------------------------------------- operations ---

ncclResult_t ncclAllReduce(const void* s, void* r, size_t n, ncclDataType_t t, ncclRedOp_t op,
                           ncclComm_t c, cudaStream_t st) {
  return reducing(c, st, make(Kind::all_reduce, s, r, n, t), op);
}
ncclResult_t ncclReduce(const void* s, void* r, size_t n, ncclDataType_t t, ncclRedOp_t op,
                        int root, ncclComm_t c, cudaStream_t st) {
  return reducing(c, st, make(Kind::reduce, s, r, n, t, root), op);
}
ncclResult_t ncclReduceScatter(const void* s, void* r, size_t n, ncclDataType_t t, ncclRedOp_t op,
                               ncclComm_t c, cudaStream_t st) {
  return reducing(c, st, make(Kind::reduce_scatter, s, r, n, t), op);
}
ncclResult_t ncclBroadcast(const void* s, void* r, size_t n, ncclDataType_t t, int root,
                           ncclComm_t c, cudaStream_t st) {
  return submit(c, st, make(Kind::broadcast, s, r, n, t, root));
}
ncclResult_t ncclBcast(void* p, size_t n, ncclDataType_t t, int root, ncclComm_t c,
                       cudaStream_t st) {
  return submit(c, st, make(Kind::broadcast, p, p, n, t, root));
}
ncclResult_t ncclAllGather(const void* s, void* r, size_t n, ncclDataType_t t, ncclComm_t c,
                           cudaStream_t st) {
  return submit(c, st, make(Kind::all_gather, s, r, n, t));
}
ncclResult_t ncclAlltoAll(const void* s, void* r, size_t n, ncclDataType_t t, ncclComm_t c,
                          cudaStream_t st) {
  return submit(c, st, make(Kind::all_to_all, s, r, n, t));
}
ncclResult_t ncclGather(const void* s, void* r, size_t n, ncclDataType_t t, int root, ncclComm_t c,
                        cudaStream_t st) {
  return submit(c, st, make(Kind::gather, s, r, n, t, root));
}
ncclResult_t ncclScatter(const void* s, void* r, size_t n, ncclDataType_t t, int root, ncclComm_t c,
                         cudaStream_t st) {
  return submit(c, st, make(Kind::scatter, s, r, n, t, root));
}
ncclResult_t ncclSend(const void* s, size_t n, ncclDataType_t t, int peer, ncclComm_t c,
                      cudaStream_t st) {
  return submit(c, st, make(Kind::send, s, nullptr, n, t, peer));
}
ncclResult_t ncclRecv(void* r, size_t n, ncclDataType_t t, int peer, ncclComm_t c,
                      cudaStream_t st) {
  return submit(c, st, make(Kind::recv, nullptr, r, n, t, peer));
}

ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t* out, void* scalar, ncclDataType_t type,
                                      ncclScalarResidence_t where, ncclComm_t comm) {
  if (!out || !scalar || !valid(comm) || element_size(type) == 0) return ncclInvalidArgument;
  std::lock_guard lock(comm->rank->mutex);
  Reduction r;
  r.op = ncclNumOps;
  if (where == ncclScalarHostImmediate) std::memcpy(r.scalar, scalar, element_size(type));
  int handle = comm->rank->next_operator++;
  comm->rank->operators[handle] = {r, where == ncclScalarDevice ? scalar : nullptr};
  *out = static_cast<ncclRedOp_t>(handle);
  return ncclSuccess;
}
ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm) {
  if (!valid(comm)) return ncclInvalidArgument;
  std::lock_guard lock(comm->rank->mutex);
  return comm->rank->operators.erase(op) ? ncclSuccess : ncclInvalidArgument;
}

// ----------------------------------------------------------------- memory ---

ncclResult_t ncclMemAlloc(void** out, size_t size) {
  return cudaMalloc(out, size) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclMemFree(void* p) {
  return cudaFree(p) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* p, size_t, void** handle) {
  if (!valid(comm) || !handle) return ncclInvalidArgument;
  *handle = p;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void*) {
  return valid(comm) ? ncclSuccess : ncclInvalidArgument;
}
ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void* p, size_t, ncclWindow_t* out, int) {
  if (!valid(comm) || !out) return ncclInvalidArgument;
  *out = reinterpret_cast<ncclWindow_t>(p);
  return ncclSuccess;
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t) {
  return valid(comm) ? ncclSuccess : ncclInvalidArgument;
}

void ncclResetDebugInit() {}

// Out of scope: they say so.
static ncclResult_t unsupported(const char* name) {
  return refuse(ncclInvalidUsage, std::string(name) + " is not supported");
}
ncclResult_t ncclDevCommCreate() { return unsupported("ncclDevCommCreate"); }
ncclResult_t ncclDevCommDestroy() { return unsupported("ncclDevCommDestroy"); }

}  // extern "C"

// The profiling names of the same functions.
// clang-format off
#define NCCL_CALLS(X) \
  X(ncclAllGather) X(ncclAllReduce) X(ncclAlltoAll) X(ncclBcast) X(ncclBroadcast) \
  X(ncclCommAbort) X(ncclCommCount) X(ncclCommCuDevice) X(ncclCommDeregister) X(ncclCommDestroy) \
  X(ncclCommFinalize) X(ncclCommGetAsyncError) X(ncclCommInitAll) X(ncclCommInitRank) \
  X(ncclCommInitRankConfig) X(ncclCommInitRankScalable) X(ncclCommRegister) X(ncclCommRevoke) \
  X(ncclCommShrink) X(ncclCommSplit) X(ncclCommUserRank) X(ncclCommWindowDeregister) \
  X(ncclCommWindowRegister) X(ncclGather) X(ncclGetErrorString) X(ncclGetLastError) \
  X(ncclGetUniqueId) X(ncclGetVersion) X(ncclGroupEnd) X(ncclGroupSimulateEnd) X(ncclGroupStart) \
  X(ncclMemAlloc) X(ncclMemFree) X(ncclRecv) X(ncclRedOpCreatePreMulSum) X(ncclRedOpDestroy) \
  X(ncclReduce) X(ncclReduceScatter) X(ncclResetDebugInit) X(ncclScatter) X(ncclSend)
// clang-format on
#define ALIAS(name) \
  __asm__(".globl p" #name "\n.type p" #name ", @function\n.set p" #name ", " #name);
NCCL_CALLS(ALIAS)
