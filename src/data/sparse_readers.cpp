// SPDX-License-Identifier: Apache-2.0
// libsvm: one weighted bag "features" a line.
// https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/ libffm: one weighted bag "field N" for
// each field. https://github.com/ycjuan/libffm

#include <map>
#include <set>
#include <string>
#include <vector>

#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "data/readers.hpp"
#include "data/sparse_line.hpp"

namespace warpbag::data {
namespace {

// Every field is a table and costs memory in every row, so a stray field number must not make one
// by the thousand.
constexpr std::size_t max_fields = 1024;

class sparse_reader final : public dataset_reader {
 public:
  constexpr explicit sparse_reader(bool has_fields) : has_fields_(has_fields) {}

  std::string_view format() const noexcept override { return has_fields_ ? "libffm" : "libsvm"; }
  bool knows_name(std::string_view file_name) const override {
    return has_fields_ ? file_name.ends_with(".libffm") || file_name.ends_with(".ffm")
                       : file_name.ends_with(".libsvm") || file_name.ends_with(".svm");
  }
  bool knows_first_line(std::string_view line) const override {
    sparse_line row;
    try {
      parse_sparse_line(line, has_fields_, row);
    } catch (const malformed_row&) {
      return false;
    }
    return !row.entries.empty();  // a label alone could be anything
  }

 private:
  dataset do_read(const std::filesystem::path& file, const read_options& options) const override {
    line_reader lines(file);
    dataset_parts parts;
    std::map<std::uint32_t, sparse_column> columns;  // by field, so features come in its order
    sparse_line row;
    parts.num_skipped_rows = for_each_row(lines, options.on_bad_row, [&](std::string_view line) {
      if (line.starts_with('#')) return;
      parse_sparse_line(line, has_fields_, row);
      check_fields(row, columns, line);
      for (const sparse_entry& entry : row.entries) {
        columns[entry.field].add(parts.labels.size(), entry);
      }
      parts.labels.push_back(row.positive ? 1.0F : 0.0F);
    });
    for (auto& [field, column] : columns) {
      const std::string name = has_fields_ ? "field " + std::to_string(field) : "features";
      std::move(column).add_to(parts, name, parts.labels.size());
    }
    return dataset(std::move(parts));
  }

  static void check_fields(const sparse_line& row,
                           const std::map<std::uint32_t, sparse_column>& columns,
                           std::string_view line) {
    if (columns.size() + row.entries.size() <= max_fields) return;
    std::set<std::uint32_t> fields;
    for (const auto& [field, column] : columns) fields.insert(field);
    for (const sparse_entry& entry : row.entries) fields.insert(entry.field);
    if (fields.size() > max_fields) {
      throw malformed_row("more than " + std::to_string(max_fields) + " fields", line);
    }
  }

  bool has_fields_;
};

}  // namespace

const dataset_reader& libsvm_reader() {
  static const sparse_reader reader(false);
  return reader;
}

const dataset_reader& libffm_reader() {
  static const sparse_reader reader(true);
  return reader;
}

}  // namespace warpbag::data
