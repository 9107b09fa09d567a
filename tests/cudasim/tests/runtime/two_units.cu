// SPDX-License-Identifier: Apache-2.0
// A second translation unit: its own fat binary, a static variable of the same name.
#include "check.h"

static __device__ int counter = 1000;
template <class T>
__global__ void square(T x, T* out) {
  *out = x * x + counter;
}

int other_unit(int x) {
  int *d, h = 0;
  OK(cudaMalloc(&d, 4));
  square<<<1, 1>>>(x, d);
  OK(cudaMemcpy(&h, d, 4, cudaMemcpyDeviceToHost));
  OK(cudaFree(d));
  return h;
}
