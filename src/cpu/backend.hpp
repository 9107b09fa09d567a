// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cpu/bags.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/workspace.hpp"
#include "operations/backend.hpp"

namespace warpbag::cpu {

class first_offender;  // of check_inputs.cpp

using operations::input_fault;
using operations::input_status;
using operations::problem;

/// SIMD by run-time choice of instruction set, threads, rows prefetched ahead of their use. Each
/// operation is a file of its name.
class cpu_backend final : public operations::backend {
 public:
  explicit cpu_backend(const resources& resources);

  warpbag::device device() const override { return {device_kind::cpu, 0}; }
  void reserve(const problem_limits& limits) override { workspace_.reserve(limits); }

  void check_inputs(const problem& problem) override;
  void deduplicate(const problem& problem) override;
  void renormalize_rows(const problem& problem) override;
  void pool(const problem& problem) override;
  void sample_weight_gradient(const problem& problem) override;
  void advance_steps(const problem& problem) override;
  void reduce_gradients(const problem& problem) override;

  void route(const problem& problem, std::span<const operations::route_record> tables,
             const operations::routed_rows& to) override;
  void split_by_subtree(const problem& problem,
                        std::span<const operations::subtree_record> features) override;
  void pack_partials(const problem& problem,
                     std::span<const operations::packed_record> features) override;
  void unpack_partials(std::int64_t count, const std::int64_t* packed,
                       const std::uint32_t* occurrences, std::int64_t* rows,
                       operations::partial_record* partials) override;
  void write_rows(const table_record& table, const std::int64_t* rows, std::int64_t count,
                  const void* values) override;
  void add_row_lanes(const problem& problem, operations::row_reduction which) override;

  void update_rows(const problem& problem) override;
  void initialize_rows(const table_record& table, numerics::init_kind kind, float scale) override;
  void fill(float* memory, std::int64_t count, float value) override;

  input_status status() override { return status_; }
  void clear_status() override { status_ = {}; }
  operations::occurrences copy_occurrences(const problem& problem) override;

 private:
  /// body(part, chunk, thread) for every chunk of every part; chunks_of_part(part) tells how many.
  template <typename ChunksOfPart, typename Body>
  void for_each_chunk(std::size_t parts, ChunksOfPart chunks_of_part, Body&& body);

  template <typename Index>
  void check_offsets_and_ids(const problem& problem);
  template <typename Index>
  void check_offsets(const problem& problem, first_offender& bad_offset);
  template <typename Index>
  std::int64_t check_ids(const problem& problem, std::size_t num_features, first_offender& bad_id);
  [[noreturn]] void refuse(input_fault fault, const lookup_location& where, std::int64_t limit);
  template <typename Item>
  void sort_occurrences(const problem& problem);
  template <typename Item, typename Index>
  std::int64_t collect_occurrences(const problem& problem, int position_bits, Item* items,
                                   std::int64_t first, std::int64_t last);
  template <typename Item>
  void count_runs(const problem& problem, const Item* items, int position_bits);
  template <typename Item>
  void find_runs(const Item* items, int position_bits);
  template <typename Index>
  void write_compact_ids(const problem& problem, void* const* compact_ids);
  void zero_dense(const table_record& table);
  std::int64_t longest_run_of_a_thread() const;
  void note_long_runs(std::size_t table, std::int64_t first_run, std::int64_t last_run,
                      std::int64_t longest_run);
  void reduce_long_run(const problem& problem, std::size_t table, std::int64_t run);

  struct long_run {
    std::size_t table;
    std::int64_t run;
  };

  thread_pool threads_;
  workspace workspace_;
  input_status status_;
  std::int64_t num_runs_ = 0;
  std::mutex long_runs_mutex_;
  std::vector<long_run>
      long_runs_;  // fewer than tuning::long_runs_per_thread * threads; never grows
};

template <typename ChunksOfPart, typename Body>
void cpu_backend::for_each_chunk(std::size_t parts, ChunksOfPart chunks_of_part, Body&& body) {
  std::int64_t* const first_chunk = workspace_.arrays().first_chunk;
  first_chunk[0] = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    first_chunk[part + 1] = first_chunk[part] + chunks_of_part(part);
  }
  threads_.for_each(first_chunk[parts], [&](std::int64_t chunk, int thread) {
    const auto part = static_cast<std::size_t>(
        std::upper_bound(first_chunk, first_chunk + parts + 1, chunk) - first_chunk - 1);
    body(part, chunk - first_chunk[part], thread);
  });
}

}  // namespace warpbag::cpu
