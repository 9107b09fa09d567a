// SPDX-License-Identifier: Apache-2.0
#include "cuda/pair_sort.hpp"

#include <cub/device/dispatch/dispatch_radix_sort.cuh>

#include "cuda/error.hpp"

namespace warpbag::cuda {

namespace {

/// CUB's tuning for compute capability 9.0 on every device, with one change. Its histogram kernel
/// is launched with as many blocks as the device holds, whatever the number of keys, and every
/// block clears and adds up all bins. With 128 threads these are 1584 blocks on an H100: 17.8 warp
/// instructions a key for 2^16 keys of 19 bits. Blocks of 1024 threads are 264, and 8.6
/// instructions.
template <typename Key>
struct sort_policies {
  struct MaxPolicy : cub::detail::radix::policy_hub<Key, std::uint32_t, std::uint32_t>::Policy900 {
    using HistogramPolicy = cub::AgentRadixSortHistogramPolicy<1024, 16, 1, Key, 8>;
    using ActivePolicy = MaxPolicy;

    template <typename Operation>
    static cudaError_t Invoke(int, Operation& operation) {
      return operation.template Invoke<MaxPolicy>();
    }
  };
};

template <typename Key>
cudaError_t dispatch(void* scratch, std::size_t& bytes, pair_buffers<Key>& buffers,
                     std::uint32_t count, int bits, cudaStream_t stream) {
  using sort = cub::DispatchRadixSort<cub::SortOrder::Ascending, Key, std::uint32_t, std::uint32_t,
                                      cub::detail::identity_decomposer_t, sort_policies<Key>>;
  return sort::Dispatch(scratch, bytes, buffers.keys, buffers.values, count, 0, bits, true, stream);
}

}  // namespace

template <typename Key>
void sort_pairs(void* scratch, std::size_t scratch_bytes, pair_buffers<Key>& buffers,
                std::uint32_t count, int bits, cudaStream_t stream) {
  WARPBAG_CUDA_TRY(dispatch(scratch, scratch_bytes, buffers, count, bits, stream));
}

template <typename Key>
std::size_t sort_pairs_scratch_bytes(std::uint32_t count, int bits) {
  std::size_t bytes = 0;
  pair_buffers<Key> none;
  WARPBAG_CUDA_TRY(dispatch(nullptr, bytes, none, count, bits, nullptr));
  return bytes;
}

template void sort_pairs(void*, std::size_t, pair_buffers<std::uint32_t>&, std::uint32_t, int,
                         cudaStream_t);
template void sort_pairs(void*, std::size_t, pair_buffers<std::uint64_t>&, std::uint32_t, int,
                         cudaStream_t);
template std::size_t sort_pairs_scratch_bytes<std::uint32_t>(std::uint32_t, int);
template std::size_t sort_pairs_scratch_bytes<std::uint64_t>(std::uint32_t, int);

}  // namespace warpbag::cuda
