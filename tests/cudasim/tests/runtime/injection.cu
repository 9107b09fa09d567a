// SPDX-License-Identifier: Apache-2.0
// Failures on request, the default-stream detector, the leak report.
// Usage: injection functions|call|allocations|default-stream|leak|no-leak|strict|strict-forgiven|
//   threads
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "../../src/runtime/cudasim.h"
#include "check.h"

__global__ void set(int* p, int v) { *p = v; }

static int read_back(const int* p) {
  int v = -1;
  OK(cudaMemcpy(&v, p, sizeof v, cudaMemcpyDeviceToHost));
  return v;
}

static auto fail_call = CUDASIM_FIND(cudasim_fail_call);
static auto fail_allocation = CUDASIM_FIND(cudasim_fail_allocation);
static auto live_objects = CUDASIM_FIND(cudasim_live_objects);

static size_t free_bytes() {
  size_t free = 0, total = 0;
  OK(cudaMemGetInfo(&free, &total));
  return free;
}

// A failed call has done nothing: memory, streams and results are as before.
static int functions() {
  if (!fail_call) return std::printf("no simulator here: nothing to test\n"), 0;
  auto calls = CUDASIM_FIND(cudasim_call_count);
  auto allocations = CUDASIM_FIND(cudasim_allocation_count);
  int *a, *b = nullptr, host = 7;
  cudaStream_t s, t = nullptr;
  cudaEvent_t e = nullptr;
  OK(cudaStreamCreate(&s));
  OK(cudaMalloc(&a, sizeof(int)));
  set<<<1, 1, 0, s>>>(a, 1);
  OK(cudaStreamSynchronize(s));
  size_t before = free_bytes();
  unsigned long long live = live_objects(nullptr, 0);

  fail_call(1, cudaErrorLaunchFailure, 0);
  set<<<1, 1, 0, s>>>(a, 2);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaSuccess);  // not sticky
  OK(cudaStreamSynchronize(s));
  CHECK(read_back(a) == 1);

  fail_call(2, cudaErrorUnknown, 0);  // the second from now
  unsigned long long count = calls();
  OK(cudaMemcpyAsync(a, &host, sizeof host, cudaMemcpyHostToDevice, s));
  GIVES(cudaMemsetAsync(a, 0, sizeof(int), s), cudaErrorUnknown);
  OK(cudaStreamSynchronize(s));
  CHECK(calls() == count + 3);
  CHECK(read_back(a) == 7);

  // persistent, until it is ended
  fail_call(1, cudaErrorInvalidValue, 1);
  void* c = &host;
  size_t pitch = 5;
  cudaPitchedPtr volume{};
  GIVES(cudaMalloc(&b, 64), cudaErrorInvalidValue);
  GIVES(cudaMallocPitch(&c, &pitch, 100, 10), cudaErrorInvalidValue);
  GIVES(cudaMalloc3D(&volume, make_cudaExtent(10, 10, 10)), cudaErrorInvalidValue);
  GIVES(cudaStreamCreate(&t), cudaErrorInvalidValue);
  GIVES(cudaEventCreate(&e), cudaErrorInvalidValue);
  GIVES(cudaFree(a), cudaErrorInvalidValue);
  GIVES(cudaStreamDestroy(s), cudaErrorInvalidValue);
  fail_call(0, 0, 0);
  CHECK(!b && !t && !e && c == &host && pitch == 5 && !volume.pitch);
  CHECK(free_bytes() == before && live_objects(nullptr, 0) == live);
  set<<<1, 1, 0, s>>>(a, 3);
  OK(cudaStreamSynchronize(s));
  CHECK(read_back(a) == 3);

  // allocations of every kind
  count = allocations();
  for (int k = 1; k <= 4; ++k) {
    fail_allocation(k, 0);
    void* p[4] = {};
    cudaError_t got[4] = {cudaMalloc(&p[0], 64), cudaMallocHost(&p[1], 64),
                          cudaMallocAsync(&p[2], 64, s), cudaMallocManaged(&p[3], 64)};
    for (int i = 0; i < 4; ++i) {
      CHECK(got[i] == (i == k - 1 ? cudaErrorMemoryAllocation : cudaSuccess));
      CHECK((p[i] == nullptr) == (i == k - 1));
    }
    (void)cudaGetLastError();
    OK(cudaFree(p[0]));
    OK(cudaFreeHost(p[1]));
    if (p[2]) OK(cudaFreeAsync(p[2], s));
    OK(cudaFree(p[3]));
  }
  CHECK(allocations() == count + 16);
  OK(cudaStreamSynchronize(s));
  CHECK(free_bytes() == before && live_objects(nullptr, 0) == live);

  // capture: a failed call leaves the graph under construction intact
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
  set<<<1, 1, 0, s>>>(a, 8);
  fail_call(1, cudaErrorUnknown, 0);
  GIVES(cudaMemsetAsync(a, 0, sizeof(int), s), cudaErrorUnknown);
  OK(cudaStreamEndCapture(s, &graph));
  size_t nodes = 0;
  OK(cudaGraphGetNodes(graph, nullptr, &nodes));
  CHECK(nodes == 1);
  OK(cudaGraphInstantiate(&exec, graph, 0));
  OK(cudaGraphLaunch(exec, s));
  OK(cudaStreamSynchronize(s));
  CHECK(read_back(a) == 8);
  return report();
}

