// SPDX-License-Identifier: Apache-2.0
// NCCL between simulated devices. Usage: nccl single|threads|processes N, or
// nccl mismatch|missing|order|transfer|unmatched|lost|missing-process|types|graph N.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "nccl_ranks.h"

// One step at a time for all ranks this caller drives.
static void collectives(std::vector<Rank*> mine) {
  auto all = [&](const std::function<ncclResult_t(Rank&)>& f) {
    if (mine.size() > 1) NOK(ncclGroupStart());
    for (Rank* r : mine) NOK(f(*r));
    if (mine.size() > 1) NOK(ncclGroupEnd());
  };
  const int n = Rank::n, ranks = mine[0]->ranks, half = n / ranks;
  float sum0 = 1000.f * ranks * (ranks - 1) / 2;
  all([&](Rank& r) { return ncclAllReduce(r.in, r.out, n, ncclFloat, ncclSum, r.comm, r.stream); });
  for (Rank* r : mine) {
    auto h = r->get(r->out, n);
    CHECK(h[0] == sum0 && h[n - 1] == sum0 + ranks * (n - 1));
  }
  // the stream orders a kernel after the collective, and the collective after a kernel
  for (Rank* r : mine) {
    OK(cudaSetDevice(r->device));
    scale<<<1, 64, 0, r->stream>>>(r->out, n, r->rank == 0 ? 2.f : 0.f);
  }
  all([&](Rank& r) {
    return ncclAllReduce(r.out, r.out, n, ncclFloat, ncclMax, r.comm, r.stream);
  });
  for (Rank* r : mine) CHECK(r->get(r->out, n)[5] == 2 * (sum0 + ranks * 5));
  all([&](Rank& r) {
    return ncclBroadcast(r.in, r.out, n, ncclFloat, ranks - 1, r.comm, r.stream);
  });
  for (Rank* r : mine) CHECK(r->get(r->out, n)[7] == 1000.f * (ranks - 1) + 7);
  all([&](Rank& r) { return ncclReduce(r.in, r.out, n, ncclFloat, ncclMin, 0, r.comm, r.stream); });
  for (Rank* r : mine) CHECK(r->get(r->out, n)[7] == (r->rank == 0 ? 7 : 1000.f * (ranks - 1) + 7));
  all([&](Rank& r) { return ncclAllGather(r.in, r.wide, n, ncclFloat, r.comm, r.stream); });
  for (Rank* r : mine) {
    auto h = r->get(r->wide, n * ranks);
    for (int k = 0; k < ranks; ++k) CHECK(h[k * n + 3] == 1000.f * k + 3);
  }
  all([&](Rank& r) {
    return ncclReduceScatter(r.in, r.out, half, ncclFloat, ncclAvg, r.comm, r.stream);
  });
  for (Rank* r : mine) {
    float expected = 1000.f * (ranks - 1) / 2 + r->rank * half;
    float got = r->get(r->out, half)[0];
    CHECK(got > expected - 0.01f && got < expected + 0.01f);
  }
  all([&](Rank& r) { return ncclAlltoAll(r.in, r.out, half, ncclFloat, r.comm, r.stream); });
  for (Rank* r : mine) {
    auto h = r->get(r->out, half * ranks);
    for (int k = 0; k < ranks; ++k) CHECK(h[k * half] == 1000.f * k + r->rank * half);
  }
  all([&](Rank& r) { return ncclGather(r.in, r.wide, n, ncclFloat, 1, r.comm, r.stream); });
  for (Rank* r : mine)
    if (r->rank == 1) CHECK(r->get(r->wide, n * ranks)[n * (ranks - 1)] == 1000.f * (ranks - 1));
  all([&](Rank& r) { return ncclScatter(r.in, r.out, half, ncclFloat, 1, r.comm, r.stream); });
  for (Rank* r : mine) CHECK(r->get(r->out, half)[0] == 1000.f + r->rank * half);
  // a ring: everyone sends to the right and receives from the left, in one group
  NOK(ncclGroupStart());
  for (Rank* r : mine) {
    NOK(ncclSend(r->in, n, ncclFloat, (r->rank + 1) % ranks, r->comm, r->stream));
    NOK(ncclRecv(r->out, n, ncclFloat, (r->rank + ranks - 1) % ranks, r->comm, r->stream));
  }
  NOK(ncclGroupEnd());
  for (Rank* r : mine) CHECK(r->get(r->out, n)[2] == 1000.f * ((r->rank + ranks - 1) % ranks) + 2);
  // halves of the world
  std::vector<ncclComm_t> parts(mine.size());
  NOK(ncclGroupStart());
  for (size_t i = 0; i < mine.size(); ++i)
    NOK(ncclCommSplit(mine[i]->comm, mine[i]->rank % 2, -mine[i]->rank, &parts[i], nullptr));
  NOK(ncclGroupEnd());
  NOK(ncclGroupStart());
  for (size_t i = 0; i < mine.size(); ++i)
    NOK(ncclAllReduce(mine[i]->in, mine[i]->out, 1, ncclFloat, ncclSum, parts[i], mine[i]->stream));
  NOK(ncclGroupEnd());
  for (size_t i = 0; i < mine.size(); ++i) {
    int count = 0, index = -1;
    NOK(ncclCommCount(parts[i], &count));
    NOK(ncclCommUserRank(parts[i], &index));
    float sum = 0;
    int members = 0, before = 0;
    for (int k = mine[i]->rank % 2; k < ranks; k += 2) {
      sum += 1000.f * k;
      ++members;
      before += k > mine[i]->rank;
    }
    CHECK(count == members && index == before);  // the key -rank reverses the order
    CHECK(mine[i]->get(mine[i]->out, 1)[0] == sum);
  }
  for (auto c : parts) NOK(ncclCommDestroy(c));
}

