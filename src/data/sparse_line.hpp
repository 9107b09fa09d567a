// SPDX-License-Identifier: Apache-2.0
#pragma once
// A line of libsvm (label index:value ...) or libffm (label field:index:value ...), and the columns
// that such lines grow.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "warpbag/dataset.hpp"

namespace warpbag::data {

struct sparse_entry {
  std::uint32_t field = 0;  // 0 in libsvm
  std::uint64_t index = 0;
  float value = 0.0F;
};

struct sparse_line {
  bool positive = false;
  std::vector<sparse_entry> entries;
};

/// Elements stand between spaces or tabs; what follows a # is a comment. The label is 1 for
/// positive, 0 or -1 for negative. Throws malformed_row.
void parse_sparse_line(std::string_view line, bool has_fields, sparse_line& out);

/// A weighted multi-hot feature that grows row by row; rows that it is not in have an empty bag.
class sparse_column {
 public:
  void add(std::size_t row, const sparse_entry& entry);

  /// Adds this column as the feature `name`, with a table of its own.
  void add_to(dataset_parts& parts, const std::string& name, std::size_t num_rows) &&;

 private:
  token_vocabulary vocabulary_;
  dataset_column column_;
};

}  // namespace warpbag::data
