// SPDX-License-Identifier: Apache-2.0
// Thrust algorithms against the standard library.
#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/unique.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "check.h"

int main() {
  std::mt19937 rng(7);
  for (int n : {0, 1, 31, 1000, 100000}) {
    std::vector<int> h(n);
    for (int& x : h) x = static_cast<int>(rng() % 2000) - 1000;
    thrust::device_vector<int> d(h.begin(), h.end());
    auto host = [](const auto& v) {
      std::vector<typename std::decay_t<decltype(v)>::value_type> out(v.size());
      thrust::copy(v.begin(), v.end(), out.begin());
      return out;
    };

    CHECK(thrust::reduce(d.begin(), d.end(), 0) == std::accumulate(h.begin(), h.end(), 0));

    thrust::device_vector<int> scan(n);
    thrust::inclusive_scan(d.begin(), d.end(), scan.begin());
    std::vector<int> expected(n);
    std::partial_sum(h.begin(), h.end(), expected.begin());
    CHECK(host(scan) == expected);

    thrust::device_vector<int> sorted = d;
    thrust::sort(sorted.begin(), sorted.end());
    std::vector<int> hs = h;
    std::sort(hs.begin(), hs.end());
    CHECK(host(sorted) == hs);

    thrust::device_vector<int> distinct = sorted;
    distinct.erase(thrust::unique(distinct.begin(), distinct.end()), distinct.end());
    std::vector<int> hd = hs;
    hd.erase(std::unique(hd.begin(), hd.end()), hd.end());
    CHECK(host(distinct) == hd);

    thrust::device_vector<int> keys(n), sums(n);
    thrust::device_vector<int> ones(n, 1);
    auto ends = thrust::reduce_by_key(sorted.begin(), sorted.end(), ones.begin(), keys.begin(),
                                      sums.begin());
    std::map<int, int> counts;
    for (int x : h) ++counts[x];
    size_t groups = ends.first - keys.begin();
    CHECK(groups == counts.size());
    auto hk = host(keys), hc = host(sums);
    size_t i = 0;
    bool same = groups == counts.size();
    for (auto& [k, c] : counts) {
      same = same && hk[i] == k && hc[i] == c;
      ++i;
    }
    CHECK(same);
  }
  return report();
}
