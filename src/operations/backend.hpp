// SPDX-License-Identifier: Apache-2.0
#pragma once
// The operations, as every backend has them (design.md section 3). One backend object serves one
// device; it owns its scratch memory and nothing else. Tests run one body over all of them.
//
// Order of a step (src/collection/step.cpp is the only caller in the product):
//   forward:  check_inputs, [deduplicate, renormalize_rows: when some table has max_norm], pool
//   backward: [deduplicate: when forward did not], sample_weight_gradient, advance_steps and
//   reduce_gradients, or both as one
// A synchronous backend (reference, CPU) throws bad_batch from check_inputs. A CUDA backend cannot:
// there a bad batch sets a status word on the device, every later operation up to the next
// check_inputs does nothing (no row, state, step, output or gradient is written), and status()
// tells.

#include <memory>
#include <optional>
#include <vector>

#include "numerics/initialisation.hpp"
#include "operations/problem.hpp"
#include "operations/routing.hpp"
#include "operations/row_lanes.hpp"
#include "warpbag/error.hpp"
#include "warpbag/resources.hpp"

namespace warpbag::operations {

enum class input_fault : std::uint8_t { none, id, offset };

/// What check_inputs found. `first_fault` and `where` are those of the first bad batch since
/// clear_status().
struct input_status {
  input_fault first_fault = input_fault::none;
  lookup_location where = {};
  std::int64_t bad_ids = 0;  // ids met under skip or zero since clear_status()
};

/// Host copy of what deduplicate made, for tests and for planning. Rows ascend; the positions of a
/// run ascend.
struct occurrences {
  std::vector<std::int64_t> rows;        // [num_runs] global rows
  std::vector<std::int64_t> run_begins;  // [num_runs + 1] into positions
  std::vector<std::int64_t> positions;   // [run_begins.back()]
};

class backend {
 public:
  backend() = default;
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;
  virtual ~backend() = default;

  virtual warpbag::device device() const = 0;

  /// Makes scratch memory large enough for problems within `limits`; never shrinks. The only call
  /// here that allocates. Throws bad_allocation and then serves problems of the old limits as
  /// before.
  virtual void reserve(const problem_limits& limits) = 0;

  // ---- one step ----
  virtual void check_inputs(const problem& problem) = 0;
  virtual void deduplicate(const problem& problem) = 0;
  virtual void renormalize_rows(const problem& problem) = 0;
  virtual void pool(const problem& problem) = 0;
  virtual void sample_weight_gradient(const problem& problem) = 0;
  /// numerics::advance on the step_state of every table whose gradient form is fused.
  virtual void advance_steps(const problem& problem) = 0;
  /// Sums each row's gradient (N3), finishes it (frequency, clipping) and gives it to the form of
  /// its table: fused runs the optimizer on the row, sparse and dense write it (rounded to nearest
  /// even in value_type).
  virtual void reduce_gradients(const problem& problem) = 0;
  /// Both of one problem, in this order: a device may need one launch less.
  virtual void advance_and_reduce(const problem& problem) {
    advance_steps(problem);
    reduce_gradients(problem);
  }

  // ---- between ranks (operations/routing.hpp; src/sharding is the only caller) ----
  /// After deduplicate: where each distinct row lives. Shares the sort with the gradients.
  virtual void route(const problem& problem, std::span<const route_record> tables,
                     const routed_rows& to) = 0;
  /// After check_inputs: the ids of a problem whose gradients are summed one subtree at a time.
  /// That one has the same bags and needs no check_inputs; limits for both are reserved before the
  /// first.
  virtual void split_by_subtree(const problem& problem,
                                std::span<const subtree_record> features) = 0;
  /// After deduplicate and reduce_gradients of such a problem, all of whose tables have gradient
  /// form sparse: what the owners of the rows are to be told of each sum.
  virtual void pack_partials(const problem& problem, std::span<const packed_record> features) = 0;
  /// The other end. packed and occurrences: [count]; occurrences may be nullptr: every partial is
  /// of one occurrence.
  virtual void unpack_partials(std::int64_t count, const std::int64_t* packed,
                               const std::uint32_t* occurrences, std::int64_t* rows,
                               partial_record* partials) = 0;
  /// table.rows[rows[k]] = values[k]; values: [count, dim] contiguous, of the table's row type;
  /// rows without repetition.
  virtual void write_rows(const table_record& table, const std::int64_t* rows, std::int64_t count,
                          const void* values) = 0;

  /// Where the columns of a row are with several owners: for every table that has_lanes(table,
  /// which), and of it for every row of gradient.rows (max_norm: every run of deduplicate),
  /// continues the lane sums of N4 from what shard.row_lanes hold with this record's columns. The
  /// owner of the columns before left them there; the first begins at +0. reduce_gradients leaves
  /// clipping by norm to update_rows for such tables, and update_rows and renormalize_rows take
  /// their sums from the lanes that all owners have added to.
  virtual void add_row_lanes(const problem& problem, row_reduction which) = 0;

  // ---- on tables, outside a step ----
  /// The optimizer step for tables of gradient form sparse, from gradient.rows, .values and *.count
  /// as given: rows in ascending order without repetition, values already finished.
  /// problem.features is not used. With f32 values this equals the fused form bit for bit. Advances
  /// the step_state of these tables first.
  virtual void update_rows(const problem& problem) = 0;
  /// First values: initial_value(kind, scale, random_word(seed, initialisation, rng_table, row,
  /// column, 0)), narrowed to nearest even; the padding row is zero.
  virtual void initialize_rows(const table_record& table, numerics::init_kind kind,
                               float scale) = 0;
  /// Every element of memory[0, count) becomes `value`.
  virtual void fill(float* memory, std::int64_t count, float value) = 0;

  // ---- asking (these wait for the device) ----
  virtual input_status status() = 0;
  virtual void clear_status() = 0;
  virtual occurrences copy_occurrences(const problem& problem) = 0;
};

/// Bytes of scratch that reserve(limits) would hold.
std::size_t cpu_workspace_bytes(const problem_limits& limits);
std::size_t cuda_workspace_bytes(const problem_limits& limits);

std::unique_ptr<backend> make_cpu_backend(const resources& resources);
/// Throws device_unavailable in a build without CUDA or on a machine without that device.
std::unique_ptr<backend> make_cuda_backend(const resources& resources);
/// That of resources.where.
inline std::unique_ptr<backend> make_backend(const resources& resources) {
  return resources.where.kind == device_kind::cpu ? make_cpu_backend(resources)
                                                  : make_cuda_backend(resources);
}

/// Throws id_out_of_range or bad_offsets with a message that names table, feature, bag, position
/// and value.
[[noreturn]] void throw_bad_batch(input_fault fault, const lookup_location& where,
                                  std::int64_t limit);

}  // namespace warpbag::operations
