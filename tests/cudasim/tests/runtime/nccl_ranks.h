// SPDX-License-Identifier: Apache-2.0
// Ranks for the NCCL tests: a communicator, a stream and three buffers each.
#pragma once
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "check.h"

__global__ void fill(float* p, int n, float v) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) p[i] = v + i;
}
__global__ void scale(float* p, int n, float f) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) p[i] *= f;
}

struct Rank {
  int rank, ranks, device;
  ncclComm_t comm = nullptr;
  cudaStream_t stream;
  float *in, *out, *wide;
  static constexpr int n = 300;

  void prepare() {
    OK(cudaSetDevice(device));
    OK(cudaStreamCreate(&stream));
    OK(cudaMalloc(&in, n * 4));
    OK(cudaMalloc(&out, n * 4));
    OK(cudaMalloc(&wide, n * 4 * ranks));
    fill<<<1, 128, 0, stream>>>(in, n, 1000.f * rank);
  }
  std::vector<float> get(const float* p, int count) {
    std::vector<float> h(count, -1);
    OK(cudaSetDevice(device));
    OK(cudaMemcpyAsync(h.data(), p, count * 4, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
    return h;
  }
};

// One communicator over the first n devices, driven by this thread.
inline std::vector<Rank> world(int n) {
  std::vector<ncclComm_t> comms(n);
  NOK(ncclCommInitAll(comms.data(), n, nullptr));
  std::vector<Rank> ranks(n);
  for (int i = 0; i < n; ++i) {
    ranks[i].rank = ranks[i].device = i;
    ranks[i].ranks = n;
    ranks[i].comm = comms[i];
    ranks[i].prepare();
  }
  return ranks;
}

// Runs body(rank, id) in n processes; rank 0 makes the id, rank `dead` may end as it likes.
template <class F>
int in_processes(int n, int dead, F&& body) {
  int p[2];
  if (pipe(p)) return 2;
  std::vector<pid_t> children;
  for (int i = 0; i < n; ++i) {
    pid_t child = fork();
    if (child) {
      children.push_back(child);
      continue;
    }
    ncclUniqueId id;
    if (i == 0) {
      NOK(ncclGetUniqueId(&id));
      for (int k = 1; k < n; ++k)
        if (write(p[1], &id, sizeof id) != sizeof id) _exit(9);
    } else if (read(p[0], &id, sizeof id) != sizeof id) {
      _exit(9);
    }
    body(i, id);
    std::fflush(stdout);
    _exit(report());
  }
  for (int i = 0; i < n; ++i) {
    int status = 0;
    waitpid(children[i], &status, 0);
    CHECK(i == dead || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  return report();
}
