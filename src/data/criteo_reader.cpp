// SPDX-License-Identifier: Apache-2.0
// Criteo's click logs (Kaggle Display Advertising Challenge, 1 TB click logs): a label, 13 counts
// I1 ... I13 and 26 hashed categories C1 ... C26 between tabs, without a header.
// https://ailab.criteo.com/download-criteo-1tb-click-logs-dataset/

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/fields.hpp"
#include "data/line_reader.hpp"
#include "data/log_square_buckets.hpp"
#include "data/malformed_row.hpp"
#include "data/readers.hpp"

namespace warpbag::data {
namespace {

constexpr std::size_t num_counts = 13;
constexpr std::size_t num_categories = 26;

// That a value is missing tells something too, so it has an id of its own: the one after the
// buckets for a count, the token "" for a category.
constexpr std::uint32_t missing_count = num_log_square_buckets;

struct criteo_row {
  bool clicked = false;
  std::array<std::uint32_t, num_counts> buckets{};
  std::array<std::string_view, num_categories> categories;
};

bool is_hexadecimal(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

criteo_row parse_row(std::string_view line) {
  std::array<std::string_view, 1 + num_counts + num_categories> fields;
  split_exactly(line, "\t", fields);
  if (fields[0] != "0" && fields[0] != "1") {
    throw malformed_row("the label is neither 0 nor 1", fields[0]);
  }
  criteo_row row;
  row.clicked = fields[0] == "1";
  for (std::size_t k = 0; k < num_counts; ++k) {
    const std::string_view field = fields[1 + k];
    row.buckets[k] =
        field.empty() ? missing_count : log_square_bucket(parse_integer(field, "a count"));
  }
  for (std::size_t k = 0; k < num_categories; ++k) {
    const std::string_view field = fields[1 + num_counts + k];
    if (field.size() > 8 || !std::all_of(field.begin(), field.end(), is_hexadecimal)) {
      throw malformed_row("a category is not 32 bits in hexadecimal", field);
    }
    row.categories[k] = field;
  }
  return row;
}

class criteo final : public dataset_reader {
 public:
  std::string_view format() const noexcept override { return "criteo"; }
  bool knows_name(std::string_view) const override { return false; }  // train.txt is anybody's
  bool knows_first_line(std::string_view line) const override {
    try {
      parse_row(line);
      return true;
    } catch (const malformed_row&) {
      return false;
    }
  }

 private:
  dataset do_read(const std::filesystem::path& file, const read_options& options) const override {
    line_reader lines(file);
    std::vector<dataset_column> columns(num_counts + num_categories);
    std::array<token_vocabulary, num_categories> vocabularies;
    dataset_parts parts;
    parts.num_skipped_rows = for_each_row(lines, options.on_bad_row, [&](std::string_view line) {
      const criteo_row row = parse_row(line);
      parts.labels.push_back(row.clicked ? 1.0F : 0.0F);
      for (std::size_t k = 0; k < num_counts; ++k) columns[k].ids.push_back(row.buckets[k]);
      for (std::size_t k = 0; k < num_categories; ++k) {
        columns[num_counts + k].ids.push_back(vocabularies[k].id_of(row.categories[k]));
      }
    });
    for (std::size_t k = 0; k < num_counts; ++k) {
      add_feature(parts, 'I', k, num_log_square_buckets + 1, {});
    }
    for (std::size_t k = 0; k < num_categories; ++k) {
      const std::int64_t num_ids = vocabularies[k].size();
      add_feature(parts, 'C', k, num_ids, std::move(vocabularies[k]));
    }
    parts.columns = std::move(columns);
    return dataset(std::move(parts));
  }

  static void add_feature(dataset_parts& parts, char letter, std::size_t index,
                          std::int64_t num_ids, token_vocabulary vocabulary) {
    const std::string name = letter + std::to_string(index + 1);
    parts.features.push_back({name, parts.tables.size(), false, false});
    parts.tables.push_back({name, num_ids, std::move(vocabulary)});
  }
};

}  // namespace

const dataset_reader& criteo_reader() {
  static const criteo reader;
  return reader;
}

}  // namespace warpbag::data
