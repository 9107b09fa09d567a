// SPDX-License-Identifier: Apache-2.0
// Backward: each row's gradient is summed in scratch (N3), finished and used up at once. Chunks of
// runs go to threads. A run so long that it would keep one thread busy alone is put aside, and then
// all threads sum it, a slice of the batch each.

#include "cpu/simd_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/reduce_gradients.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "cpu/backend.hpp"
#include "cpu/gradient_rows.hpp"
#include "cpu/gradient_sum-inl.hpp"
#include "cpu/nested_sum-inl.hpp"
#include "cpu/row_update-inl.hpp"

#ifndef WARPBAG_CPU_REDUCE_TYPES
#define WARPBAG_CPU_REDUCE_TYPES
namespace warpbag::cpu {

using operations::gradient_form;
using operations::gradient_record;

/// Runs of one table to be summed by one thread.
struct reduce_job {
  const problem& batch;
  const workspace_arrays& arrays;
  std::size_t table;
  std::int64_t first_run;
  std::int64_t last_run;
  std::int64_t longest_run;  // runs over it are left out
  thread_rows rows;
};

/// A stretch of occurrences of one row, to be summed into `result`.
struct sum_job {
  const problem& batch;
  const workspace_arrays& arrays;
  std::int64_t dim;
  std::int64_t begin;  // into arrays.positions
  std::int64_t end;
  thread_rows rows;
  float* result;
};

/// The leaves of one row in one feature, summed: sum_of_slice[s] for each s of slices.
struct combine_job {
  std::int64_t dim;
  const std::int32_t* slices;  // [num_slices] ascending
  int num_slices;
  const float* sum_of_slice;  // rows padded(max_dim) apart
  std::int64_t row_floats;
  const float* total_before;  // sum of the features before, or nullptr
  thread_rows rows;
  float* result;
};

}  // namespace warpbag::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

HWY_INLINE void store_gradient(const gradient_record& to, const float* gradient, std::int64_t index,
                               std::int64_t dim) {
  switch (to.value_type) {
    case dtype::f32:
      narrow_row(gradient, static_cast<float*>(to.values) + index * dim, dim);
      return;
    case dtype::f16: narrow_row(gradient, static_cast<f16*>(to.values) + index * dim, dim); return;
    case dtype::bf16:
      narrow_row(gradient, static_cast<bf16*>(to.values) + index * dim, dim);
      return;
  }
}

/// Finishes the summed gradient of a run and gives it to the form of its table.
class run_finisher {
 public:
  run_finisher(const problem& batch, const workspace_arrays& arrays, std::size_t table_index,
               const thread_rows& rows)
      : table_(batch.tables[table_index]),
        arrays_(arrays),
        first_run_(arrays.first_run[table_index]),
        rows_(rows),
        gradients_(batch, arrays),
        optimizer_(table_) {
    for (const feature_record& feature : batch.features) {
      has_partials_ = has_partials_ || (feature.partials != nullptr &&
                                        static_cast<std::size_t>(feature.table) == table_index);
    }
  }

  /// rows.gradient holds the sum.
  void finish(std::int64_t run) const {
    const std::int64_t row = arrays_.rows[run] - table_.first_row;
    finish_gradient(table_, rows_.gradient, frequency(run));
    const gradient_record& form = table_.gradient;
    switch (form.form) {
      case gradient_form::none: return;
      case gradient_form::fused: optimizer_.update(row, rows_); return;
      case gradient_form::dense: store_gradient(form, rows_.gradient, row, table_.dim); return;
      case gradient_form::sparse:
        form.rows[run - first_run_] = row;
        store_gradient(form, rows_.gradient, run - first_run_, table_.dim);
        return;
    }
  }

  void prefetch(std::int64_t run) const {
    if (table_.gradient.form == gradient_form::fused) {
      optimizer_.prefetch(arrays_.rows[run] - table_.first_row);
    }
  }

 private:
  /// How often the row of a run occurs in the batch.
  std::int64_t frequency(std::int64_t run) const {
    const std::uint32_t* const first = arrays_.positions + arrays_.run_begins[run];
    const std::uint32_t* const last = arrays_.positions + arrays_.run_begins[run + 1];
    if (!has_partials_ || !table_.scale_grad_by_freq) return last - first;
    occurrence next = gradients_.find(*first);
    std::int64_t total = next.frequency();
    for (const std::uint32_t* position = first + 1; position != last; ++position) {
      next = gradients_.find_after(next, *position);
      total += next.frequency();
    }
    return total;
  }

  const table_record& table_;
  const workspace_arrays& arrays_;
  std::int64_t first_run_;
  const thread_rows& rows_;
  gradient_rows gradients_;
  row_optimizer optimizer_;
  bool has_partials_ = false;
};

