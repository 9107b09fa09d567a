// SPDX-License-Identifier: Apache-2.0
// Instantiates much of CUB, Thrust and cooperative groups, for decode_all.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <thrust/device_vector.h>
#include <thrust/merge.h>
#include <thrust/partition.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/set_operations.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/unique.h>
#include <cub/cub.cuh>
#include <cuda/atomic>
#include <cuda/latch>
#include <cuda/semaphore>
namespace cg = cooperative_groups;
template <class T>
void algorithms() {
  size_t n = 0;
  T *a = nullptr, *b = nullptr;
  int* i = nullptr;
  cub::DeviceReduce::Sum(nullptr, n, a, b, 0);
  cub::DeviceReduce::ArgMin(nullptr, n, a, b, (long long*)nullptr, (long long)0);
  cub::DeviceReduce::ReduceByKey(nullptr, n, i, i, a, b, i, cuda::std::plus<>{}, 0);
  cub::DeviceScan::InclusiveSum(nullptr, n, a, b, 0);
  cub::DeviceRadixSort::SortKeys(nullptr, n, a, b, 0);
  cub::DeviceRadixSort::SortPairs(nullptr, n, a, b, i, i, 0);
  cub::DeviceSegmentedReduce::Sum(nullptr, n, a, b, 0, i, i);
  cub::DeviceSelect::Unique(nullptr, n, a, b, i, 0);
  cub::DeviceSelect::If(nullptr, n, a, b, i, 0, [] __device__(T x) { return x > T(1); });
  cub::DevicePartition::Flagged(nullptr, n, a, (char*)nullptr, b, i, 0);
  cub::DeviceMergeSort::SortPairs(nullptr, n, a, i, 0, cuda::std::less<>{});
}
void instantiate() {
  algorithms<int>();
  algorithms<float>();
  algorithms<double>();
  algorithms<unsigned long long>();
  algorithms<unsigned char>();
  size_t n = 0;
  cub::DeviceHistogram::HistogramEven(nullptr, n, (float*)nullptr, (int*)nullptr, 10, 0.f, 1.f, 0);
  cub::DeviceRunLengthEncode::Encode(nullptr, n, (int*)nullptr, (int*)nullptr, (int*)nullptr,
                                     (int*)nullptr, 0);
  cub::DeviceSegmentedSort::SortKeys(nullptr, n, (int*)nullptr, (int*)nullptr, 0, 0, (int*)nullptr,
                                     (int*)nullptr);
  cub::DeviceSegmentedRadixSort::SortKeys(nullptr, n, (int*)nullptr, (int*)nullptr, 0, 0,
                                          (int*)nullptr, (int*)nullptr);
  cub::DeviceRadixSort::SortKeys(nullptr, n, (__half*)nullptr, (__half*)nullptr, 0);
  cub::DeviceMemcpy::Batched(nullptr, n, (void**)nullptr, (void**)nullptr, (int*)nullptr, 0);
  thrust::device_vector<int> v(10), w(10);
  thrust::device_vector<float> f(10);
  thrust::sort(v.begin(), v.end());
  thrust::stable_sort_by_key(v.begin(), v.end(), f.begin());
  thrust::inclusive_scan_by_key(v.begin(), v.end(), f.begin(), f.begin());
  thrust::reduce_by_key(v.begin(), v.end(), f.begin(), w.begin(), f.begin());
  thrust::unique(v.begin(), v.end());
  thrust::set_intersection(v.begin(), v.end(), w.begin(), w.end(), v.begin());
  thrust::merge(v.begin(), v.end(), w.begin(), w.end(), v.begin());
  thrust::transform(v.begin(), v.end(), w.begin(), v.begin(), cuda::std::plus<int>());
  thrust::stable_partition(v.begin(), v.end(), [] __device__(int x) { return x & 1; });
}
__global__ void groups(int* a, float* f, unsigned long long* u) {
  auto b = cg::this_thread_block();
  auto t32 = cg::tiled_partition<32>(b);
  auto t4 = cg::tiled_partition<4>(t32);
  a[0] = cg::inclusive_scan(t32, a[threadIdx.x]) + cg::exclusive_scan(t4, a[1], cg::plus<int>());
  f[0] = cg::reduce(t32, f[threadIdx.x], cg::less<float>());
  u[0] = cg::reduce(t4, u[1], cg::bit_xor<unsigned long long>());
  auto lp = cg::labeled_partition(t32, a[3] & 3);
  a[5] = lp.size() + cg::binary_partition(t32, a[7] > 2).thread_rank();
  extern __shared__ int s[];
  cg::memcpy_async(b, s, a, 256);
  cg::wait(b);
  a[9] = s[3];
  cg::invoke_one(t32, [=] { a[10] = 1; });
}
__global__ void atomics(cuda::atomic<int>* x,
                        cuda::atomic<unsigned long long, cuda::thread_scope_block>* y,
                        cuda::binary_semaphore<cuda::thread_scope_device>* s, float* f, double* d,
                        __half2* h, __nv_bfloat16* bf, short* sh) {
  x->fetch_add(1, cuda::std::memory_order_acq_rel);
  y->fetch_max(3);
  int e = 0;
  x->compare_exchange_strong(e, 5);
  x->store(3, cuda::std::memory_order_release);
  s->acquire();
  s->release();
  atomicAdd(f, 1.f);
  atomicAdd(d, 2.0);
  atomicAdd(h, __floats2half2_rn(1, 2));
  atomicAdd(bf, __float2bfloat16(2));
  atomicCAS((unsigned short*)sh, (unsigned short)3, (unsigned short)4);
  atomicInc((unsigned*)f, 7);
  atomicDec((unsigned*)f, 7);
  atomicAnd_system((int*)f, 3);
  atomicMin((long long*)d, 4ll);
  x->notify_all();
}
__global__ void numbers(float* f, double* d, __half* h, __nv_bfloat162* b, unsigned* u,
                        __nv_fp8_e4m3* e, long long* l) {
  int i = threadIdx.x;
  f[i] = sinf(f[i]) + expf(f[i + 1]) * powf(f[i], 1.7f) + erff(f[i]) + lgammaf(f[i]) +
         __fdividef(f[i], f[3]) + cbrtf(f[i]) + tanhf(f[5]) + rsqrtf(f[6]) + fmodf(f[1], f[2]);
  d[i] = sin(d[i]) + exp(d[i + 1]) * pow(d[i], 1.7) + erf(d[i]) + tgamma(d[i]) + cbrt(d[i]) +
         tanh(d[5]) + rsqrt(d[6]) + fmod(d[1], d[2]) + log1p(d[2]) + atan2(d[3], d[4]) +
         d[3] / d[4] + sqrt(d[7]);
  h[i] =
      hsin(h[i]) + hexp(h[i]) * hsqrt(h[1]) / h[2] + __hfma(h[1], h[2], h[3]) + __hmax(h[1], h[2]);
  b[i] = __hfma2(b[i], b[i + 1], __hadd2(b[i], b[2])) + __hmin2(b[1], b[2]);
  u[i] = __vadd4(u[i], u[1]) + __vabsdiffu4(u[i], u[2]) + __vmaxs2(u[1], u[3]) +
         __sad(u[1], u[2], u[3]) + __byte_perm(u[1], u[2], u[3]) + __funnelshift_l(u[1], u[2], 7) +
         __popcll(l[2]) + __ffs(u[4]) + __clzll(l[3]) + __dp4a(u[1], u[2], u[3]) +
         __mul24(u[1], u[2]) + __brev(u[3]) + __uhadd(u[1], u[2]) + __vcmpgtu4(u[1], u[2]);
  e[i] = __nv_fp8_e4m3(f[i] + float(e[i + 1]));
  l[i] = l[i] / l[1] + l[i] % l[2] + __mul64hi(l[1], l[2]) + llrintf(f[1]) + __double2ll_rd(d[1]) +
         clock64() + __float2int_ru(f[2]) + (long long)(unsigned long long)d[3];
  __nanosleep(20);
  __threadfence_system();
  f[i] += __ldg(&f[i]) + __ldcs(&f[i + 3]) + __ldcg(&f[1]);
  __stcs(&f[i], 3.f);
  __stwt(&f[i], 4.f);
  float4 v4 = *(float4*)f;
  *(double2*)d = make_double2(v4.x, v4.w);
  assert(f[i] > 0);
}
