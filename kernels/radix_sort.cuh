// SPDX-License-Identifier: Apache-2.0
#pragma once
// A stable radix sort of (key, number) pairs from the lowest digit up, one pass over the pairs a
// digit (Adinets and Merrill, "Onesweep", 2022):
//
//   count_digits  counts the digits of all passes in one look at the keys; its last block turns the
//                 counts into where each digit begins
//   sort_pass     a tile of pairs a block: sorts it by the digit in shared memory, learns from the
//                 tiles before where its pairs of each digit go (look_back.cuh), and writes them
//
// Keys come from a source: `load` gives the lanes of a warp the keys of positions first + lane +
// 32 i, and all ones for those that are not among the `left` from `first` on. The numbers of the
// first pass are the positions, so nothing is written before it.

#include <cub/block/block_scan.cuh>

#include "kernels/common/last_block.cuh"
#include "kernels/common/look_back.cuh"

namespace warpbag::kernels {

struct digit_count_policy {
  static constexpr int threads = 256;
  // Clearing a block's counts and adding them to those of the others is a third of the instructions
  // for 2048 keys a block; more keys would leave multiprocessors without a block where batches are
  // small (2^16 keys: 32 blocks).
  static constexpr int keys_per_thread = 8;
  static constexpr int blocks_per_multiprocessor = 4;
  // Of all passes: three of 10 bits, or eight of 8 (12 KiB of shared memory).
  static constexpr int most_digits = 3 * 1024;
};

/// Digits of 10 bits sort 19-bit rows in two passes, not three, at 4.8 warp instructions a key and
/// pass where 8 bits are 3.8. The warps' counts of a tile then take 32 KiB of shared memory, and
/// the pairs of the tile, which come into the same memory after them, no more. Digits of 8 bits are
/// taken where they need no more passes.
template <typename Key, int DigitBits>
struct sort_policy {
  using key_type = Key;
  static constexpr int digit_bits = DigitBits;
  static constexpr int digits = 1 << DigitBits;
  static constexpr int threads = 256;
  static constexpr int warps = threads / warp_size;
  static constexpr int keys_per_thread = sizeof(Key) == 4 ? 16 : 12;
  static constexpr int keys_per_warp = keys_per_thread * warp_size;
  static constexpr int tile = keys_per_thread * threads;
  static constexpr int digits_per_thread = digits / threads;
  // 128 registers a thread: with three blocks, 80, they spill up to 60 bytes. Two have 64 KiB of
  // pairs under way.
  static constexpr int blocks_per_multiprocessor = 2;
  static_assert(tile <= static_cast<int>(look_back::most_in_tile) && digits % threads == 0);
};

/// In scratch memory (src/cuda/pair_sort.cu).
struct sort_work {
  std::uint32_t* counts;         // [most_digits] 0 before and after count_digits
  std::uint32_t* arrivals;       // of its blocks; the same
  std::uint32_t* begins;         // [passes][digits] pairs of smaller digits
  std::uint32_t* zeros;          // [num_zeros] that count_digits clears for the passes:
  std::uint32_t* next_tile;      // [passes]
  std::uint32_t* told;           // [passes][tiles][digits] look_back words
  std::uint32_t* one_more_zero;  // cleared too, unless it is nullptr
  std::size_t num_zeros;
  int digit_bits;
  int passes;

  __device__ __forceinline__ std::uint32_t* begins_of(int pass) const {
    return begins + (pass << digit_bits);
  }
};

/// Place of a lane's i-th key among those of the warp.
__device__ __forceinline__ std::uint32_t place_of(int i) {
  return static_cast<std::uint32_t>(i * warp_size + lane_index());
}

/// Keys that lie in memory.
template <typename Key>
struct key_array {
  using key_type = Key;
  const Key* keys;

