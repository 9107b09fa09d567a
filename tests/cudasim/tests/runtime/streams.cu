// SPDX-License-Identifier: Apache-2.0
// Stream ordering. `streams good` must pass in both modes; `streams missing-event`
// and `streams pinned-reuse` are wrong programs that must compute wrong results
// when streams are lazy (exit status 3 = "the bug showed").
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "check.h"

__global__ void set(int* p, int v) { p[threadIdx.x] = v; }
__global__ void increment(int* p) { p[threadIdx.x] += 1; }
__global__ void twice(int* p) { p[threadIdx.x] *= 2; }
__global__ void raise(volatile int* flag) { *flag = 1; }

static int read(int* d, cudaStream_t s) {
  int h = -1;
  OK(cudaMemcpyAsync(&h, d, 4, cudaMemcpyDeviceToHost, s));
  OK(cudaStreamSynchronize(s));
  return h;
}

static int good() {
  int *d, *e;
  OK(cudaMalloc(&d, 128));
  OK(cudaMalloc(&e, 128));
  cudaStream_t a, b, free_a, free_b;
  OK(cudaStreamCreate(&a));
  OK(cudaStreamCreate(&b));
  OK(cudaStreamCreateWithFlags(&free_a, cudaStreamNonBlocking));
  OK(cudaStreamCreateWithPriority(&free_b, cudaStreamNonBlocking, -3));
  cudaEvent_t event, start, stop;
  OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  OK(cudaEventCreate(&start));
  OK(cudaEventCreate(&stop));
  int priority = 0;
  OK(cudaStreamGetPriority(free_b, &priority));
  CHECK(priority == -3);

  // in-order within a stream
  OK(cudaEventRecord(start, a));
  set<<<1, 32, 0, a>>>(d, 5);
  increment<<<1, 32, 0, a>>>(d);
  twice<<<1, 32, 0, a>>>(d);
  OK(cudaEventRecord(stop, a));
  GIVES(cudaEventElapsedTime(nullptr, start, stop), cudaErrorInvalidValue);
  CHECK(read(d, a) == 12);
  float ms = -1;
  OK(cudaEventElapsedTime(&ms, start, stop));
  CHECK(ms > 0);

  // across non-blocking streams with an event
  set<<<1, 32, 0, free_a>>>(d, 1);
  OK(cudaEventRecord(event, free_a));
  OK(cudaStreamWaitEvent(free_b, event, 0));
  increment<<<1, 32, 0, free_b>>>(d);
  CHECK(read(d, free_b) == 2);

  // the legacy default stream orders blocking streams
  set<<<1, 32, 0, a>>>(d, 10);
  increment<<<1, 32>>>(d);
  twice<<<1, 32, 0, b>>>(d);
  CHECK(read(d, b) == 22);

  // an event keeps what it recorded first, also when re-recorded later
  set<<<1, 32, 0, free_a>>>(d, 100);
  OK(cudaEventRecord(event, free_a));
  OK(cudaStreamWaitEvent(free_b, event, 0));
  increment<<<1, 32, 0, free_b>>>(d);
  OK(cudaEventRecord(event, free_b));
  OK(cudaEventSynchronize(event));
  CHECK(read(d, free_a) == 101);

  // polling makes progress
  set<<<1, 32, 0, a>>>(d, 3);
  OK(cudaEventRecord(event, a));
  int polls = 0;
  while (cudaEventQuery(event) == cudaErrorNotReady && polls < 100000) ++polls;
  (void)cudaGetLastError();
  CHECK(polls < 100000);
  set<<<1, 32, 0, a>>>(d, 4);
  polls = 0;
  while (cudaStreamQuery(a) == cudaErrorNotReady && polls < 100000) ++polls;
  (void)cudaGetLastError();
  CHECK(polls < 100000);

  // host functions run in stream order, and may not call CUDA
  struct Seen {
    std::atomic<int> calls{0};
    cudaError_t inside = cudaSuccess;
  } seen;
  OK(cudaLaunchHostFunc(
      a,
      [](void* p) {
        auto* s = static_cast<Seen*>(p);
        ++s->calls;
        s->inside = cudaDeviceSynchronize();
      },
      &seen));
  OK(cudaStreamAddCallback(
      a, [](cudaStream_t, cudaError_t, void* p) { ++static_cast<Seen*>(p)->calls; }, &seen, 0));
  OK(cudaStreamSynchronize(a));
  CHECK(seen.calls == 2);
  CHECK(seen.inside == cudaErrorNotPermitted);

  // pageable sources are staged at the call
  int host = 41;
  OK(cudaMemcpyAsync(d, &host, 4, cudaMemcpyHostToDevice, a));
  host = 0;
  increment<<<1, 1, 0, a>>>(d);
  CHECK(read(d, a) == 42);

  // per-thread default streams of two threads do not order each other, but each itself
  std::thread([&] {
    set<<<1, 32, 0, cudaStreamPerThread>>>(e, 6);
    increment<<<1, 32, 0, cudaStreamPerThread>>>(e);
    OK(cudaStreamSynchronize(cudaStreamPerThread));
  }).join();
  CHECK(read(e, a) == 7);

  // a host loop that spins on mapped memory sees the kernel's write in the end
  int* flag;
  OK(cudaMallocHost(&flag, 4));
  *flag = 0;
  raise<<<1, 1, 0, a>>>(flag);
  for (int i = 0; i < 10000 && *static_cast<volatile int*>(flag) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(*static_cast<volatile int*>(flag) == 1);

  GIVES(cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(0x1234500)),
        cudaErrorInvalidResourceHandle);
  set<<<1, 32, 0, b>>>(d, 77);
  OK(cudaStreamDestroy(b));  // queued work survives
  int h = 0;
  OK(cudaMemcpy(&h, d, 4, cudaMemcpyDeviceToHost));
  CHECK(h == 77);
  OK(cudaEventDestroy(event));
  OK(cudaStreamDestroy(a));
  return report();
}