/// Sums runs one after another; those that fit a window are looked up some way ahead.
template <typename Gradient>
void reduce_runs(const reduce_job& job) {
  const table_record& table = job.batch.tables[job.table];
  const std::uint32_t* const begins = job.arrays.run_begins;
  const std::int64_t gradient_bytes = table.dim * std::int64_t{sizeof(Gradient)};
  const std::int64_t ahead = tuning::rows_ahead(gradient_bytes);
  const gradient_rows gradients(job.batch, job.arrays);
  const run_finisher finisher(job.batch, job.arrays, job.table, job.rows);
  const auto size_of_run = [&](std::int64_t run) {
    return std::int64_t{begins[run + 1]} - std::int64_t{begins[run]};
  };
  const std::int64_t longest_windowed =
      occurrence_window::serves(job.batch, job.table)
          ? std::min(job.longest_run, occurrence_window::longest_run)
          : 0;
  occurrence_window window(gradients, job.arrays, begins[job.last_run]);
  std::int64_t next_run = job.first_run;  // to be looked up
  std::int64_t used = 0;                  // of the window
  for (std::int64_t run = job.first_run; run < job.last_run; ++run) {
    while (next_run < job.last_run &&
           (next_run <= run || std::max(next_run - run, window.filled() - used) < ahead)) {
      finisher.prefetch(next_run);
      if (size_of_run(next_run) <= longest_windowed) {
        window.add_run(begins[next_run], begins[next_run + 1],
                       [&](const void* row) { prefetch_row(row, gradient_bytes); });
      }
      ++next_run;
    }
    const std::int64_t size = size_of_run(run);
    if (size > job.longest_run) continue;
    windowed_run windowed;
    if (size <= longest_windowed && window.get(used, size, windowed)) {
      for_each_strip(0, table.dim, nested_strip<Gradient>{windowed, job.rows.gradient});
    } else {
      sum_occurrences<Gradient>(gradients, job.arrays.positions + begins[run], size, table.dim,
                                job.rows, job.rows.gradient);
    }
    if (size <= longest_windowed) used += size;
    finisher.finish(run);
  }
}

void run_reduce_job(const reduce_job& job) {
  switch (job.batch.gradient_type) {
    case dtype::f32: reduce_runs<float>(job); return;
    case dtype::f16: reduce_runs<f16>(job); return;
    case dtype::bf16: reduce_runs<bf16>(job); return;
  }
}

template <typename Gradient>
void sum_typed(const sum_job& job) {
  sum_occurrences<Gradient>(gradient_rows(job.batch, job.arrays), job.arrays.positions + job.begin,
                            job.end - job.begin, job.dim, job.rows, job.result);
}

void run_sum_job(const sum_job& job) {
  switch (job.batch.gradient_type) {
    case dtype::f32: sum_typed<float>(job); return;
    case dtype::f16: sum_typed<f16>(job); return;
    case dtype::bf16: sum_typed<bf16>(job); return;
  }
}

/// A leaf that is summed already enters the tree as a segment of one occurrence of scale 1.
void run_combine_job(const combine_job& job) {
  tree_adder<float> sums(job.dim, job.rows);
  gradient_segment segment;
  segment.size = 1;
  segment.scales[0] = 1.0F;
  if (job.total_before != nullptr) {
    segment.gradients[0] = job.total_before;
    sums.add(segment, open_sums - 1);
  }
  for (int i = 0; i < job.num_slices; ++i) {
    segment.gradients[0] = job.sum_of_slice + job.slices[i] * job.row_floats;
    if (i + 1 == job.num_slices) {
      sums.finish(segment, job.result);
    } else {
      sums.add(segment, leaf_levels - 1 + numerics::sums_ended(job.slices[i], job.slices[i + 1]));
    }
  }
}

void run_finish_job(const reduce_job& job) {
  run_finisher(job.batch, job.arrays, job.table, job.rows).finish(job.first_run);
}

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace warpbag::cpu {

HWY_EXPORT(run_reduce_job);
HWY_EXPORT(run_sum_job);
HWY_EXPORT(run_combine_job);
HWY_EXPORT(run_finish_job);

namespace {

using tuning::occurrences_per_chunk;

struct run_chunks {
  std::int64_t first_run;
  std::int64_t last_run;
  const std::uint32_t* begins;

  std::int64_t count() const {
    return first_run == last_run
               ? 0
               : (begins[last_run] - begins[first_run]) / occurrences_per_chunk + 1;
  }
  /// First run that begins in chunk `chunk` or later.
  std::int64_t run_of_chunk(std::int64_t chunk) const {
    const std::int64_t begin = begins[first_run] + chunk * occurrences_per_chunk;
    return std::lower_bound(begins + first_run, begins + last_run, begin) - begins;
  }
};

bool wants_gradient(const table_record& table) {
  return table.gradient.form != gradient_form::none;
}

}  // namespace

void cpu_backend::reduce_gradients(const problem& problem) {
  const workspace_arrays& arrays = workspace_.arrays();
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    const table_record& table = problem.tables[t];
    const gradient_record& form = table.gradient;
    if (form.form == gradient_form::dense) zero_dense(table);
    if (form.form == gradient_form::sparse)
      *form.count = arrays.first_run[t + 1] - arrays.first_run[t];
  }
  const std::int64_t longest_run = longest_run_of_a_thread();
  long_runs_.clear();
  const auto chunks_of_table = [&](std::size_t t) {
    return run_chunks{arrays.first_run[t], arrays.first_run[t + 1], arrays.run_begins};
  };
  for_each_chunk(
      problem.tables.size(),
      [&](std::size_t t) {
        return wants_gradient(problem.tables[t]) ? chunks_of_table(t).count() : 0;
      },
      [&](std::size_t t, std::int64_t chunk, int thread) {
        const run_chunks chunks = chunks_of_table(t);
        const reduce_job job = {problem,
                                arrays,
                                t,
                                chunks.run_of_chunk(chunk),
                                chunks.run_of_chunk(chunk + 1),
                                longest_run,
                                workspace_.rows_of_thread(thread)};
        note_long_runs(t, job.first_run, job.last_run, longest_run);
        HWY_DYNAMIC_DISPATCH(run_reduce_job)(job);
      });
  for (const long_run& found : long_runs_) {
    reduce_long_run(problem, found.table, found.run);
  }
}