  template <int Keys>
  __device__ __forceinline__ void load(Key (&loaded)[Keys], std::uint32_t first,
                                       std::uint32_t left) const {
    const Key* const mine = keys + first + lane_index();
#pragma unroll
    for (int i = 0; i < Keys; ++i) {
      loaded[i] = place_of(i) < left ? mine[i * warp_size] : ~Key{0};
    }
  }
};

template <typename Key>
__device__ __forceinline__ std::uint32_t digit_of(Key key, int shift, int digit_bits) {
  return static_cast<std::uint32_t>(key >> shift) & ((1U << digit_bits) - 1);
}

/// By the last block: counts to begins, and counts to zero.
__device__ __forceinline__ void scan_counts(const sort_work& work) {
  using policy = digit_count_policy;
  using scan = cub::BlockScan<std::uint32_t, policy::threads>;
  __shared__ typename scan::TempStorage storage;
  const int digits = 1 << work.digit_bits;
  for (int pass = 0; pass < work.passes; ++pass) {
    std::uint32_t before = 0;
    for (int first = 0; first < digits; first += policy::threads) {
      const int place = pass * digits + first + static_cast<int>(threadIdx.x);
      std::uint32_t begin = 0;
      std::uint32_t sum = 0;
      scan(storage).ExclusiveSum(work.counts[place], begin, sum);
      work.begins[place] = before + begin;
      work.counts[place] = 0;
      before += sum;
      __syncthreads();
    }
  }
}

/// is_there(i): whether a lane's i-th key is.
template <typename Key, typename IsThere>
__device__ __forceinline__ void count_keys(const Key (&keys)[digit_count_policy::keys_per_thread],
                                           std::uint32_t* counts, const sort_work& work,
                                           IsThere is_there) {
  for (int pass = 0; pass < work.passes; ++pass) {
#pragma unroll
    for (int i = 0; i < digit_count_policy::keys_per_thread; ++i) {
      const std::uint32_t digit = digit_of(keys[i], pass * work.digit_bits, work.digit_bits);
      if (is_there(i)) atomicAdd(counts + digit, 1U);
    }
    counts += 1 << work.digit_bits;
  }
}

template <typename Source>
__global__ void __launch_bounds__(digit_count_policy::threads)
    count_digits(const __grid_constant__ Source source, std::uint32_t count,
                 const __grid_constant__ sort_work work) {
  using policy = digit_count_policy;
  using Key = typename Source::key_type;
  __shared__ std::uint32_t counts[policy::most_digits];
  const int all_digits = work.passes << work.digit_bits;
  for (int d = static_cast<int>(threadIdx.x); d < all_digits; d += policy::threads) counts[d] = 0;
  for (auto i = static_cast<std::size_t>(thread_index()); i < work.num_zeros;
       i += static_cast<std::size_t>(num_threads())) {
    work.zeros[i] = 0;
  }
  if (thread_index() == 0 && work.one_more_zero != nullptr) *work.one_more_zero = 0;
  __syncthreads();
  constexpr std::int64_t keys_per_warp = policy::keys_per_thread * warp_size;
  for (std::int64_t first = warp_index() * keys_per_warp; first < count;
       first += num_warps() * keys_per_warp) {
    Key keys[policy::keys_per_thread];
    const std::uint32_t left = count - static_cast<std::uint32_t>(first);
    source.load(keys, static_cast<std::uint32_t>(first), left);
    if (left >= keys_per_warp) {
      count_keys(keys, counts, work, [](int) { return true; });
    } else {
      count_keys(keys, counts, work, [&](int i) { return place_of(i) < left; });
    }
  }
  __syncthreads();
  for (int d = static_cast<int>(threadIdx.x); d < all_digits; d += policy::threads) {
    if (counts[d] != 0) atomicAdd(&work.counts[d], counts[d]);
  }
  if (is_last_block(work.arrivals)) scan_counts(work);
}

/// The lanes of the warp that have the same digit. A vote a bit: match.any is one instruction of
/// PTX only, and said to take longer the more digits differ (NVIDIA/cccl, pull request 1372).
template <int Bits>
__device__ __forceinline__ unsigned lanes_with(std::uint32_t digit) {
  unsigned others = 0;
#pragma unroll
  for (int bit = 0; bit < Bits; ++bit) {
    const bool set = (digit & 1U << bit) != 0;
    others |= __ballot_sync(full_mask, set) ^ (set ? full_mask : 0U);
  }
  return ~others;
}

/// One tile of one pass, by a block.
template <typename Policy>
class sort_tile {
  using Key = typename Policy::key_type;
  static constexpr int keys_per_thread = Policy::keys_per_thread;
  static constexpr int digits_per_thread = Policy::digits_per_thread;
  using scan = cub::BlockScan<std::uint32_t, Policy::threads>;

