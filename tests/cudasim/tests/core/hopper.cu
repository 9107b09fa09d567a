// SPDX-License-Identifier: Apache-2.0
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda_pipeline.h>
#include <cuda/barrier>
#include <cuda/ptx>
namespace cg = cooperative_groups;
extern "C" __global__ void pipeline(const int* in, int* out) {
  __shared__ alignas(16) int s[2][128];
  int t = threadIdx.x;
  __pipeline_memcpy_async(&s[0][t], &in[t], 4);
  __pipeline_commit();
  int acc = 0;
  for (int k = 0; k < 4; ++k) {
    if (k < 3) {
      __pipeline_memcpy_async(&s[(k + 1) & 1][t], &in[(k + 1) * 128 + t], 4);
      __pipeline_commit();
      __pipeline_wait_prior(1);
    } else
      __pipeline_wait_prior(0);
    __syncthreads();
    acc += s[k & 1][127 - t] * (k + 1);
    __syncthreads();
  }
  out[t] = acc;
}
extern "C" __global__ void missing_wait(const int* in, int* out) {
  __shared__ int s[128];
  int t = threadIdx.x;
  s[t] = -1;
  __syncthreads();
  __pipeline_memcpy_async(&s[t], &in[t], 4);
  __pipeline_commit();
  out[t] = s[t];
}
extern "C" __global__ void block_barrier(const int* in, int* out) {
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  __shared__ int s[256];
  auto b = cg::this_thread_block();
  if (b.thread_rank() == 0) init(&bar, b.size());
  b.sync();
  cuda::memcpy_async(b, s, in, sizeof(int) * 256, bar);
  bar.arrive_and_wait();
  out[threadIdx.x] = s[255 - threadIdx.x];
  auto tok = bar.arrive();
  bar.wait(std::move(tok));
}
#if __CUDA_ARCH__ >= 900
extern "C" __global__ void bulk(const int* in, int* out) {
  __shared__ alignas(128) int s[256];
  __shared__ uint64_t bar;
  namespace ptx = cuda::ptx;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&bar, 1);
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, s, in, 1024, &bar);
    ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &bar, 1024);
  }
  while (!ptx::mbarrier_try_wait_parity(&bar, 0)) {
  }
  s[threadIdx.x] = s[threadIdx.x] * 2 + 1;
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk(ptx::space_global, ptx::space_shared, out, s, 1024);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
  }
}
extern "C" __global__ void __cluster_dims__(4, 1, 1) cluster_ring(int* out) {
  __shared__ int s[64];
  auto c = cg::this_cluster();
  s[threadIdx.x] = blockIdx.x * 1000 + threadIdx.x;
  c.sync();
  int* next = c.map_shared_rank(s, (c.block_rank() + 1) % c.num_blocks());
  int v = next[63 - threadIdx.x];
  atomicAdd(&next[threadIdx.x], 0);
  c.sync();
  out[blockIdx.x * 64 + threadIdx.x] = v;
}
extern "C" __global__ void elect_one(int* out) {
  unsigned p;
  asm volatile("{ .reg .pred P; .reg .b32 r; elect.sync r|P, 0xffffffff; selp.u32 %0, 1, 0, P; }"
               : "=r"(p));
  out[threadIdx.x] = p;
}
#endif
