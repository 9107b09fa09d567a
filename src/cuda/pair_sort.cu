// SPDX-License-Identifier: Apache-2.0
#include "cuda/pair_sort.hpp"

#include <algorithm>

#include "cuda/error.hpp"
#include "kernels/deduplicate.cuh"

namespace warpbag::cuda {

namespace {

using count_policy = kernels::digit_count_policy;

struct digit_plan {
  int bits;
  int passes;
};

/// Of 64-bit keys, which tables of more than 2^32 rows have, there are digits of 8 bits only.
template <typename Key>
digit_plan plan_digits(int key_bits) {
  const digit_plan narrow = {8, (key_bits + 7) / 8};
  const digit_plan wide = {10, (key_bits + 9) / 10};
  return sizeof(Key) == 4 && wide.passes < narrow.passes ? wide : narrow;
}

template <typename Key>
std::size_t num_tiles(std::uint32_t count) {
  constexpr std::size_t tile = kernels::sort_policy<Key, 8>::tile;
  static_assert(tile == kernels::sort_policy<Key, 10>::tile);
  return (count + tile - 1) / tile;
}

template <typename Key>
std::size_t num_zeros(std::uint32_t count, const digit_plan& plan) {
  const auto passes = static_cast<std::size_t>(plan.passes);
  return passes + ((passes * num_tiles<Key>(count)) << plan.bits);
}

constexpr std::size_t resting_bytes = (count_policy::most_digits + 64) * sizeof(std::uint32_t);
constexpr std::size_t begins_bytes = count_policy::most_digits * sizeof(std::uint32_t);

template <typename Policy, typename Source>
void launch_pass(const launch_context& context, const Source& source, std::uint32_t count, int pass,
                 const kernels::sort_work& work, pair_buffers<typename Source::key_type>& buffers) {
  const int from = buffers.current;
  buffers.current = 1 - from;
  kernels::sort_pass<Policy><<<static_cast<unsigned>(num_tiles<typename Source::key_type>(count)),
                               Policy::threads, 0, context.stream>>>(
      source, pass == 0 ? nullptr : buffers.values[from], buffers.keys[buffers.current],
      buffers.values[buffers.current], count, pass, work);
  check_launch("sort_pass");
}

template <typename Policy, typename Source>
void launch_passes(const launch_context& context, const Source& source, std::uint32_t count,
                   const kernels::sort_work& work,
                   pair_buffers<typename Source::key_type>& buffers) {
  using Key = typename Source::key_type;
  launch_pass<Policy>(context, source, count, 0, work, buffers);
  for (int pass = 1; pass < work.passes; ++pass) {
    const kernels::key_array<Key> keys = {buffers.keys[buffers.current]};
    launch_pass<Policy>(context, keys, count, pass, work, buffers);
  }
}

}  // namespace

template <typename Key>
std::size_t sort_scratch_bytes(std::uint32_t count, int bits, std::size_t more_zeros) {
  std::size_t zeros = 0;  // which do not always grow with the bits
  for (int fewer = 1; fewer <= std::min(bits, int{8 * sizeof(Key)}); ++fewer) {
    zeros = std::max(zeros, num_zeros<Key>(count, plan_digits<Key>(fewer)));
  }
  return resting_bytes + begins_bytes + (more_zeros + zeros) * sizeof(std::uint32_t);
}

void reset_sort_scratch(cudaStream_t stream, void* scratch) {
  WARPBAG_CUDA_TRY(cudaMemsetAsync(scratch, 0, resting_bytes, stream));
}

template <typename Key>
kernels::sort_work divide_sort_scratch(void* scratch, std::uint32_t count, int bits,
                                       std::size_t more_zeros) {
  const digit_plan plan = plan_digits<Key>(bits);
  auto* const words = static_cast<std::uint32_t*>(scratch);
  kernels::sort_work work = {};
  work.counts = words;
  work.arrivals = words + count_policy::most_digits;
  work.begins = words + resting_bytes / sizeof(std::uint32_t);
  work.zeros = work.begins + begins_bytes / sizeof(std::uint32_t);
  work.next_tile = work.zeros + more_zeros;
  work.told = work.next_tile + plan.passes;
  work.num_zeros = more_zeros + num_zeros<Key>(count, plan);
  work.digit_bits = plan.bits;
  work.passes = plan.passes;
  return work;
}

template <typename Source>
void sort_pairs(const launch_context& context, const Source& source, std::uint32_t count,
                const kernels::sort_work& work, pair_buffers<typename Source::key_type>& buffers) {
  using Key = typename Source::key_type;
  constexpr std::int64_t keys_per_block = count_policy::threads * count_policy::keys_per_thread;
  const std::int64_t most_blocks =
      std::int64_t{context.num_multiprocessors} * count_policy::blocks_per_multiprocessor;
  const std::int64_t blocks = std::min((count + keys_per_block - 1) / keys_per_block, most_blocks);
  kernels::
      count_digits<<<static_cast<unsigned>(blocks), count_policy::threads, 0, context.stream>>>(
          source, count, work);
  check_launch("count_digits");
  if constexpr (sizeof(Key) == 4) {
    if (work.digit_bits == 10) {
      launch_passes<kernels::sort_policy<Key, 10>>(context, source, count, work, buffers);
      return;
    }
  }
  launch_passes<kernels::sort_policy<Key, 8>>(context, source, count, work, buffers);
}

using kernels::key_array;
using kernels::row_keys;
using std::int32_t;
using std::int64_t;
using std::uint32_t;
using std::uint64_t;

template std::size_t sort_scratch_bytes<uint32_t>(uint32_t, int, std::size_t);
template std::size_t sort_scratch_bytes<uint64_t>(uint32_t, int, std::size_t);
template kernels::sort_work divide_sort_scratch<uint32_t>(void*, uint32_t, int, std::size_t);
template kernels::sort_work divide_sort_scratch<uint64_t>(void*, uint32_t, int, std::size_t);
template void sort_pairs(const launch_context&, const key_array<uint32_t>&, uint32_t,
                         const kernels::sort_work&, pair_buffers<uint32_t>&);
template void sort_pairs(const launch_context&, const row_keys<int32_t, uint32_t>&, uint32_t,
                         const kernels::sort_work&, pair_buffers<uint32_t>&);
template void sort_pairs(const launch_context&, const row_keys<int64_t, uint32_t>&, uint32_t,
                         const kernels::sort_work&, pair_buffers<uint32_t>&);
template void sort_pairs(const launch_context&, const row_keys<int32_t, uint64_t>&, uint32_t,
                         const kernels::sort_work&, pair_buffers<uint64_t>&);
template void sort_pairs(const launch_context&, const row_keys<int64_t, uint64_t>&, uint32_t,
                         const kernels::sort_work&, pair_buffers<uint64_t>&);

}  // namespace warpbag::cuda
