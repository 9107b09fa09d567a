// SPDX-License-Identifier: Apache-2.0
// The profile, initcheck's shadow as the runtime keeps it, and a test that must fail.
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "check.h"

template <class T>
__global__ void axpy(T a, const T* x, T* y, int n) {
  __shared__ T tile[128];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) tile[threadIdx.x] = x[i];
  __syncthreads();
  if (i < n) y[i] += a * tile[threadIdx.x];
}
__global__ void copy(const int* in, int* out) { out[threadIdx.x] = in[threadIdx.x]; }

static int profile() {
  float *x, *y;
  OK(cudaMalloc(&x, 4096));
  OK(cudaMalloc(&y, 4096));
  OK(cudaMemset(x, 0, 4096));
  OK(cudaMemset(y, 0, 4096));
  for (int i = 0; i < 3; ++i) axpy<<<8, 128, 256>>>(2.f, x, y, 1024);
  OK(cudaGetLastError());
  OK(cudaDeviceSynchronize());
  return report();
}

static int read_profile(const char* path) {
  std::ifstream f(path);
  std::string text((std::istreambuf_iterator<char>(f)), {});
  auto has = [&](const char* s) { return text.find(s) != std::string::npos; };
  CHECK(has("void axpy<float>(float, float const*, float*, int)"));
  CHECK(has("\"launches\": 3"));
  CHECK(has("\"static_shared_bytes\": 512, \"dynamic_shared_bytes\": 256"));
  CHECK(has("\"registers_known\": true"));
  CHECK(has("\"theoretical_occupancy\": 1.0"));
  CHECK(has("\"blocks\": 24"));
  CHECK(has("\"threads\": 3072"));
  CHECK(has(
      "\"global_load_sectors\": 768"));  // 3 launches x 8 blocks x 4 warps x 4 sectors x (x and y)
  return report();
}

static int uninitialised() {
  int *a, *b, *c;
  OK(cudaMalloc(&a, 128));
  OK(cudaMalloc(&b, 128));
  OK(cudaMalloc(&c, 128));
  OK(cudaMemset(a, 1, 128));
  copy<<<1, 32>>>(a, b);  // fine
  copy<<<1, 32>>>(b, c);  // fine: b was written by the kernel
  OK(cudaMemcpy(b, c, 128, cudaMemcpyDeviceToDevice));
  OK(cudaDeviceSynchronize());
  return report();
}

// New memory holds no zeroes, and reading it is an initcheck finding.
static int garbage() {
  int *a, *b, h[32];
  OK(cudaMalloc(&a, 128));
  OK(cudaMalloc(&b, 128));
  copy<<<1, 32>>>(a, b);
  OK(cudaMemcpy(h, b, 128, cudaMemcpyDeviceToHost));
  CHECK(h[0] == -1 && h[31] == -1);
  return report();
}

// With CUDASIM_MEMORY=64M: exhaustion, and reuse of addresses after many frees.
static int exhaustion() {
  void *a, *b;
  OK(cudaMalloc(&a, 40 << 20));
  GIVES(cudaMalloc(&b, 40 << 20), cudaErrorMemoryAllocation);
  OK(cudaFree(a));
  OK(cudaMalloc(&b, 40 << 20));
  OK(cudaFree(b));
  void* kept[8];
  for (void*& k : kept) OK(cudaMalloc(&k, 1 << 20));
  for (int i = 0; i < 1000; ++i) {
    int* p;
    OK(cudaMallocAsync(&p, (1 + i % 20) << 20, 0));
    OK(cudaMemsetAsync(p, i, 128, 0));
    copy<<<1, 32>>>(p, static_cast<int*>(kept[i % 8]));
    OK(cudaFreeAsync(p, 0));
  }
  OK(cudaDeviceSynchronize());
  unsigned char h[128];
  OK(cudaMemcpy(h, kept[999 % 8], 128, cudaMemcpyDeviceToHost));
  CHECK(h[0] == 999 % 256 && h[127] == 999 % 256);
  size_t free = 0, total = 0;
  OK(cudaMemGetInfo(&free, &total));
  CHECK(total == 64 << 20 && free == total - (8 << 20));
  cudaMemPool_t pool;
  OK(cudaDeviceGetDefaultMemPool(&pool, 0));
  uint64_t used = 1, high = 0;
  OK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  OK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &high));
  CHECK(used == 0 && high > 0);
  return report();
}

