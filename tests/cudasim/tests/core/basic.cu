// SPDX-License-Identifier: Apache-2.0
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cassert>
#include <cstdio>
namespace cg = cooperative_groups;

__constant__ int table[4] = {1, 2, 3, 4};
__device__ int counter = 5;
__device__ int* pointers[2] = {&counter, nullptr};
__device__ __noinline__ float scale(float a, int b) { return b > 3 ? a * b : a - b; }
__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

extern "C" __global__ void vadd(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" __global__ void calls(float* a, int* f, int n) {
  extern __shared__ float s[];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  s[threadIdx.x] = i < n ? a[i] : 0;
  __syncthreads();
  if (i < n) {
    a[i] = scale(s[threadIdx.x ^ 1], i) * table[i & 3];
    f[i] = fib(i % 11) + *pointers[0];
  }
}
struct Shape {
  __device__ virtual int area(int x) const = 0;
};
struct Square : Shape {
  __device__ int area(int x) const override { return x * x; }
};
struct Line : Shape {
  __device__ int area(int x) const override { return x + 100; }
};
extern "C" __global__ void virtuals(int* out) {
  Square sq;
  Line li;
  const Shape* s[2] = {&sq, &li};
  out[threadIdx.x] = s[(threadIdx.x * 7 >> 1) & 1]->area(threadIdx.x);
}
extern "C" __global__ void switches(int* a, int s) {
  int i = threadIdx.x, v;
  switch (a[i]) {
    case 0: v = s; break;
    case 1: v = s * 3; break;
    case 2: v = s + 9; break;
    case 3: v = s / 7; break;
    case 4: v = s % 7; break;
    case 5: v = __brev(s); break;
    case 6: v = __popc(s); break;
    case 7: v = s ^ 0x55; break;
    case 8: v = s << 3; break;
    default: v = -1;
  }
  a[i] = v;
}
// Nested loops with break and continue, early return, and a warp vote inside.
extern "C" __global__ void torture(const unsigned* in, unsigned* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  unsigned x = in[i], acc = 0;
  for (unsigned a = 0; a < (x & 15); ++a) {
    if ((x >> a) & 1) continue;
    for (unsigned b = a; b < 20; ++b) {
      acc = acc * 31 + a * b + x;
      if ((acc & 63) == 17) break;
      if ((acc & 1023) == 5) {
        out[i] = acc;
        return;
      }
      switch (acc & 3) {
        case 0: acc += 7; break;
        case 1: acc ^= 0x1234; continue;
        case 2:
          while (acc & 8) acc = acc * 5 + 1, b++;
          break;
      }
    }
    if (acc > 0xF0000000u) break;
  }
  if (x & 1) {
    unsigned m = __activemask();
    acc += __popc(__ballot_sync(m, 1)) == __popc(m) ? 1 : 1000;
  }
  out[i] = acc;
}
#if __CUDA_ARCH__ >= 800
// Primitives inside divergent code with explicit masks.
extern "C" __global__ void divergent_sync(int* out) {
  int lane = threadIdx.x & 31, v = lane * lane;
  unsigned even = __ballot_sync(~0u, (lane & 1) == 0);
  int r;
  if (lane & 1) {
    r = __shfl_xor_sync(~even, v, 2);
    r += __reduce_add_sync(~even, lane);
  } else {
    r = __shfl_xor_sync(even, v, 4);
    r += __reduce_max_sync(even, lane);
    if (lane % 4 == 0) {
      __syncwarp(0x11111111);
      r += __shfl_sync(0x11111111, v, 8);
    }
  }
  __syncwarp();
  r += __any_sync(~0u, r == 3) + 2 * __all_sync(~0u, r >= 0);
  r += __match_any_sync(~0u, lane / 5) & 0xFF;
  out[threadIdx.x] = r;
}
#endif
// syncwarp met at two places
extern "C" __global__ void split_syncwarp(int* out) {
  __shared__ int s[32];
  int lane = threadIdx.x;
  if (lane < 16) {
    s[lane] = lane;
    __syncwarp();
    out[lane] = s[lane + 16];
  } else {
    s[lane] = lane * 2;
    __syncwarp();
    out[lane] = s[lane - 16];
  }
}
extern "C" __global__ void lock_inside_warp(int* lock, int* count) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      *(volatile int*)count = *(volatile int*)count + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
extern "C" __global__ void naive_lock(int* lock, int* count) {
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  *(volatile int*)count = *(volatile int*)count + 1;
  __threadfence();
  atomicExch(lock, 0);
}
extern "C" __global__ void block_reduce(const int* in, int* out, int n) {
  __shared__ int s[256];
  int i = blockIdx.x * 256 + threadIdx.x;
  s[threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  for (int k = 128; k > 0; k >>= 1) {
    if (threadIdx.x < k) s[threadIdx.x] += s[threadIdx.x + k];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(out, s[0]);
}
extern "C" __global__ void block_scan(const int* in, int* out) {
  __shared__ int s[2][1024];
  int t = threadIdx.x, p = 0;
  s[0][t] = in[blockIdx.x * 1024 + t];
  __syncthreads();
  for (int k = 1; k < 1024; k <<= 1) {
    s[p ^ 1][t] = s[p][t] + (t >= k ? s[p][t - k] : 0);
    p ^= 1;
    __syncthreads();
  }
  out[blockIdx.x * 1024 + t] = s[p][t];
}
extern "C" __global__ void barriers(int* out) {
  int t = threadIdx.x;
  out[t] = __syncthreads_count(t % 3 == 0) * 10 + (__syncthreads_and(t < 1000) ? 1 : 0) +
           (__syncthreads_or(t == 77) ? 2 : 0);
  if (t >= 64) return;  // exited threads no longer count
  __syncthreads();
  out[t] += 1000;
}
extern "C" __global__ void producer_consumer(int* out) {
  __shared__ int s[64];
  int t = threadIdx.x;
  if (t < 64) {
    s[t] = t * 3;
    asm volatile("bar.arrive 1, 128;" ::: "memory");
  } else {
    asm volatile("bar.sync 1, 128;" ::: "memory");
    out[t - 64] = s[127 - t];
  }
}
extern "C" __global__ void prints(int n, const char* s) {
  if (threadIdx.x == 0)
    printf("%d %5.2f|%-6s|%c %llx %% %s\n", n, 3.14159, "ab", 'z', 0x123456789abcULL, "end");
}
extern "C" __global__ void asserts(int n) { assert(int(threadIdx.x) < n); }
extern "C" __global__ void traps(int n) {
  if (threadIdx.x == n) __trap();
}
extern "C" __global__ void out_of_bounds(int* a, int i) { a[i + threadIdx.x] = 1; }
extern "C" __global__ void misaligned(char* a) { *(int*)(a + 1) = 1; }
extern "C" __global__ void shared_oob(int* a, int i) {
  __shared__ int s[32];
  s[threadIdx.x] = 0;
  a[0] = s[i];
}
extern "C" __global__ void deadlocks() {
  if (threadIdx.x < 32)
    asm volatile("bar.sync 0, 64;");
  else
    asm volatile("bar.sync 1, 64;");
}
extern "C" __global__ void spins(volatile int* a) {
  while (*a == 0) {
  }
}
extern "C" __global__ void store_one(int* p) { *p = 3; }
extern "C" __global__ void copy_int(const int* a, int* b, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) b[i] = a[i];
}
extern "C" __global__ void racy_shared(int* a) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  a[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void racy_global(int* a) { a[0] = blockIdx.x; }
// The warps of one block write a row each, or (stride 0) all the same one.
extern "C" __global__ void warp_rows(int* a, int stride) {
  a[threadIdx.x / 32 * stride + threadIdx.x % 32] = threadIdx.x / 32;
}
// Warp 0 writes what the others read: behind a barrier, behind a flag, or behind nothing.
extern "C" __global__ void warp_message(int* a, volatile int* flag, int* out, int way) {
  if (threadIdx.x == 0) {
    a[0] = 7;
    __threadfence();
    if (way == 1) *flag = 1;
  }
  if (way == 0) __syncthreads();
  if (threadIdx.x >= 32) {
    while (way == 1 && !*flag) {
    }
    __threadfence();
    out[threadIdx.x] = a[0];
  }
}
extern "C" __global__ void misaligned_vector(char* a, int offset) {
  *(float4*)(a + offset) = float4{1, 2, 3, 4};
}
// Lane i asks lane i ^ 1 while only the even lanes take part.
extern "C" __global__ void shuffle_absent(unsigned* out) {
  unsigned v = threadIdx.x;
  if (threadIdx.x % 2 == 0) v = __shfl_xor_sync(0x55555555, v, 1);
  out[threadIdx.x] = v;
}
// Two groups of 16 in one instruction, each asking the same lane of the other group, and of its
// own.
extern "C" __global__ void shuffle_foreign(unsigned* out) {
  unsigned members = threadIdx.x < 16 ? 0xFFFF : 0xFFFF0000;
  out[threadIdx.x] = __shfl_xor_sync(members, threadIdx.x, 16);
  out[threadIdx.x + 32] = __shfl_xor_sync(members, threadIdx.x, 1);
}
extern "C" __global__ void last_block(const int* in, int* partial, unsigned* ticket, int* out) {
  __shared__ int s;
  __shared__ bool last;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  atomicAdd(&s, in[blockIdx.x * blockDim.x + threadIdx.x]);
  __syncthreads();
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = s;
    __threadfence();
    last = atomicAdd(ticket, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int t = 0;
    for (int k = 0; k < gridDim.x; ++k) t += partial[k];
    *out = t;
  }
}
extern "C" __global__ void grid_sync(int* a, int n) {
  auto g = cg::this_grid();
  int i = g.thread_rank();
  for (int k = 0; k < 5; ++k) {
    int v = a[(i + 1) % n];
    g.sync();
    a[i] = v + 1;
    g.sync();
  }
}
extern "C" __global__ void tiles(int* a) {
  auto t = cg::tiled_partition<8>(cg::this_thread_block());
  int v = a[threadIdx.x];
  int sum = cg::reduce(t, v, cg::plus<int>());
  int big = cg::reduce(t, v, cg::greater<int>());
  auto c = cg::coalesced_threads();
  if (v & 1) {
    auto odd = cg::coalesced_threads();
    sum += odd.size() * 1000 + cg::reduce(odd, 1, cg::plus<int>()) * 100000;
  }
  a[threadIdx.x] = sum + big * 7 + t.shfl(v, 3) + c.size();
}
extern "C" __global__ void shared_atomics(int* out, float* fout) {
  __shared__ int h[16];
  __shared__ float f;
  __shared__ unsigned long long big;
  if (threadIdx.x < 16) h[threadIdx.x] = 0;
  if (threadIdx.x == 0) f = 0, big = 0;
  __syncthreads();
  atomicAdd(&h[threadIdx.x * 7 % 16], threadIdx.x);
  atomicAdd(&f, 0.5f);
  atomicMax(&big, (unsigned long long)threadIdx.x << 33);
  __syncthreads();
  if (threadIdx.x < 16) out[threadIdx.x] = h[threadIdx.x] + int(big >> 33);
  if (threadIdx.x == 0) *fout = f;
}
extern "C" __global__ void local_arrays(int* out, int n) {
  int a[40];
  for (int i = 0; i < 40; ++i) a[i] = i * threadIdx.x;
  for (int i = 0; i < n; ++i) {
    int k = (i * 13 + threadIdx.x) % 40;
    a[k] = a[39 - k] + i;
  }
  int s = 0;
  for (int i = 0; i < 40; ++i) s = s * 3 + a[i];
  out[threadIdx.x] = s;
}
struct Big {
  int v[24];
};
extern "C" __global__ void big_param(const __grid_constant__ Big b, int* out) {
  const int* p = &b.v[threadIdx.x % 24];
  out[threadIdx.x] = *p + b.v[(threadIdx.x * 5) % 24];
}
extern "C" __global__ void stride_read(const float* a, float* out, int stride) {
  int i = (blockIdx.x * blockDim.x + threadIdx.x);
  out[i] = a[i * stride];
}
extern "C" __global__ void bank_conflict(int* out, int stride) {
  __shared__ int s[1024];
  s[threadIdx.x * stride] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = s[threadIdx.x * stride];
}
extern "C" __global__ void arithmetic_loop(unsigned* out, int n) {
  unsigned a = threadIdx.x, b = blockIdx.x + 1, c = 7;
  float x = a * 0.5f, y = 1.25f;
#pragma unroll 8
  for (int i = 0; i < n; ++i) {
    a = a * b + c;
    c ^= a >> 3;
    b += c | 1;
    x = x * y + 0.25f;
    y = y * 0.999f - x * 0.001f;
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = a + b + c + __float_as_uint(x + y);
}
extern "C" __global__ void gather_loop(const unsigned* next, unsigned* out, int n) {
  unsigned p = blockIdx.x * blockDim.x + threadIdx.x, acc = 0;
  for (int i = 0; i < n; ++i) {
    p = next[p];
    acc += p;
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = acc;
}