static int single(int n) {
  std::vector<ncclComm_t> comms(n);
  NOK(ncclCommInitAll(comms.data(), n, nullptr));
  std::vector<Rank> ranks(n);
  std::vector<Rank*> mine;
  for (int i = 0; i < n; ++i) {
    ranks[i].rank = ranks[i].device = i;
    ranks[i].ranks = n;
    ranks[i].comm = comms[i];
    ranks[i].prepare();
    mine.push_back(&ranks[i]);
  }
  collectives(mine);
  for (auto c : comms) NOK(ncclCommDestroy(c));
  return report();
}

static void one(int rank, int n, int device, ncclUniqueId id) {
  Rank r;
  r.rank = rank;
  r.ranks = n;
  r.device = device;
  OK(cudaSetDevice(device));
  NOK(ncclCommInitRank(&r.comm, n, id, rank));
  r.prepare();
  collectives({&r});
  NOK(ncclCommDestroy(r.comm));
}

static int threads(int n) {
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  std::vector<std::thread> all;
  for (int i = 0; i < n; ++i) all.emplace_back(one, i, n, i, id);
  for (auto& t : all) t.join();
  return report();
}

// Rank 0 makes the id and hands it to the others through pipes; each process sees its own device 0.
static int processes(int n) {
  std::vector<int> ends;
  for (int i = 1; i < n; ++i) {
    int p[2];
    if (pipe(p)) return 2;
    if (fork() == 0) {
      ncclUniqueId id;
      if (read(p[0], &id, sizeof id) != sizeof id) _exit(9);
      one(i, n, 0, id);
      std::fflush(stdout);
      std::exit(report());
    }
    ends.push_back(p[1]);
  }
  ncclUniqueId id;
  NOK(ncclGetUniqueId(&id));
  for (int fd : ends)
    if (write(fd, &id, sizeof id) != sizeof id) return 2;
  one(0, n, 0, id);
  for (int i = 1; i < n; ++i) {
    int status = 0;
    wait(&status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  return report();
}

// One process of several disappears, or never makes its call: the others get an error.
static int incomplete(int n, bool dies) {
  return in_processes(n, -1, [&](int i, ncclUniqueId id) {
    Rank r;
    r.rank = i;
    r.ranks = n;
    r.device = 0;
    NOK(ncclCommInitRank(&r.comm, n, id, i));
    r.prepare();
    if (i == 1 && dies) _exit(0);
    if (i == 1) {
      sleep(6);
      _exit(0);
    }
    NOK(ncclAllReduce(r.in, r.out, 16, ncclFloat, ncclSum, r.comm, r.stream));
    CHECK(cudaStreamSynchronize(r.stream) == cudaErrorLaunchFailure);
    ncclResult_t error = ncclSuccess;
    NOK(ncclCommGetAsyncError(r.comm, &error));
    CHECK(error == (dies ? ncclRemoteError : ncclSystemError));
  });
}

// Wrong programs: an error, not a hang.
static int wrong(const std::string& what, int n) {
  auto ranks = world(n);
  NOK(ncclGroupStart());
  for (Rank& r : ranks) {
    int count = what == "mismatch" && r.rank == 1 ? 17 : 16;
    if (what == "missing" && r.rank == 1) continue;
    if (what == "transfer") {
      if (r.rank == 0) NOK(ncclSend(r.in, 5, ncclFloat, 1, r.comm, r.stream));
      if (r.rank == 1) NOK(ncclRecv(r.out, 6, ncclFloat, 0, r.comm, r.stream));
      continue;
    }
    if (what == "unmatched") {  // two sends, one receive
      for (int k = 0; k < 2 && r.rank == 0; ++k)
        NOK(ncclSend(r.in, 5, ncclFloat, 1, r.comm, r.stream));
      if (r.rank == 1) NOK(ncclRecv(r.out, 5, ncclFloat, 0, r.comm, r.stream));
      continue;
    }
    if (what == "order" && r.rank == 1)
      NOK(ncclBroadcast(r.in, r.out, count, ncclFloat, 0, r.comm, r.stream));
    else
      NOK(ncclAllReduce(r.in, r.out, count, ncclFloat, ncclSum, r.comm, r.stream));
  }
  NOK(ncclGroupEnd());
  OK(cudaSetDevice(0));
  CHECK(cudaStreamSynchronize(ranks[0].stream) == cudaErrorLaunchFailure);
  ncclResult_t error = ncclSuccess;
  NOK(ncclCommGetAsyncError(ranks[0].comm, &error));
  CHECK(error == (what == "missing" || what == "unmatched" ? ncclSystemError : ncclInvalidUsage));
  CHECK(ncclAllReduce(ranks[0].in, ranks[0].out, 1, ncclFloat, ncclSum, ranks[0].comm,
                      ranks[0].stream) != ncclSuccess);
  return report();
}

template <class T>
struct Convert {
  static T to(double v) { return static_cast<T>(v); }
  static double from(T v) { return static_cast<double>(v); }
};
template <>
struct Convert<__half> {
  static __half to(double v) { return __float2half(float(v)); }
  static double from(__half v) { return __half2float(v); }
};
template <>
struct Convert<__nv_bfloat16> {
  static __nv_bfloat16 to(double v) { return __float2bfloat16(float(v)); }
  static double from(__nv_bfloat16 v) { return __bfloat162float(v); }
};

template <class T>
static void reductions(std::vector<Rank>& ranks, ncclDataType_t type) {
  const int n = 33, world = int(ranks.size());
  for (ncclRedOp_t op : {ncclSum, ncclProd, ncclMax, ncclMin, ncclAvg}) {
    std::vector<T*> in(world), out(world);
    std::vector<std::vector<T>> host(world, std::vector<T>(n));
    for (int r = 0; r < world; ++r) {
      OK(cudaSetDevice(r));
      OK(cudaMalloc(&in[r], n * sizeof(T)));
      OK(cudaMalloc(&out[r], n * sizeof(T)));
      for (int i = 0; i < n; ++i) host[r][i] = Convert<T>::to(1 + (i + r) % 3);
      OK(cudaMemcpy(in[r], host[r].data(), n * sizeof(T), cudaMemcpyHostToDevice));
    }
    NOK(ncclGroupStart());
    for (int r = 0; r < world; ++r)
      NOK(ncclAllReduce(in[r], out[r], n, type, op, ranks[r].comm, ranks[r].stream));
    NOK(ncclGroupEnd());
    for (int r = 0; r < world; ++r) {
      OK(cudaSetDevice(r));
      OK(cudaStreamSynchronize(ranks[r].stream));
      std::vector<T> got(n);
      OK(cudaMemcpy(got.data(), out[r], n * sizeof(T), cudaMemcpyDeviceToHost));
      bool same = true;
      for (int i = 0; i < n; ++i) {
        double v = op == ncclProd ? 1 : op == ncclMax ? -1 : op == ncclMin ? 99 : 0;
        for (int k = 0; k < world; ++k) {
          double x = Convert<T>::from(host[k][i]);
          v = op == ncclProd  ? v * x
              : op == ncclMax ? std::max(v, x)
              : op == ncclMin ? std::min(v, x)
                              : v + x;
        }
        if (op == ncclAvg) v = std::is_integral_v<T> ? double(long(v) / world) : v / world;
        same = same && std::abs(Convert<T>::from(got[i]) - v) <=
                           (op == ncclAvg && !std::is_integral_v<T> ? 0.02 : 0);
      }
      CHECK(same);
    }
  }
}

static int types(int n) {
  auto ranks = world(n);
  reductions<int8_t>(ranks, ncclInt8);
  reductions<uint8_t>(ranks, ncclUint8);
  reductions<int32_t>(ranks, ncclInt32);
  reductions<uint32_t>(ranks, ncclUint32);
  reductions<int64_t>(ranks, ncclInt64);
  reductions<uint64_t>(ranks, ncclUint64);
  reductions<__half>(ranks, ncclFloat16);
  reductions<float>(ranks, ncclFloat32);
  reductions<double>(ranks, ncclFloat64);
  reductions<__nv_bfloat16>(ranks, ncclBfloat16);
  // a pre-multiplied sum: rank r's input times r + 1
  NOK(ncclGroupStart());
  for (Rank& r : ranks) {
    float factor = r.rank + 1.f;
    ncclRedOp_t op;
    NOK(ncclRedOpCreatePreMulSum(&op, &factor, ncclFloat, ncclScalarHostImmediate, r.comm));
    NOK(ncclAllReduce(r.in, r.out, 4, ncclFloat, op, r.comm, r.stream));
    NOK(ncclRedOpDestroy(op, r.comm));
  }
  NOK(ncclGroupEnd());
  double expected = 0;
  for (int r = 0; r < n; ++r) expected += 1000.0 * r * (r + 1);
  for (Rank& r : ranks) CHECK(r.get(r.out, 1)[0] == float(expected));
  // several operations in one group, on two streams of each communicator
  std::vector<cudaStream_t> second(n);
  for (Rank& r : ranks) {
    OK(cudaSetDevice(r.device));
    OK(cudaStreamCreateWithFlags(&second[r.rank], cudaStreamNonBlocking));
    OK(cudaMemsetAsync(r.wide, 0, 64, r.stream));
    OK(cudaStreamSynchronize(r.stream));
  }
  NOK(ncclGroupStart());
  for (Rank& r : ranks) {
    NOK(ncclAllReduce(r.in, r.out, 10, ncclFloat, ncclSum, r.comm, r.stream));
    NOK(ncclBroadcast(r.in + 20, r.wide, 5, ncclFloat, 1, r.comm, second[r.rank]));
    NOK(ncclAllReduce(r.in + 10, r.out + 10, 10, ncclFloat, ncclMax, r.comm, r.stream));
  }
  NOK(ncclGroupEnd());
  for (Rank& r : ranks) {
    OK(cudaSetDevice(r.device));
    OK(cudaStreamSynchronize(second[r.rank]));
    auto h = r.get(r.out, 20);
    CHECK(h[0] == 1000.f * n * (n - 1) / 2 && h[19] == 1000.f * (n - 1) + 19);
    CHECK(r.get(r.wide, 5)[4] == 1024.f);
  }
  int version = 0;
  NOK(ncclGetVersion(&version));
  CHECK(version == NCCL_VERSION_CODE);
  CHECK(ncclAllReduce(nullptr, ranks[0].out, 4, ncclFloat, ncclSum, ranks[0].comm,
                      ranks[0].stream) == ncclInvalidArgument);
  return report();
}

// A captured collective replays.
static int graph(int n) {
  auto ranks = world(n);
  std::vector<cudaGraphExec_t> execs(n);
  std::vector<cudaGraph_t> graphs(n);
  for (Rank& r : ranks) {
    OK(cudaSetDevice(r.device));
    OK(cudaStreamSynchronize(r.stream));
    OK(cudaStreamBeginCapture(r.stream, cudaStreamCaptureModeRelaxed));
  }
  NOK(ncclGroupStart());
  for (Rank& r : ranks) NOK(ncclAllReduce(r.in, r.in, 8, ncclFloat, ncclSum, r.comm, r.stream));
  NOK(ncclGroupEnd());
  for (Rank& r : ranks) {
    OK(cudaStreamEndCapture(r.stream, &graphs[r.rank]));
    OK(cudaGraphInstantiate(&execs[r.rank], graphs[r.rank], 0));
  }
  for (int i = 0; i < 2; ++i)
    for (Rank& r : ranks) OK(cudaGraphLaunch(execs[r.rank], r.stream));
  for (Rank& r : ranks) CHECK(r.get(r.in, 1)[0] == 1000.f * n * (n - 1) / 2 * n);
  return report();
}

int main(int argc, char** argv) {
  std::string what = argc > 1 ? argv[1] : "single";
  int n = argc > 2 ? std::atoi(argv[2]) : 2;
  if (what == "single") return single(n);
  if (what == "threads") return threads(n);
  if (what == "processes") return processes(n);
  if (what == "lost") return incomplete(n, true);
  if (what == "missing-process") return incomplete(n, false);
  if (what == "types") return types(n);
  if (what == "graph") return graph(n);
  return wrong(what, n);
}
