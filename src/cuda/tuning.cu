// SPDX-License-Identifier: Apache-2.0
#include "operations/tuning.hpp"

#include "kernels/common/gradient_walk.cuh"
#include "kernels/common/hot_rows.cuh"
#include "kernels/common/long_run_work.cuh"
#include "kernels/common/pool_record.cuh"
#include "kernels/common/rowwise_rows.cuh"
#include "kernels/common/run_window.cuh"
#include "kernels/common/table_plan.cuh"
#include "kernels/deduplicate.cuh"
#include "kernels/radix_sort.cuh"
#include "kernels/sample_weight_gradient.cuh"
#include "kernels/upload.cuh"

namespace warpbag::operations {

std::vector<tuning_choice> cuda_tuning() {
  namespace k = kernels;
  using k::lookup_kind;
  using k::pool_policy;
  return {
      {"pool.rows_in_flight", pool_policy::rows_in_flight(lookup_kind::plain, k::quad_elements, 1),
       "16 warps with 8 rows of 512 bytes are 64 KB under way a multiprocessor"},
      {"pool.rows_in_flight_checked",
       pool_policy::rows_in_flight(lookup_kind::checked, k::quad_elements, 1),
       "ids that may be bad, weighted octets, narrow accesses: 8 spill"},
      {"pool.enough_warps", pool_policy::enough_warps, "12 with 4 KB each under way are 48 KB"},
      {"pool.most_bags", pool_policy::most_bags,
       "a group: 18.9 instructions a row with one bag, 13.8 with three"},
      {"pool.block_warps", pool_policy::block_warps, "16 warps of 128 registers"},
      {"pool.least_blocks", pool_policy::least_blocks,
       "128 registers, no spill; 16 to 32 bytes of stack with 96"},
      {"pool.longest_bag", pool_policy::longest_bag, "64 trips to memory, 8 rows at a time"},
      {"pool.piece", pool_policy::piece, "as many trips, 4 rows at a time"},
      {"hot_rows.least_bytes", k::hot_row_policy::least_bytes,
       "of rows a feature reads: a GPU takes some 80 us for them, beside which a sample is little"},
      {"hot_rows.samples", k::hot_row_policy::samples,
       "the 200th row of alpha 1.15 is seen 8 times"},
      {"hot_rows.kept_bytes", k::hot_row_policy::kept_bytes,
       "cuembed-readme --batch 8192: 9.9 sectors a row reach L2 in place of 11.4"},
      {"hot_rows.least_share", k::hot_row_policy::least_share,
       "fewer lookups than a quarter: all hot"},
      {"upload.small_words", k::upload_policy::small_words,
       "parameters of every toolkit: 4,096 bytes"},
      {"upload.large_words", k::upload_policy::large_words, "of CUDA 12.1 and newer: 32,764 bytes"},
      {"digit_count.keys_per_thread", k::digit_count_policy::keys_per_thread,
       "clearing and adding counts are a third of the instructions for 2048 keys a block"},
      {"sort.digit_bits", k::sort_policy<std::uint32_t, 10>::digit_bits,
       "19 bits are two passes of 4.7 instructions a key; three of 3.8 with 8 bits"},
      {"sort.keys_per_thread", k::sort_policy<std::uint32_t, 10>::keys_per_thread,
       "two blocks of 128 registers: 64 KiB of pairs under way"},
      {"find_runs.keys_per_thread", k::find_runs_policy::keys_per_thread,
       "2^16 keys are 32 tiles, which a warp that looks back sees at once"},
      {"runs.longest_run", k::run_policy::longest_run,
       "longest block over the mean: 35, with 256 it was 101"},
      {"gradient_walk.rows_per_batch", k::gradient_walk_policy::rows_per_batch,
       "12 warps with 4 rows of 512 bytes are 24 KiB under way"},
      {"gradient_walk.sums_per_lane", k::gradient_walk_policy::sums_per_lane,
       "8 are 9 instructions a lookup more"},
      {"gradient_walk.blocks_per_multiprocessor",
       k::gradient_walk_policy::blocks_per_multiprocessor, "168 registers; with 128 it spills"},
      {"run_window.occurrences", k::run_window_policy::occurrences,
       "the longest of the short runs; a bit each in a mask"},
      {"run_window.most_columns", k::run_window_policy::most_columns,
       "sums of a window are 8 KiB a warp"},
      {"table_plan.enough_tiles", k::table_plan_policy::enough_tiles,
       "eight for each of 132 multiprocessors"},
      {"rowwise.rows_together", k::rows_together, "9 shuffles instead of 40 for eight rows"},
      {"rowwise.rows_per_batch", k::rowwise_policy::rows_per_batch, "weights under way a lane"},
      {"rowwise.most_strips", k::rowwise_policy::most_strips,
       "as many as a lane's sums; 118 instructions a lookup instead of 228 at fp16, dim 256"},
      {"element_rows.rows_per_batch", k::element_policy::rows_per_batch,
       "three quads each under adam; 168 registers with two"},
      {"long_runs.longest_piece", k::long_run_policy::longest_piece,
       "a few microseconds, no longer than a launch"},
      {"long_runs.shortest_piece", k::long_run_policy::shortest_piece, "a block of N3"},
      {"long_runs.most_sums_in_leaf", k::long_run_policy::most_sums_in_leaf,
       "the last kernel adds at most 256 rows a tree"},
      {"long_runs.piece_blocks_per_multiprocessor",
       k::long_run_policy::piece_blocks_per_multiprocessor, "72 registers, no spill"},
      {"long_runs.finish_blocks_per_multiprocessor",
       k::long_run_policy::finish_blocks_per_multiprocessor, "168 registers; with 128 it spills"},
      {"weight_gradient.lookups_in_flight", k::weight_gradient_policy::lookups_in_flight,
       "a row and a gradient each"},
      {"weight_gradient.blocks_per_multiprocessor",
       k::weight_gradient_policy::blocks_per_multiprocessor, "96 registers; with 80 it spills"},
  };
}

}  // namespace warpbag::operations