  struct alignas(sizeof(std::uint32_t) * digits_per_thread) digit_numbers {
    std::uint32_t of[digits_per_thread];
  };

 public:
  struct storage {
    union {
      digit_numbers counts[Policy::warps][Policy::threads];  // a warp's pairs by digit
      struct {
        Key keys[Policy::tile];
        std::uint32_t values[Policy::tile];
      } sorted;
    };
    std::uint32_t shifts[Policy::digits];  // place in the output, less place in the tile
    typename scan::TempStorage scan_storage;
  };

  __device__ __forceinline__ sort_tile(storage& memory, int shift)
      : memory_(memory), counts_(memory.counts[threadIdx.x / warp_size]), shift_(shift) {}

  /// The place of each key among those of its digit in the warp.
  __device__ __forceinline__ void rank(const Key (&keys)[keys_per_thread],
                                       std::uint32_t (&places)[keys_per_thread]) {
#pragma unroll
    for (int i = 0; i < Policy::threads / warp_size; ++i) counts_[place_of(i)] = {};
    __syncwarp();
    const unsigned lanes_below = (1U << lane_index()) - 1;
#pragma unroll
    for (int i = 0; i < keys_per_thread; ++i) {
      const std::uint32_t digit = digit_of(keys[i]);
      const unsigned peers = lanes_with<Policy::digit_bits>(digit);
      const auto below = static_cast<std::uint32_t>(__popc(peers & lanes_below));
      std::uint32_t* const count = count_of(digit);
      const std::uint32_t before = *count;
      __syncwarp();
      if (below == 0) *count = before + static_cast<std::uint32_t>(__popc(peers));
      __syncwarp();
      places[i] = before + below;
    }
    __syncthreads();
  }

  /// After rank: tells the tile's counts, and turns each warp's into the place in the tile where
  /// its pairs of each digit begin.
  __device__ __forceinline__ void tell_counts(std::uint32_t* told, std::uint32_t tile) {
    std::uint32_t all = 0;
    sums_ = {};
#pragma unroll
    for (int warp = 0; warp < Policy::warps; ++warp) {
      const digit_numbers numbers = memory_.counts[warp][threadIdx.x];
#pragma unroll
      for (int d = 0; d < digits_per_thread; ++d) sums_.of[d] += numbers.of[d];
    }
#pragma unroll
    for (int d = 0; d < digits_per_thread; ++d) {
      std::uint32_t* const word = told + tile * std::size_t{Policy::digits} + first_digit() + d;
      if (tile == 0) {
        look_back::tell_total(word, sums_.of[d]);
      } else {
        look_back::tell_own(word, sums_.of[d]);
      }
      all += sums_.of[d];
    }
    scan(memory_.scan_storage).ExclusiveSum(all, begin_);
    digit_numbers begins;
    std::uint32_t begin = begin_;
#pragma unroll
    for (int d = 0; d < digits_per_thread; ++d) {
      begins.of[d] = begin;
      begin += sums_.of[d];
    }
#pragma unroll
    for (int warp = 0; warp < Policy::warps; ++warp) {
      const digit_numbers numbers = memory_.counts[warp][threadIdx.x];
      memory_.counts[warp][threadIdx.x] = begins;
#pragma unroll
      for (int d = 0; d < digits_per_thread; ++d) begins.of[d] += numbers.of[d];
    }
    __syncthreads();
  }

  /// After tell_counts: brings the pairs into their order, in shared memory. value_of(i): of a
  /// lane's i-th key.
  template <typename ValueOf>
  __device__ __forceinline__ void arrange(const Key (&keys)[keys_per_thread],
                                          std::uint32_t (&places)[keys_per_thread],
                                          ValueOf value_of) {
    std::uint32_t values[keys_per_thread];
#pragma unroll
    for (int i = 0; i < keys_per_thread; ++i) values[i] = value_of(i);
#pragma unroll
    for (int i = 0; i < keys_per_thread; ++i) places[i] += *count_of(digit_of(keys[i]));
    __syncthreads();
#pragma unroll
    for (int i = 0; i < keys_per_thread; ++i) {
      memory_.sorted.keys[places[i]] = keys[i];
      memory_.sorted.values[places[i]] = values[i];
    }
  }

