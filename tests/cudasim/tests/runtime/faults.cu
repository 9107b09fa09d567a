// SPDX-License-Identifier: Apache-2.0
// Programs with one memory error each: the error code must be CUDA's.
#include <cstring>

#include "check.h"

__constant__ int fixed[4] = {1, 2, 3, 4};
__global__ void write(int* p, long offset) { p[offset + threadIdx.x] = 1; }
__global__ void read(const int* p, long offset, int* out) {
  out[threadIdx.x] = p[offset + threadIdx.x];
}
__global__ void misaligned(char* p) { *reinterpret_cast<int*>(p + 1) = 1; }
__global__ void trap() { __trap(); }

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  int *d, *e;
  OK(cudaMalloc(&d, 400));
  OK(cudaMalloc(&e, 400));
  OK(cudaMemset(d, 0, 400));
  cudaError_t expected = cudaErrorIllegalAddress;
  if (!std::strcmp(what, "past-end"))
    write<<<1, 32>>>(d, 100 - 31);
  else if (!std::strcmp(what, "before-begin"))
    write<<<1, 32>>>(e, -1);
  else if (!std::strcmp(what, "read-past-end"))
    read<<<1, 32>>>(d, 90, e);
  else if (!std::strcmp(what, "use-after-free")) {
    OK(cudaFree(d));
    write<<<1, 32>>>(d, 0);
  } else if (!std::strcmp(what, "async-use-after-free")) {
    int* p;
    OK(cudaMallocAsync(&p, 400, 0));
    OK(cudaFreeAsync(p, 0));
    write<<<1, 32>>>(p, 0);
  } else if (!std::strcmp(what, "host-pointer")) {
    int h[32];
    write<<<1, 32>>>(h, 0);
  } else if (!std::strcmp(what, "null"))
    write<<<1, 32>>>(nullptr, 0);
  else if (!std::strcmp(what, "constant")) {
    void* p;
    OK(cudaGetSymbolAddress(&p, fixed));
    write<<<1, 4>>>(static_cast<int*>(p), 0);
  } else if (!std::strcmp(what, "misaligned")) {
    misaligned<<<1, 1>>>(reinterpret_cast<char*>(d));
    expected = cudaErrorMisalignedAddress;
  } else if (!std::strcmp(what, "trap")) {
    trap<<<1, 1>>>();
    expected = cudaErrorLaunchFailure;
  } else if (!std::strcmp(what, "other-device")) {
    int* far;
    OK(cudaSetDevice(1));
    OK(cudaMalloc(&far, 400));
    OK(cudaSetDevice(0));
    write<<<1, 32>>>(far, 0);
  } else if (!std::strcmp(what, "peer")) {  // the same with peer access: right
    int *far, h = 0;
    OK(cudaSetDevice(1));
    OK(cudaMalloc(&far, 400));
    OK(cudaSetDevice(0));
    OK(cudaDeviceEnablePeerAccess(1, 0));
    GIVES(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
    write<<<1, 32>>>(far, 0);
    OK(cudaDeviceSynchronize());
    OK(cudaMemcpy(&h, far, 4, cudaMemcpyDefault));
    CHECK(h == 1);
    OK(cudaMemcpyPeer(d, 0, far, 1, 128));
    OK(cudaMemcpy(&h, d + 31, 4, cudaMemcpyDeviceToHost));
    CHECK(h == 1);
    OK(cudaDeviceDisablePeerAccess(1));
    GIVES(cudaDeviceDisablePeerAccess(1), cudaErrorPeerAccessNotEnabled);
    return report();
  } else if (!std::strcmp(what, "host-dereference")) {
    std::printf("%d\n", *d);
    return 0;
  }  // must die by SIGSEGV
  else if (!std::strcmp(what, "double-free")) {
    OK(cudaFree(d));
    GIVES(cudaFree(d), cudaErrorInvalidValue);
    OK(cudaDeviceSynchronize());
    return report();
  } else
    return 2;
  cudaError_t got = cudaDeviceSynchronize();
  std::printf("%s\n", cudaGetErrorName(got));
  CHECK(got == expected);
  CHECK(cudaGetLastError() == expected);  // sticky: every later call reports it
  CHECK(cudaGetLastError() == expected);
  int* p;
  CHECK(cudaMalloc(&p, 4) == expected);
  CHECK(cudaMemcpy(e, d, 4, cudaMemcpyDeviceToDevice) == expected);
  OK(cudaDeviceReset());  // a fresh context
  OK(cudaMalloc(&p, 128));
  write<<<1, 32>>>(p, 0);
  OK(cudaDeviceSynchronize());
  return report();
}
