// SPDX-License-Identifier: Apache-2.0
#include <thrust/execution_policy.h>
#include <thrust/reduce.h>
#include <thrust/sort.h>
#include <cub/cub.cuh>
// Block and warp primitives.
template <int N>
using BlockSort = cub::BlockRadixSort<unsigned, N, 4, unsigned>;
extern "C" __global__ void block_sort(unsigned* keys, unsigned* values) {
  __shared__ typename BlockSort<128>::TempStorage t;
  unsigned k[4], v[4];
  for (int i = 0; i < 4; ++i)
    k[i] = keys[blockIdx.x * 512 + threadIdx.x * 4 + i], v[i] = threadIdx.x * 4 + i;
  BlockSort<128>(t).Sort(k, v);
  for (int i = 0; i < 4; ++i)
    keys[blockIdx.x * 512 + threadIdx.x * 4 + i] = k[i],
                                              values[blockIdx.x * 512 + threadIdx.x * 4 + i] = v[i];
}
extern "C" __global__ void block_merge_sort(int* keys) {
  using S = cub::BlockMergeSort<int, 128, 4>;
  __shared__ typename S::TempStorage t;
  int k[4];
  for (int i = 0; i < 4; ++i) k[i] = keys[threadIdx.x * 4 + i];
  S(t).Sort(k, [] __device__(int a, int b) { return a < b; });
  for (int i = 0; i < 4; ++i) keys[threadIdx.x * 4 + i] = k[i];
}
extern "C" __global__ void block_scan_reduce(const int* in, int* out, double* dsum) {
  using Scan = cub::BlockScan<int, 256>;
  using Reduce = cub::BlockReduce<double, 256>;
  using Load = cub::BlockLoad<int, 256, 4, cub::BLOCK_LOAD_TRANSPOSE>;
  using Store = cub::BlockStore<int, 256, 4, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ union {
    typename Scan::TempStorage scan;
    typename Reduce::TempStorage reduce;
    typename Load::TempStorage load;
    typename Store::TempStorage store;
  } t;
  int v[4];
  Load(t.load).Load(in + blockIdx.x * 1024, v);
  __syncthreads();
  double d = Reduce(t.reduce).Sum(double(v[0]) + v[1] + v[2] + v[3]);
  if (threadIdx.x == 0) dsum[blockIdx.x] = d;
  __syncthreads();
  Scan(t.scan).InclusiveSum(v, v);
  __syncthreads();
  Store(t.store).Store(out + blockIdx.x * 1024, v);
}
extern "C" __global__ void warp_primitives(const int* in, int* out) {
  using Scan = cub::WarpScan<int, 16>;
  using Reduce = cub::WarpReduce<int>;
  using Sort = cub::WarpMergeSort<int, 2, 32>;
  __shared__ typename Scan::TempStorage s[8];
  __shared__ typename Reduce::TempStorage r[4];
  __shared__ typename Sort::TempStorage m[4];
  int v = in[threadIdx.x], x, w = threadIdx.x / 32;
  Scan(s[threadIdx.x / 16]).ExclusiveSum(v, x);
  out[threadIdx.x] = x;
  int sum = Reduce(r[w]).Reduce(v, [] __device__(int a, int b) { return a > b ? a : b; });
  if (threadIdx.x % 32 == 0) out[128 + w] = sum;
  int k[2] = {v, v ^ 0x55};
  Sort(m[w]).Sort(k, [] __device__(int a, int b) { return a < b; });
  out[256 + threadIdx.x * 2] = k[0], out[257 + threadIdx.x * 2] = k[1];
}
extern "C" __global__ void block_histogram(const unsigned char* in, unsigned* out) {
  using H = cub::BlockHistogram<unsigned char, 128, 8, 256>;
  __shared__ typename H::TempStorage t;
  __shared__ unsigned h[256];
  unsigned char v[8];
  for (int i = 0; i < 8; ++i) v[i] = in[threadIdx.x * 8 + i];
  H(t).Histogram(v, h);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += 128) out[i] = h[i];
}
// Device-wide algorithms' own kernels, instantiated for the driver to launch.
using Tile = cub::ScanTileState<int>;
extern "C" __global__ void init_tiles(Tile t, int n) { t.InitializeStatus(n); }
extern "C" __global__ void lookback_scan(const int* in, int* out, Tile tiles, int n) {
  using Scan = cub::BlockScan<int, 128>;
  using Prefix = cub::TilePrefixCallbackOp<int, cuda::std::plus<>, Tile>;
  __shared__ typename Scan::TempStorage t;
  __shared__ typename Prefix::TempStorage p;
  int tile = blockIdx.x, i = tile * 512 + threadIdx.x * 4, v[4];
  for (int k = 0; k < 4; ++k) v[k] = i + k < n ? in[i + k] : 0;
  if (tile == 0) {
    int total;
    Scan(t).InclusiveSum(v, v, total);
    if (threadIdx.x == 0) tiles.SetInclusive(0, total);
  } else {
    Prefix op(tiles, p, cuda::std::plus<>{}, tile);
    Scan(t).InclusiveScan(v, v, cuda::std::plus<>{}, op);
  }
  for (int k = 0; k < 4; ++k)
    if (i + k < n) out[i + k] = v[k];
}
extern "C" __global__ void serial_thrust(int* a, int n, int* out) {
  if (threadIdx.x == 0) {
    thrust::sort(thrust::seq, a, a + n);
    *out = thrust::reduce(thrust::seq, a, a + n);
  }
}
// Instantiates DeviceRadixSort, DeviceReduce, DeviceScan, DeviceSelect, DeviceHistogram kernels in
// the PTX.
void instantiate() {
  size_t n = 0;
  cub::DeviceReduce::Sum(nullptr, n, (int*)nullptr, (int*)nullptr, 0);
  cub::DeviceReduce::Min(nullptr, n, (float*)nullptr, (float*)nullptr, 0);
  cub::DeviceScan::ExclusiveSum(nullptr, n, (int*)nullptr, (int*)nullptr, 0);
  cub::DeviceRadixSort::SortPairs(nullptr, n, (unsigned*)nullptr, (unsigned*)nullptr, (int*)nullptr,
                                  (int*)nullptr, 0);
  cub::DeviceSelect::Flagged(nullptr, n, (int*)nullptr, (char*)nullptr, (int*)nullptr,
                             (int*)nullptr, 0);
  cub::DeviceMergeSort::SortKeys(nullptr, n, (int*)nullptr, 0, cuda::std::less<>{});
  cub::DeviceRunLengthEncode::Encode(nullptr, n, (int*)nullptr, (int*)nullptr, (int*)nullptr,
                                     (int*)nullptr, 0);
}
