// SPDX-License-Identifier: Apache-2.0
// Launches, symbols, copies, error codes.
#include <cstring>
#include <numeric>
#include <vector>

#include "check.h"

__constant__ float scale[2] = {2.0f, 3.0f};
__device__ int counter = 5;
__device__ double table[4] = {1, 2, 3, 4};
__managed__ int managed = 7;

__global__ void add(const float* a, const float* b, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] + b[i];
}
__global__ void scaled(const float* a, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] * scale[0] + scale[1];
  if (i == 0) {
    atomicAdd(&counter, 10);
    managed += 1;
    table[3] = 40;
  }
}
struct Big {
  int values[20];
  char tail;
};
__global__ void by_value(Big b, char c, double d, int* out) {
  out[threadIdx.x] = b.values[threadIdx.x] + c + int(d);
}
__global__ void __launch_bounds__(64) bounded(int* out) { out[threadIdx.x] = 1; }

int other_unit(int);  // two_units.cu

int main() {
  const int n = 1000;
  std::vector<float> a(n), b(n), out(n, -1);
  std::iota(a.begin(), a.end(), 0.f);
  for (int i = 0; i < n; ++i) b[i] = 0.5f * i;
  float *da, *db, *dout;
  OK(cudaMalloc(&da, n * 4));
  OK(cudaMalloc(&db, n * 4));
  OK(cudaMalloc(&dout, n * 4));
  CHECK((reinterpret_cast<size_t>(da) & 255) == 0);
  OK(cudaMemcpy(da, a.data(), n * 4, cudaMemcpyHostToDevice));
  OK(cudaMemcpy(db, b.data(), n * 4, cudaMemcpyHostToDevice));
  add<<<(n + 255) / 256, 256>>>(da, db, dout, n);
  OK(cudaGetLastError());
  OK(cudaMemcpy(out.data(), dout, n * 4, cudaMemcpyDeviceToHost));
  for (int i = 0; i < n; ++i) CHECK(out[i] == 1.5f * i);

  // symbols
  managed = 20;
  scaled<<<4, 256>>>(da, dout, n);
  OK(cudaDeviceSynchronize());
  OK(cudaMemcpy(out.data(), dout, n * 4, cudaMemcpyDeviceToHost));
  CHECK(out[10] == 23.f);
  int c = 0;
  OK(cudaMemcpyFromSymbol(&c, counter, 4));
  CHECK(c == 15);
  CHECK(managed == 21);
  double t[4];
  OK(cudaMemcpyFromSymbol(t, table, sizeof t));
  CHECK(t[0] == 1 && t[3] == 40);
  float s[2] = {10, 1};
  OK(cudaMemcpyToSymbol(scale, s, 8));
  scaled<<<4, 256>>>(da, dout, n);
  OK(cudaMemcpy(out.data(), dout, n * 4, cudaMemcpyDeviceToHost));
  CHECK(out[10] == 101.f);
  void* address = nullptr;
  size_t bytes = 0;
  OK(cudaGetSymbolAddress(&address, counter));
  OK(cudaGetSymbolSize(&bytes, table));
  CHECK(address && bytes == 32);
  GIVES(cudaMemcpyToSymbol(scale, s, 8, 4), cudaErrorInvalidValue);
  GIVES(cudaMemcpyFromSymbol(&c, &n, 4), cudaErrorInvalidSymbol);

  // parameters by value; the kernel sees what the launch captured
  int* di;
  OK(cudaMalloc(&di, 80));
  Big big;
  for (int i = 0; i < 20; ++i) big.values[i] = i * i;
  by_value<<<1, 20>>>(big, 3, 100.0, di);
  std::memset(&big, 0, sizeof big);
  int hi[20];
  OK(cudaMemcpy(hi, di, 80, cudaMemcpyDeviceToHost));
  for (int i = 0; i < 20; ++i) CHECK(hi[i] == i * i + 103);

  CHECK(other_unit(4) == 4 * 4 + 1000);

  // 2-D copies and memsets
  char *pitched, host[3][5] = {"abcd", "efgh", "ijkl"}, back[3][5] = {};
  size_t pitch;
  OK(cudaMallocPitch(&pitched, &pitch, 5, 3));
  CHECK(pitch >= 5 && pitch % 32 == 0);
  OK(cudaMemcpy2D(pitched, pitch, host, 5, 5, 3, cudaMemcpyHostToDevice));
  OK(cudaMemset2D(pitched + pitch, pitch, 'z', 2, 1));
  OK(cudaMemcpy2D(back, 5, pitched, pitch, 5, 3, cudaMemcpyDeviceToHost));
  CHECK(!std::strcmp(back[0], "abcd") && !std::strcmp(back[1], "zzgh") &&
        !std::strcmp(back[2], "ijkl"));

  // wrong calls
  GIVES(cudaMemcpy(da, a.data(), n * 4 + 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  GIVES(cudaMemcpy(a.data(), b.data(), 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  GIVES(cudaMemcpy(da, a.data(), 4, static_cast<cudaMemcpyKind>(9)),
        cudaErrorInvalidMemcpyDirection);
  GIVES(cudaFree(da + 1), cudaErrorInvalidValue);
  GIVES(cudaFree(a.data()), cudaErrorInvalidValue);
  GIVES(cudaFreeHost(da), cudaErrorInvalidValue);
  GIVES(cudaSetDevice(5), cudaErrorInvalidDevice);
  float* huge;
  GIVES(cudaMalloc(&huge, 1ull << 40), cudaErrorMemoryAllocation);
  GIVES((add<<<1, 1025>>>(da, db, dout, n), cudaGetLastError()), cudaErrorInvalidConfiguration);
  GIVES((add<<<0, 32>>>(da, db, dout, n), cudaGetLastError()), cudaErrorInvalidConfiguration);
  GIVES((add<<<dim3(1, 70000), 32>>>(da, db, dout, n), cudaGetLastError()),
        cudaErrorInvalidConfiguration);
  GIVES((add<<<1, 32, 50000>>>(da, db, dout, n), cudaGetLastError()), cudaErrorInvalidValue);
  GIVES((bounded<<<1, 128>>>(di), cudaGetLastError()), cudaErrorInvalidValue);
  GIVES(cudaLaunchKernel(reinterpret_cast<void*>(&check_failures), 1, 1, nullptr, 0, 0),
        cudaErrorInvalidDeviceFunction);
  OK(cudaGetLastError());  // GIVES cleared it
  (void)cudaSetDevice(77);
  CHECK(cudaPeekAtLastError() == cudaErrorInvalidDevice);
  CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
  CHECK(cudaGetLastError() == cudaSuccess);

  // devices, pointers, memory info
  cudaDeviceProp p;
  OK(cudaGetDeviceProperties(&p, 0));
  CHECK(p.multiProcessorCount == 132 && p.major == 9 && p.warpSize == 32);
  int value = 0;
  OK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  CHECK(value == 227 * 1024);
  cudaPointerAttributes attributes;
  OK(cudaPointerGetAttributes(&attributes, da + 3));
  CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == 0);
  OK(cudaPointerGetAttributes(&attributes, a.data()));
  CHECK(attributes.type == cudaMemoryTypeUnregistered);
  size_t free0, free1, total;
  OK(cudaMemGetInfo(&free0, &total));
  void* block;
  OK(cudaMalloc(&block, 1 << 20));
  OK(cudaMemGetInfo(&free1, &total));
  CHECK(free0 - free1 == 1 << 20);
  OK(cudaFree(block));
  OK(cudaMemGetInfo(&free1, &total));
  CHECK(free0 == free1);

  // pinned, registered and managed memory is the device's too
  float *pinned, *unified;
  OK(cudaMallocHost(&pinned, 64 * 4));
  OK(cudaMallocManaged(&unified, 64 * 4));
  std::vector<float> registered(64, 4.f);
  OK(cudaHostRegister(registered.data(), 64 * 4, cudaHostRegisterDefault));
  for (int i = 0; i < 64; ++i) pinned[i] = i;
  add<<<1, 64>>>(pinned, registered.data(), unified, 64);
  OK(cudaDeviceSynchronize());
  for (int i = 0; i < 64; ++i) CHECK(unified[i] == i + 4.f);
  OK(cudaHostUnregister(registered.data()));
  OK(cudaFreeHost(pinned));
  OK(cudaFree(unified));

  // stream-ordered allocation
  float* async;
  OK(cudaMallocAsync(&async, n * 4, 0));
  add<<<4, 256>>>(da, db, async, n);
  OK(cudaMemcpyAsync(out.data(), async, n * 4, cudaMemcpyDeviceToHost, 0));
  OK(cudaFreeAsync(async, 0));
  GIVES(cudaFreeAsync(async, 0), cudaErrorInvalidValue);
  OK(cudaDeviceSynchronize());
  CHECK(out[999] == 1498.5f);

  cudaFuncAttributes fa;
  OK(cudaFuncGetAttributes(&fa, bounded));
  CHECK(fa.maxThreadsPerBlock == 64 && fa.ptxVersion >= 75 && fa.numRegs > 0);
  OK(cudaFree(da));
  OK(cudaFree(db));
  OK(cudaFree(dout));
  return report();
}
