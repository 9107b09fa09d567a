// SPDX-License-Identifier: Apache-2.0
#include "cpu/workspace.hpp"

#include <algorithm>
#include <bit>

#include "cpu/radix_sort.hpp"
#include "cpu/tuning.hpp"

namespace warpbag::cpu {

namespace {

constexpr std::size_t alignment = tuning::cache_line_bytes;  // threads share no line

/// Hands out the arrays of a block one after another; with base nullptr it only adds up the bytes.
class block_cutter {
 public:
  explicit block_cutter(std::byte* base) : base_(base) {}

  template <typename Element>
  Element* take(std::int64_t count) {
    return static_cast<Element*>(take_bytes(static_cast<std::size_t>(count) * sizeof(Element)));
  }
  void* take_bytes(std::size_t bytes) {
    void* const result = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (bytes + alignment - 1) & ~(alignment - 1);
    return result;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

workspace_arrays cut(block_cutter& block, const problem_limits& limits, int num_threads) {
  const std::size_t items =
      static_cast<std::size_t>(limits.positions) *
      (fits_packed_item(limits.rows, limits.positions) ? sizeof(packed_item) : sizeof(wide_item));
  const std::int64_t row_floats = padded(limits.max_dim);
  workspace_arrays arrays = {};
  arrays.sort_items[0] = block.take_bytes(items);
  arrays.sort_items[1] = block.take_bytes(items);
  arrays.digit_counts =
      block.take<std::uint32_t>(std::int64_t{num_threads} * (std::int64_t{1} << max_digit_bits));
  arrays.row_counts = block.take<std::uint32_t>(
      num_threads * std::min({limits.rows, limits.positions, tuning::most_counted_rows}));
  arrays.thread_counts = block.take<std::int64_t>(num_threads + 1);
  arrays.rows = block.take<std::int64_t>(limits.positions);
  arrays.run_begins = block.take<std::uint32_t>(limits.positions + 1);
  arrays.positions = block.take<std::uint32_t>(limits.positions);
  arrays.bag_of_position = block.take<std::uint32_t>(limits.positions);
  arrays.scale_of_bag = block.take<float>(limits.bags);
  arrays.first_chunk = block.take<std::int64_t>(std::max(limits.features, limits.tables) + 1);
  arrays.longest_bag = block.take<std::int64_t>(limits.features);
  arrays.first_run = block.take<std::int64_t>(limits.tables + 1);
  arrays.first_destination = block.take<std::int64_t>(limits.tables + 1);
  const std::int64_t routed_positions = limits.routed ? limits.positions : 0;
  arrays.routed_row = block.take<std::int64_t>(routed_positions);
  arrays.compact_id = block.take<std::uint32_t>(routed_positions);
  arrays.slice_sums = block.take<float>(numerics::num_slices * row_floats);
  arrays.thread_scratch =
      block.take<float>(std::int64_t{num_threads} * rows_per_thread * row_floats);
  return arrays;
}

}  // namespace

workspace::workspace(memory_resource& memory, int num_threads)
    : memory_(memory), num_threads_(num_threads) {}

workspace::~workspace() {
  if (block_ != nullptr) memory_.deallocate(block_, block_bytes_, nullptr);
}

std::size_t workspace::bytes_for(const problem_limits& limits, int num_threads) {
  block_cutter block(nullptr);
  cut(block, limits, num_threads);
  return block.used();
}

void workspace::reserve(const problem_limits& limits) {
  if (block_ != nullptr && within(limits, limits_)) return;
  const problem_limits wanted = united(limits_, limits);
  const std::size_t bytes = bytes_for(wanted, num_threads_);
  void* const block = memory_.allocate(bytes, alignment, nullptr);
  if (block_ != nullptr) memory_.deallocate(block_, block_bytes_, nullptr);
  block_ = block;
  block_bytes_ = bytes;
  limits_ = wanted;
  row_floats_ = padded(wanted.max_dim);
  block_cutter cutter(static_cast<std::byte*>(block_));
  arrays_ = cut(cutter, wanted, num_threads_);
  std::fill_n(arrays_.longest_bag, wanted.features, 0);
}

thread_rows workspace::rows_of_thread(int thread) const {
  float* const first = arrays_.thread_scratch + thread * rows_per_thread * row_floats_;
  thread_rows rows = {first, first + row_floats_, first + 2 * row_floats_, {}};
  for (int sum = 0; sum < open_sums; ++sum) {
    rows.sums[static_cast<std::size_t>(sum)] = first + (3 + sum) * row_floats_;
  }
  return rows;
}

}  // namespace warpbag::cpu