// CUDASIM_FAIL_CALL=3:cudaErrorNotReady and =3+:...
static int call(bool persistent) {
  int* p = nullptr;
  OK(cudaSetDevice(0));
  OK(cudaMalloc(&p, 4));
  GIVES(cudaMemset(p, 0, 4), cudaErrorNotReady);
  GIVES(cudaMemset(p, 0, 4), persistent ? cudaErrorNotReady : cudaSuccess);
  GIVES(cudaFree(p), persistent ? cudaErrorNotReady : cudaSuccess);
  return report();
}

// CUDASIM_FAIL_ALLOC=2
static int allocations() {
  void *p = nullptr, *q = nullptr;
  OK(cudaMalloc(&p, 4));
  GIVES(cudaMallocHost(&q, 4), cudaErrorMemoryAllocation);
  OK(cudaMallocHost(&q, 4));
  return report();
}

// CUDASIM_FORBID_DEFAULT_STREAM=1
static int default_stream() {
  int *p, host = 4;
  cudaStream_t s;
  OK(cudaMalloc(&p, 4));
  OK(cudaStreamCreate(&s));
  set<<<1, 1>>>(p, 1);
  GIVES(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  set<<<1, 1, 0, cudaStreamLegacy>>>(p, 1);
  GIVES(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  GIVES(cudaMemcpyAsync(p, &host, 4, cudaMemcpyHostToDevice, nullptr),
        cudaErrorInvalidResourceHandle);
  GIVES(cudaMemsetAsync(p, 0, 4, nullptr), cudaErrorInvalidResourceHandle);
  GIVES(cudaMemset(p, 0, 4), cudaErrorInvalidResourceHandle);
  OK(cudaMemcpy(p, &host, 4, cudaMemcpyHostToDevice));  // waits: allowed
  set<<<1, 1, 0, s>>>(p, 5);
  set<<<1, 1, 0, cudaStreamPerThread>>>(p + 0, 5);
  OK(cudaGetLastError());
  OK(cudaDeviceSynchronize());
  CHECK(read_back(p) == 5);
  if (auto forbid = CUDASIM_FIND(cudasim_forbid_default_stream)) {
    forbid(0);
    set<<<1, 1>>>(p, 6);
    OK(cudaGetLastError());
    CHECK(read_back(p) == 6);
  }
  return report();
}

// CUDASIM_LEAKS=1; the static object is released after main, and is no leak.
struct Late {
  void* p = nullptr;
  ~Late() {
    if (p) cudaFree(p);
  }
};
static Late late;

static int leak(bool leaks) {
  void *a, *b;
  cudaStream_t s;
  cudaEvent_t e;
  cudaGraph_t g;
  cudaGraphExec_t x;
  OK(cudaMalloc(&late.p, 10));
  OK(cudaMalloc(&a, 12345));
  OK(cudaMallocHost(&b, 54321));
  OK(cudaStreamCreate(&s));
  OK(cudaEventCreate(&e));
  OK(cudaGraphCreate(&g, 0));
  OK(cudaGraphInstantiate(&x, g, 0));
  if (live_objects) {
    char text[2000];
    CHECK(live_objects(text, sizeof text) == 7);
    CHECK(std::strstr(text, "12345") && std::strstr(text, "54321") && std::strstr(text, "event"));
  }
  if (leaks) return report();
  OK(cudaFree(a));
  OK(cudaFreeHost(b));
  OK(cudaStreamDestroy(s));
  OK(cudaEventDestroy(e));
  OK(cudaGraphExecDestroy(x));
  OK(cudaGraphDestroy(g));
  GIVES(cudaGraphDestroy(g), cudaErrorInvalidValue);
  return report();
}

// CUDASIM_STRICT=1: a finding fails the process; one that the test forgave does not.
static int strict(bool forgiven) {
  auto findings = CUDASIM_FIND(cudasim_finding_count);
  auto forgive = CUDASIM_FIND(cudasim_forgive_findings);
  if (!findings || !forgive) return std::printf("no simulator here: nothing to test\n"), 0;
  CHECK(findings() == 0);
  int* p;
  OK(cudaMalloc(&p, sizeof(int)));
  set<<<1, 1>>>(p + 1, 3);
  GIVES(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  CHECK(findings() == 1);
  OK(cudaDeviceReset());
  OK(cudaMalloc(&p, sizeof(int)));
  GIVES(cudaFree(p + 1), cudaErrorInvalidValue);
  CHECK(findings() == 2);
  OK(cudaFree(p));
  forgive(forgiven ? 2 : 0);
  CHECK(findings() == (forgiven ? 0 : 2));
  return report();
}

// Built with AddressSanitizer: what a host thread leaves behind is no leak.
static int threads() {
  for (int i = 0; i < 3; ++i)
    std::thread([] {
      int n = -1;
      OK(cudaGetDevice(&n));
      CHECK(n == 0);
    }).join();
  return report();
}

int main(int argc, char** argv) {
  std::string what = argc > 1 ? argv[1] : "functions";
  if (what == "functions") return functions();
  if (what == "call") return call(false);
  if (what == "call-persistent") return call(true);
  if (what == "allocations") return allocations();
  if (what == "default-stream") return default_stream();
  if (what == "threads") return threads();
  if (what == "strict") return strict(false);
  if (what == "strict-forgiven") return strict(true);
  return leak(what == "leak");
}
