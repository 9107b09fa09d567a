// SPDX-License-Identifier: Apache-2.0
#include "collection/overlap.hpp"

#include <algorithm>

#include "collection/refuse.hpp"

namespace warpbag::collection {

namespace {

using operations::gradient_form;

/// Rows of memory that a call reads or writes, and what to call them if they are in the way.
struct memory_range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uintptr_t row_bytes = 0;
  std::uintptr_t stride_bytes = 0;
  bool written = false;
  const char* what = "";
  bool of_table = false;  // else of a feature
  std::size_t index = 0;

  bool is_one_row() const { return end - begin == row_bytes; }
  subject owner(const call_names& names) const { return {&names, of_table, index}; }
};

class range_list {
 public:
  explicit range_list(bool of_table) : of_table_(of_table) {}

  void add_matrix(const void* data, std::int64_t rows, std::int64_t dim, std::int64_t stride,
                  std::size_t element_bytes, bool written, const char* what) {
    if (data == nullptr || rows == 0 || dim == 0) return;
    memory_range range;
    range.begin = reinterpret_cast<std::uintptr_t>(data);
    range.row_bytes = static_cast<std::uintptr_t>(dim) * element_bytes;
    range.stride_bytes = static_cast<std::uintptr_t>(stride) * element_bytes;
    range.end =
        range.begin + static_cast<std::uintptr_t>(rows - 1) * range.stride_bytes + range.row_bytes;
    range.written = written;
    range.what = what;
    range.of_table = of_table_;
    range.index = index_;
    ranges_.push_back(range);
  }
  void add(const void* data, std::int64_t size, std::size_t element_bytes, bool written,
           const char* what) {
    add_matrix(data, 1, size, size, element_bytes, written, what);
  }

  void next(bool of_table, std::size_t index) {
    of_table_ = of_table;
    index_ = index;
  }
  std::vector<memory_range>& ranges() { return ranges_; }

 private:
  std::vector<memory_range> ranges_;
  bool of_table_;
  std::size_t index_ = 0;
};

void add_table(const operations::table_record& table, call_phase phase, range_list& list) {
  const gradient_form form = table.gradient.form;
  const bool stepped =
      form == gradient_form::fused || (phase == call_phase::apply && form == gradient_form::sparse);
  const bool written = stepped || (phase == call_phase::forward && table.renormalize);
  list.add_matrix(table.rows, table.num_rows, table.dim, table.row_stride, size_of(table.row_type),
                  written, "weight");
  if (stepped) {
    for (int index = 0; index < 2; ++index) {
      const state_shape shape = optimizer_state_shape(table.optimizer, index);
      if (shape == state_shape::absent) continue;
      const std::int64_t width = shape == state_shape::per_row ? 1 : table.dim;
      list.add_matrix(table.state[index], table.num_rows, width, width, sizeof(float), true,
                      index == 0 ? "state 0" : "state 1");
    }
    list.add(table.step, 1, sizeof(step_state), true, "step");
  }
  const bool made = phase == call_phase::backward;
  const std::int64_t rows = form == gradient_form::dense ? table.num_rows : table.gradient.capacity;
  list.add_matrix(table.gradient.values, rows, table.dim, table.dim,
                  size_of(table.gradient.value_type), made, "gradient");
  list.add(table.gradient.rows, rows, sizeof(std::int64_t), made, "rows of the gradient");
  list.add(table.gradient.count, 1, sizeof(std::int64_t), made, "count of the gradient");
}

void add_feature(const call_records& records, const operations::feature_record& feature,
                 range_list& list) {
  const std::size_t index_bytes = size_of(records.ids_type);
  const std::int64_t dim = records.tables[static_cast<std::size_t>(feature.table)].dim;
  const std::int64_t rows = feature.mode == pooling_mode::none ? feature.num_ids : feature.num_bags;
  list.add(feature.ids, feature.num_ids, index_bytes, false, "ids");
  list.add(feature.offsets, feature.num_bags + (feature.has_last_offset ? 1 : 0), index_bytes,
           false, "offsets");
  list.add(feature.weights, feature.num_ids, sizeof(float), false, "weights");
  list.add_matrix(feature.output, rows, dim, feature.output_stride, size_of(records.output_type),
                  true, "output");
  list.add_matrix(feature.gradient, rows, dim, feature.gradient_stride,
                  size_of(records.gradient_type), false, "output gradient");
  list.add(feature.weight_gradient, feature.num_ids, sizeof(float), true, "weight gradient");
}

/// Whether bytes are shared, given a.begin <= b.begin < a.end. Matrices of different strides count
/// as overlapping: no two columns that interleave would have them.
bool overlap(const memory_range& a, const memory_range& b) {
  if (a.is_one_row()) return true;
  if (!b.is_one_row() && a.stride_bytes != b.stride_bytes) return true;
  const std::uintptr_t column = (b.begin - a.begin) % a.stride_bytes;
  return column < a.row_bytes || column + b.row_bytes > a.stride_bytes;
}

}  // namespace

void check_overlaps(const call_records& records, call_phase phase, const call_names& names) {
  range_list list(true);
  for (std::size_t t = 0; t < records.tables.size(); ++t) {
    list.next(true, t);
    add_table(records.tables[t], phase, list);
  }
  for (std::size_t f = 0; f < records.features.size(); ++f) {
    list.next(false, f);
    add_feature(records, records.features[f], list);
  }
  std::vector<memory_range>& ranges = list.ranges();
  std::sort(ranges.begin(), ranges.end(),
            [](const memory_range& a, const memory_range& b) { return a.begin < b.begin; });
  std::vector<const memory_range*> open;  // those that reach the range at hand
  for (const memory_range& range : ranges) {
    std::erase_if(open, [&](const memory_range* other) { return other->end <= range.begin; });
    for (const memory_range* other : open) {
      if ((other->written || range.written) && overlap(*other, range)) {
        refuse(range.owner(names), ": ", range.what, " shares memory with the ", other->what,
               " of ", other->owner(names), ", and the call writes to it");
      }
    }
    open.push_back(&range);
  }
}

}  // namespace warpbag::collection