void cpu_backend::zero_dense(const table_record& table) {
  constexpr std::int64_t bytes_per_chunk = std::int64_t{1} << 20;
  const std::int64_t bytes =
      table.num_rows * table.dim * static_cast<std::int64_t>(size_of(table.gradient.value_type));
  threads_.for_each((bytes + bytes_per_chunk - 1) / bytes_per_chunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * bytes_per_chunk;
    std::memset(static_cast<std::byte*>(table.gradient.values) + first, 0,
                static_cast<std::size_t>(std::min(bytes - first, bytes_per_chunk)));
  });
}

std::int64_t cpu_backend::longest_run_of_a_thread() const {
  if (threads_.num_threads() == 1) return INT64_MAX;
  const std::int64_t occurrences = workspace_.arrays().run_begins[num_runs_];
  return std::max(tuning::shortest_long_run,
                  occurrences / (tuning::long_runs_per_thread * threads_.num_threads()));
}

void cpu_backend::note_long_runs(std::size_t table, std::int64_t first_run, std::int64_t last_run,
                                 std::int64_t longest_run) {
  const std::uint32_t* const begins = workspace_.arrays().run_begins;
  for (std::int64_t run = first_run; run < last_run; ++run) {
    if (begins[run + 1] - begins[run] <= longest_run) continue;
    const std::lock_guard lock(long_runs_mutex_);
    long_runs_.push_back({table, run});
  }
}

void cpu_backend::reduce_long_run(const problem& problem, std::size_t table, std::int64_t run) {
  const workspace_arrays& arrays = workspace_.arrays();
  const std::int64_t dim = problem.tables[table].dim;
  const thread_rows own_rows = workspace_.rows_of_thread(0);
  const gradient_rows gradients(problem, arrays);
  const std::uint32_t* const positions = arrays.positions;
  const float* total = nullptr;
  const std::uint32_t* const run_end = positions + arrays.run_begins[run + 1];
  for (const std::uint32_t* first = positions + arrays.run_begins[run]; first != run_end;) {
    // The leaves of the next feature: begins[i] is where leaf slices[i] begins.
    const feature_record& feature = *gradients.find(*first).feature;
    const std::uint32_t* const feature_end =
        std::lower_bound(first, run_end, feature.first_position + feature.num_ids);
    std::int32_t slices[numerics::num_slices];
    std::int64_t begins[numerics::num_slices + 1];
    int leaves = 0;
    while (first != feature_end) {
      slices[leaves] = gradients.find(*first).slice();
      begins[leaves] = first - positions;
      first = std::partition_point(first, feature_end, [&](std::uint32_t position) {
        return gradients.find(position).slice() == slices[leaves];
      });
      ++leaves;
    }
    begins[leaves] = first - positions;
    threads_.for_each(leaves, [&](std::int64_t leaf, int thread) {
      const sum_job job = {problem,
                           arrays,
                           dim,
                           begins[leaf],
                           begins[leaf + 1],
                           workspace_.rows_of_thread(thread),
                           workspace_.slice_sum(slices[leaf])};
      HWY_DYNAMIC_DISPATCH(run_sum_job)(job);
    });
    const combine_job job = {dim,
                             slices,
                             leaves,
                             workspace_.slice_sum(0),
                             workspace_.slice_sum(1) - workspace_.slice_sum(0),
                             total,
                             own_rows,
                             own_rows.gradient};
    HWY_DYNAMIC_DISPATCH(run_combine_job)(job);
    // The total so far moves out of the way of the threads, which use rows.gradient too.
    std::memcpy(own_rows.direction, own_rows.gradient,
                static_cast<std::size_t>(dim) * sizeof(float));
    total = own_rows.direction;
  }
  const reduce_job job = {problem, arrays, table, run, run + 1, 0, own_rows};
  HWY_DYNAMIC_DISPATCH(run_finish_job)(job);
}

}  // namespace warpbag::cpu
#endif
