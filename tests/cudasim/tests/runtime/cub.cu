// SPDX-License-Identifier: Apache-2.0
// CUB device algorithms against the standard library.
#include <cub/cub.cuh>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "check.h"

template <class T>
struct Buffer {
  T* p = nullptr;
  size_t n;
  explicit Buffer(size_t count) : n(count) {
    OK(cudaMalloc(&p, std::max<size_t>(count, 1) * sizeof(T)));
  }
  explicit Buffer(const std::vector<T>& v) : Buffer(v.size()) {
    if (!v.empty()) OK(cudaMemcpy(p, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Buffer() { cudaFree(p); }
  std::vector<T> get(size_t count) const {
    std::vector<T> v(count);
    if (count) OK(cudaMemcpy(v.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }
  std::vector<T> get() const { return get(n); }
};

// The two-phase call every CUB algorithm has.
template <class F>
void cub_call(F&& f) {
  size_t bytes = 0;
  OK(f(nullptr, bytes));
  void* temporary = nullptr;
  OK(cudaMalloc(&temporary, std::max<size_t>(bytes, 1)));
  OK(f(temporary, bytes));
  OK(cudaDeviceSynchronize());
  OK(cudaFree(temporary));
}

struct IsEven {
  __host__ __device__ bool operator()(int x) const { return x % 2 == 0; }
};

template <class K>
void sort_keys(int n, std::mt19937_64& rng, int begin, int end) {
  std::vector<K> h(n);
  for (K& k : h) k = static_cast<K>(rng());
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), 0);
  Buffer<K> in(h), out(n);
  Buffer<int> vin(values), vout(n);
  using U = std::make_unsigned_t<K>;
  auto bits = [&](K k) {
    U u = static_cast<U>(k);
    if (std::is_signed_v<K>) u ^= U(1) << (sizeof(K) * 8 - 1);
    u >>= begin;
    return end - begin >= int(sizeof(K) * 8) ? u : u & ((U(1) << (end - begin)) - 1);
  };
  std::vector<int> order = values;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return bits(h[a]) < bits(h[b]); });
  cub_call([&](void* t, size_t& s) {
    return cub::DeviceRadixSort::SortPairs(t, s, in.p, out.p, vin.p, vout.p, n, begin, end);
  });
  auto keys = out.get();
  auto got = vout.get();
  bool same = got == order;
  for (int i = 0; i < n; ++i) same = same && keys[i] == h[order[i]];
  CHECK(same);
  cub_call([&](void* t, size_t& s) {
    return cub::DeviceRadixSort::SortKeys(t, s, in.p, out.p, n, begin, end);
  });
  keys = out.get();
  same = true;
  for (int i = 0; i < n; ++i) same = same && keys[i] == h[order[i]];
  CHECK(same);
}

int main(int argc, char** argv) {
  std::mt19937_64 rng(11);
  std::vector<int> sizes{0, 1, 31, 1000, 100000};
  if (argc > 1 && !std::strcmp(argv[1], "small")) sizes.pop_back();
  for (int n : sizes) {
    auto start = std::chrono::steady_clock::now();
    sort_keys<uint32_t>(n, rng, 0, 32);
    double sort_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    sort_keys<int32_t>(n, rng, 0, 32);
    sort_keys<uint64_t>(n, rng, 0, 64);
    sort_keys<uint32_t>(n, rng, 4, 17);
    sort_keys<uint64_t>(n, rng, 20, 45);

    std::vector<int> h(n);
    for (int& x : h) x = static_cast<int>(rng() % 50);
    Buffer<int> in(h), out(n), counts(n), number(1);

    cub_call(
        [&](void* t, size_t& s) { return cub::DeviceScan::InclusiveSum(t, s, in.p, out.p, n); });
    std::vector<int> expected(n);
    std::partial_sum(h.begin(), h.end(), expected.begin());
    CHECK(out.get() == expected);
    cub_call(
        [&](void* t, size_t& s) { return cub::DeviceScan::ExclusiveSum(t, s, in.p, out.p, n); });
    std::exclusive_scan(h.begin(), h.end(), expected.begin(), 0);
    CHECK(out.get() == expected);

    cub_call([&](void* t, size_t& s) { return cub::DeviceReduce::Sum(t, s, in.p, number.p, n); });
    CHECK(number.get()[0] == std::accumulate(h.begin(), h.end(), 0));
    if (n) {
      cub_call([&](void* t, size_t& s) { return cub::DeviceReduce::Max(t, s, in.p, number.p, n); });
      CHECK(number.get()[0] == *std::max_element(h.begin(), h.end()));
      Buffer<cub::KeyValuePair<int, int>> arg(1);
      cub_call([&](void* t, size_t& s) { return cub::DeviceReduce::ArgMin(t, s, in.p, arg.p, n); });
      auto a = arg.get()[0];
      CHECK(a.value == *std::min_element(h.begin(), h.end()) &&
            a.key == std::min_element(h.begin(), h.end()) - h.begin());
    }

    std::vector<int> even;
    std::copy_if(h.begin(), h.end(), std::back_inserter(even), IsEven{});
    cub_call([&](void* t, size_t& s) {
      return cub::DeviceSelect::If(t, s, in.p, out.p, number.p, n, IsEven{});
    });
    CHECK(number.get()[0] == int(even.size()) && out.get(even.size()) == even);
    std::vector<char> flags(n);
    for (int i = 0; i < n; ++i) flags[i] = h[i] % 3 == 0;
    Buffer<char> dflags(flags);
    std::vector<int> picked;
    for (int i = 0; i < n; ++i)
      if (flags[i]) picked.push_back(h[i]);
    cub_call([&](void* t, size_t& s) {
      return cub::DeviceSelect::Flagged(t, s, in.p, dflags.p, out.p, number.p, n);
    });
    CHECK(number.get()[0] == int(picked.size()) && out.get(picked.size()) == picked);

    cub_call([&](void* t, size_t& s) {
      return cub::DevicePartition::If(t, s, in.p, out.p, number.p, n, IsEven{});
    });
    std::vector<int> odd;
    std::copy_if(h.begin(), h.end(), std::back_inserter(odd), [](int x) { return !IsEven{}(x); });
    std::reverse(odd.begin(), odd.end());  // rejected items come back reversed
    std::vector<int> parted = even;
    parted.insert(parted.end(), odd.begin(), odd.end());
    CHECK(number.get()[0] == int(even.size()) && out.get() == parted);

    std::vector<int> runs = h;
    std::sort(runs.begin(), runs.end());
    Buffer<int> sorted(runs);
    cub_call([&](void* t, size_t& s) {
      return cub::DeviceRunLengthEncode::Encode(t, s, sorted.p, out.p, counts.p, number.p, n);
    });
    std::vector<int> keys, lengths;
    for (int x : runs) {
      if (keys.empty() || keys.back() != x) {
        keys.push_back(x);
        lengths.push_back(0);
      }
      ++lengths.back();
    }
    CHECK(number.get()[0] == int(keys.size()) && out.get(keys.size()) == keys &&
          counts.get(keys.size()) == lengths);

    // segments of very different lengths, empty ones among them
    std::vector<int> offsets{0};
    while (offsets.back() < n)
      offsets.push_back(std::min<int>(n, offsets.back() + int(rng() % 3 == 0 ? 0 : rng() % 700)));
    int segments = int(offsets.size()) - 1;
    Buffer<int> doffsets(offsets), sums(segments);
    cub_call([&](void* t, size_t& s) {
      return cub::DeviceSegmentedReduce::Sum(t, s, in.p, sums.p, segments, doffsets.p,
                                             doffsets.p + 1);
    });
    std::vector<int> segment_sums(segments);
    for (int i = 0; i < segments; ++i)
      segment_sums[i] = std::accumulate(h.begin() + offsets[i], h.begin() + offsets[i + 1], 0);
    CHECK(sums.get() == segment_sums);
    double all_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("n %d: sort pairs and keys, 32 bit: %.3f s; everything %.3f s\n", n, sort_s, all_s);
    std::fflush(stdout);
  }
  return report();
}