__global__ void set_at(float* table, size_t i, float v) { table[i] = v; }
__global__ void sum_two(const float* table, size_t i, size_t j, float* out) {
  *out = table[i] + table[j];
}

static long peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, 6, "VmHWM:") == 0) return std::stol(line.substr(6)) / 1024;
  return -1;
}

// With CUDASIM_MEMORY=16G: a table past 2^33 bytes takes memory only where it is touched, also
// with initcheck's shadow, a whole memset, and reuse of what was freed.
static int big() {
  const size_t count = (9ull << 30) / sizeof(float) + 1000, last = count - 1;
  float *table, *out, h = 0;
  cudaStream_t s;
  OK(cudaStreamCreate(&s));
  OK(cudaMalloc(&out, sizeof(float)));
  for (int round = 0; round < 9; ++round) {  // past the four-fold address range: blocks are reused
    OK(cudaMalloc(&table, count * sizeof(float)));
    OK(cudaMemsetAsync(table, 0, count * sizeof(float), s));
    set_at<<<1, 1, 0, s>>>(table, last, 3.5f);
    sum_two<<<1, 1, 0, s>>>(table, last - (1u << 31), last, out);
    OK(cudaMemcpyAsync(&h, out, sizeof h, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    CHECK(h == 3.5f);
    OK(cudaMemcpyAsync(&h, table + last, sizeof h, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    CHECK(h == 3.5f);
    if (round == 8) break;
    OK(cudaFree(table));
  }
  void* more;
  GIVES(cudaMalloc(&more, 8ull << 30), cudaErrorMemoryAllocation);
  CHECK(peak_megabytes() > 0 && peak_megabytes() < 500);
  // One past the end is still an error.
  sum_two<<<1, 1, 0, s>>>(table, last + 1, last, out);
  GIVES(cudaStreamSynchronize(s), cudaErrorIllegalAddress);
  return report();
}

// The last element of a large allocation, never written: with CUDASIM_INITCHECK=1 a finding.
static int big_uninitialised() {
  const size_t count = (9ull << 30) / sizeof(float);
  float *table, *out;
  OK(cudaMalloc(&table, count * sizeof(float)));
  OK(cudaMalloc(&out, sizeof(float)));
  set_at<<<1, 1>>>(table, count - 1, 1.f);
  sum_two<<<1, 1>>>(table, count - 1, count - 2, out);
  OK(cudaDeviceSynchronize());
  CHECK(peak_megabytes() > 0 && peak_megabytes() < 500);
  return report();
}

__global__ void nothing() {}

// Many small launches: the queue must not grow without bound, nor be slow.
static int many() {
  int *a, h = 0;
  OK(cudaMalloc(&a, 128));
  OK(cudaMemset(a, 0, 128));
  for (int i = 0; i < 100000; ++i) nothing<<<1, 32>>>();
  OK(cudaGetLastError());
  OK(cudaMemcpy(&h, a, 4, cudaMemcpyDeviceToHost));
  CHECK(h == 0);
  return report();
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (!std::strcmp(what, "profile")) return profile();
  if (!std::strcmp(what, "read-profile")) return read_profile(argv[2]);
  if (!std::strcmp(what, "uninitialised")) return uninitialised();
  if (!std::strcmp(what, "garbage")) return garbage();
  if (!std::strcmp(what, "exhaustion")) return exhaustion();
  if (!std::strcmp(what, "many")) return many();
  if (!std::strcmp(what, "big")) return big();
  if (!std::strcmp(what, "big-uninitialised")) return big_uninitialised();
  CHECK(1 + 1 == 3);
  return report();
}
