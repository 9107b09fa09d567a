// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_device.hpp"
#include "warpbag/error.hpp"

namespace warpbag::bench {

std::unique_ptr<bench_device> make_cuda_bench_device(int) {
  throw device_unavailable("this build of warpbag has no CUDA backend");
}

}  // namespace warpbag::bench