  /// Learns where the digits of this tile go. begins: of the pass.
  __device__ __forceinline__ void find_places(const std::uint32_t* begins, std::uint32_t* told,
                                              std::uint32_t tile) {
    digit_numbers before = {};
    look_back::add_before(before.of, told + first_digit(), Policy::digits, tile);
    std::uint32_t begin = begin_;
#pragma unroll
    for (int d = 0; d < digits_per_thread; ++d) {
      const std::uint32_t digit = first_digit() + static_cast<unsigned>(d);
      if (tile > 0) {
        look_back::tell_total(told + tile * std::size_t{Policy::digits} + digit,
                              before.of[d] + sums_.of[d]);
      }
      memory_.shifts[digit] = begins[digit] + before.of[d] - begin;
      begin += sums_.of[d];
    }
    __syncthreads();
  }

  /// Writes the first `count` pairs of the tile.
  __device__ __forceinline__ void write(Key* keys, std::uint32_t* values, std::uint32_t count) {
#pragma unroll
    for (int i = 0; i < keys_per_thread; ++i) {
      const std::uint32_t place = threadIdx.x + static_cast<unsigned>(i * Policy::threads);
      if (place >= count) break;
      const Key key = memory_.sorted.keys[place];
      const std::uint32_t to = memory_.shifts[digit_of(key)] + place;
      keys[to] = key;
      values[to] = memory_.sorted.values[place];
    }
  }

 private:
  static __device__ __forceinline__ std::uint32_t first_digit() {
    return threadIdx.x * digits_per_thread;
  }
  __device__ __forceinline__ std::uint32_t digit_of(Key key) const {
    return kernels::digit_of(key, shift_, Policy::digit_bits);
  }
  __device__ __forceinline__ std::uint32_t* count_of(std::uint32_t digit) const {
    return &counts_[0].of[0] + digit;
  }

  storage& memory_;
  digit_numbers* counts_;  // of this warp
  int shift_;
  digit_numbers sums_;   // of this thread's digits, in the tile
  std::uint32_t begin_;  // of the first of them
};

/// A tile a block. values nullptr: positions. Beyond the last pair a tile has keys of all ones,
/// which come last in it and are not written; that they are counted is seen by no tile after it.
template <typename Policy, typename Source>
__global__ void __launch_bounds__(Policy::threads, Policy::blocks_per_multiprocessor)
    sort_pass(const __grid_constant__ Source source, const std::uint32_t* values,
              typename Policy::key_type* sorted_keys, std::uint32_t* sorted_values,
              std::uint32_t count, int pass, const __grid_constant__ sort_work work) {
  using tile_sort = sort_tile<Policy>;
  __shared__ alignas(16) typename tile_sort::storage storage;
  const std::uint32_t tile = take_tile(work.next_tile + pass);
  const std::uint32_t tile_left = count - tile * Policy::tile;
  const std::uint32_t first_of_warp = threadIdx.x / warp_size * Policy::keys_per_warp;
  const std::uint32_t first = tile * Policy::tile + first_of_warp;
  const std::uint32_t left = tile_left > first_of_warp ? tile_left - first_of_warp : 0;
  typename Policy::key_type keys[Policy::keys_per_thread];
  source.load(keys, first, left);
  tile_sort sort(storage, pass * Policy::digit_bits);
  std::uint32_t places[Policy::keys_per_thread];
  std::uint32_t* const told =
      work.told + static_cast<std::size_t>(pass) * gridDim.x * Policy::digits;
  sort.rank(keys, places);
  sort.tell_counts(told, tile);
  sort.arrange(keys, places, [&](int i) {
    const std::uint32_t position = first + place_of(i);
    return values != nullptr && place_of(i) < left ? values[position] : position;
  });
  sort.find_places(work.begins_of(pass), told, tile);
  sort.write(sorted_keys, sorted_values, tile_left);
}

}  // namespace warpbag::kernels