static int missing_event() {
  int* d;
  OK(cudaMalloc(&d, 128));
  OK(cudaMemset(d, 0, 128));
  OK(cudaDeviceSynchronize());
  cudaStream_t a, b;
  OK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  set<<<1, 32, 0, a>>>(d, 20);
  increment<<<1, 32, 0, b>>>(d);  // should have waited for a
  OK(cudaDeviceSynchronize());
  int h = 0;
  OK(cudaMemcpy(&h, d, 4, cudaMemcpyDeviceToHost));
  std::printf("result %d\n", h);
  return check_failures ? 1 : h == 21 ? 0 : 3;
}

static int pinned_reuse() {
  int *d, *pinned;
  OK(cudaMalloc(&d, 4));
  OK(cudaMallocHost(&pinned, 4));
  cudaStream_t a;
  OK(cudaStreamCreate(&a));
  *pinned = 1;
  OK(cudaMemcpyAsync(d, pinned, 4, cudaMemcpyHostToDevice, a));
  *pinned = 2;  // before the copy is known to be done
  int h = read(d, a);
  std::printf("result %d\n", h);
  return check_failures ? 1 : h == 1 ? 0 : 3;
}

__global__ void shake(volatile int* mine, volatile int* theirs, int* out) {
  *theirs = 1;
  __threadfence_system();
  while (*mine == 0) {
  }
  *out = 5;
}

// Kernels of two devices that wait for each other, launched by one thread.
static int handshake() {
  int* flag[2];
  int* out[2];
  for (int d : {0, 1}) {
    OK(cudaSetDevice(d));
    OK(cudaDeviceEnablePeerAccess(1 - d, 0));
    OK(cudaMalloc(&flag[d], 4));
    OK(cudaMalloc(&out[d], 4));
    OK(cudaMemset(flag[d], 0, 4));
    OK(cudaDeviceSynchronize());
  }
  for (int d : {0, 1}) {
    OK(cudaSetDevice(d));
    shake<<<1, 1>>>(flag[d], flag[1 - d], out[d]);
  }
  for (int d : {0, 1}) {
    OK(cudaSetDevice(d));
    OK(cudaDeviceSynchronize());
    int h = 0;
    OK(cudaMemcpy(&h, out[d], 4, cudaMemcpyDeviceToHost));
    CHECK(h == 5);
  }
  return report();
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "good";
  if (!std::strcmp(what, "missing-event")) return missing_event();
  if (!std::strcmp(what, "pinned-reuse")) return pinned_reuse();
  if (!std::strcmp(what, "handshake")) return handshake();
  return good();
}
