// SPDX-License-Identifier: Apache-2.0
// Dynamic shared memory beyond 48 KB, cooperative launches, occupancy.
#include <cooperative_groups.h>
#include <cuda_occupancy.h>

#include <vector>

#include "check.h"

namespace cg = cooperative_groups;

__global__ void reverse(int* data, int n) {
  extern __shared__ int tile[];
  for (int i = threadIdx.x; i < n; i += blockDim.x) tile[i] = data[i];
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) data[i] = tile[n - 1 - i];
}

// Every block needs every other block's sum: only right if all run at once.
__global__ void sum_all(const int* in, int* partial, int* out, int n) {
  cg::grid_group grid = cg::this_grid();
  int t = blockIdx.x * blockDim.x + threadIdx.x, s = 0;
  for (int i = t; i < n; i += gridDim.x * blockDim.x) s += in[i];
  atomicAdd(&partial[blockIdx.x], s);
  grid.sync();
  if (threadIdx.x == 0) {
    int total = 0;
    for (int b = 0; b < gridDim.x; ++b) total += atomicAdd(&partial[b], 0);
    out[blockIdx.x] = total;
  }
}

__global__ void heavy(float* p) {
  __shared__ float s[3000];
  s[threadIdx.x] = p[threadIdx.x];
  __syncthreads();
  p[threadIdx.x] = s[(threadIdx.x * 7) % blockDim.x];
}

// Each block of a cluster reads its neighbour's shared memory.
__global__ void neighbour(int* out) {
  __shared__ int mine;
  cg::cluster_group cluster = cg::this_cluster();
  if (threadIdx.x == 0) mine = 100 + blockIdx.x;
  cluster.sync();
  int next = (cluster.block_rank() + 1) % cluster.num_blocks();
  if (threadIdx.x == 0) out[blockIdx.x] = *cluster.map_shared_rank(&mine, next);
  cluster.sync();
}

static void clusters() {
  int* out;
  OK(cudaMalloc(&out, 4 * 8));
  cudaLaunchConfig_t config{};
  config.gridDim = 8;
  config.blockDim = 32;
  cudaLaunchAttribute a[2]{};
  a[0].id = cudaLaunchAttributeClusterDimension;
  a[0].val.clusterDim.x = 4;
  a[0].val.clusterDim.y = a[0].val.clusterDim.z = 1;
  a[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  a[1].val.programmaticStreamSerializationAllowed = 1;
  config.attrs = a;
  config.numAttrs = 2;
  OK(cudaLaunchKernelEx(&config, neighbour, out));
  int h[8];
  OK(cudaMemcpy(h, out, sizeof h, cudaMemcpyDeviceToHost));
  for (int i = 0; i < 8; ++i) CHECK(h[i] == 100 + i / 4 * 4 + (i + 1) % 4);
  a[0].val.clusterDim.x = 3;  // does not divide the grid
  GIVES(cudaLaunchKernelEx(&config, neighbour, out), cudaErrorInvalidClusterSize);
  a[0].val.clusterDim.x = 16;  // not portable
  config.gridDim = 16;
  GIVES(cudaLaunchKernelEx(&config, neighbour, out), cudaErrorInvalidClusterSize);
  OK(cudaFree(out));
}

int main() {
  clusters();
  const int n = 20000;  // 80000 bytes
  std::vector<int> h(n);
  for (int i = 0; i < n; ++i) h[i] = i;
  int* d;
  OK(cudaMalloc(&d, n * 4));
  OK(cudaMemcpy(d, h.data(), n * 4, cudaMemcpyHostToDevice));
  GIVES((reverse<<<1, 256, n * 4>>>(d, n), cudaGetLastError()), cudaErrorInvalidValue);
  GIVES(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024),
        cudaErrorInvalidValue);
  OK(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, n * 4));
  reverse<<<1, 256, n * 4>>>(d, n);
  OK(cudaGetLastError());
  OK(cudaMemcpy(h.data(), d, n * 4, cudaMemcpyDeviceToHost));
  bool good = true;
  for (int i = 0; i < n; ++i) good = good && h[i] == n - 1 - i;
  CHECK(good);
  GIVES((reverse<<<1, 256, n * 4 + 4>>>(d, n), cudaGetLastError()), cudaErrorInvalidValue);

  // The opt-in is per device, as each has its own context.
  OK(cudaSetDevice(1));
  GIVES((reverse<<<1, 256, n * 4>>>(d, n), cudaGetLastError()), cudaErrorInvalidValue);
  OK(cudaSetDevice(0));

  int *partial, *out, blocks = 24;
  OK(cudaMalloc(&partial, 4 * blocks));
  OK(cudaMalloc(&out, 4 * blocks));
  OK(cudaMemset(partial, 0, 4 * blocks));
  int count = 5000;
  void* args[] = {&d, &partial, &out, &count};
  OK(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(sum_all), dim3(blocks), dim3(64), args, 0,
                                 0));
  std::vector<int> totals(blocks);
  OK(cudaMemcpy(totals.data(), out, 4 * blocks, cudaMemcpyDeviceToHost));
  int expected = 0;
  for (int i = 0; i < count; ++i) expected += h[i];
  for (int t : totals) CHECK(t == expected);
  GIVES(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(sum_all), dim3(100000), dim3(1024),
                                    args, 0, 0),
        cudaErrorCooperativeLaunchTooLarge);

  // occupancy against NVIDIA's own calculator (cuda_occupancy.h)
  cudaDeviceProp p;
  OK(cudaGetDeviceProperties(&p, 0));
  cudaOccDeviceProp dp(p);
  for (auto* kernel :
       {reinterpret_cast<const void*>(reverse), reinterpret_cast<const void*>(sum_all),
        reinterpret_cast<const void*>(heavy)}) {
    cudaFuncAttributes fa;
    OK(cudaFuncGetAttributes(&fa, kernel));
    CHECK(fa.numRegs >= 8 && fa.numRegs <= 255);
    cudaOccFuncAttributes of(fa);
    of.maxDynamicSharedSizeBytes = 227 * 1024 - fa.sharedSizeBytes;
    OK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                            int(227 * 1024 - fa.sharedSizeBytes)));
    cudaOccDeviceState state;
    for (int threads : {32, 33, 64, 96, 128, 256, 384, 512, 768, 1024})
      for (size_t shared : {0, 100, 1000, 5000, 20000, 49000, 100000, 200000}) {
        int mine = -1;
        OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&mine, kernel, threads, shared));
        cudaOccResult r;
        cudaOccMaxActiveBlocksPerMultiprocessor(&r, &dp, &of, &state, threads, shared);
        CHECK(mine == r.activeBlocksPerMultiprocessor);
      }
  }
  return report();
}
