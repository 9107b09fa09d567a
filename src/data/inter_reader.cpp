// SPDX-License-Identifier: Apache-2.0
// RecBole's atomic files: NAME.inter with the interactions and, if they lie beside it, NAME.item
// and NAME.user. Columns between tabs; the header gives each as name:type with type token,
// token_seq, float or float_seq; the elements of a sequence stand between spaces.
// https://recbole.io/docs/user_guide/data/atomic_files.html

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/fields.hpp"
#include "data/interactions.hpp"
#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "data/readers.hpp"

namespace warpbag::data {
namespace {

struct recbole_column {
  std::string name;
  std::string type;
};

std::vector<recbole_column> parse_header(std::string_view line) {
  constexpr std::array<std::string_view, 4> types = {"token", "token_seq", "float", "float_seq"};
  std::vector<std::string_view> fields;
  split(line, "\t", fields);
  std::vector<recbole_column> columns;
  for (const std::string_view field : fields) {
    const std::size_t colon = field.rfind(':');
    if (colon == std::string_view::npos || colon == 0 ||
        std::find(types.begin(), types.end(), field.substr(colon + 1)) == types.end()) {
      throw malformed_row("a column is not name:type with a type of RecBole's", field);
    }
    columns.push_back({std::string(field.substr(0, colon)), std::string(field.substr(colon + 1))});
  }
  return columns;
}

class recbole_table {
 public:
  explicit recbole_table(const std::filesystem::path& file) : lines_(file) {
    std::string_view line;
    if (!lines_.next(line)) lines_.fail("the file is empty");
    try {
      columns_ = parse_header(line);
    } catch (const malformed_row& problem) {
      lines_.fail(problem.what());
    }
  }

  std::optional<std::size_t> find_column(std::string_view name) const {
    const auto found = std::find_if(columns_.begin(), columns_.end(),
                                    [name](const auto& column) { return column.name == name; });
    if (found == columns_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - columns_.begin());
  }

  std::optional<std::size_t> find_column(std::string_view name, std::string_view type) const {
    const auto index = find_column(name);
    if (index && columns_[*index].type != type) {
      lines_.fail("column " + in_quotes(name) + " is not of type " + std::string(type));
    }
    return index;
  }

  std::size_t token_column(std::string_view name) const {
    const auto index = find_column(name, "token");
    if (!index) lines_.fail("the header has no column " + in_quotes(name));
    return *index;
  }

  const recbole_column& column(std::size_t index) const { return columns_[index]; }

  [[noreturn]] void fail(const std::string& problem) const { lines_.fail(problem); }

  /// Calls use(fields) for every line.
  template <typename Use>
  std::int64_t for_each(bad_row_policy policy, const Use& use) {
    std::vector<std::string_view> fields(columns_.size());
    return for_each_row(lines_, policy, [&](std::string_view line) {
      split_exactly(line, "\t", fields);
      use(fields);
    });
  }

 private:
  line_reader lines_;
  std::vector<recbole_column> columns_;
};

class inter final : public dataset_reader {
 public:
  std::string_view format() const noexcept override { return "inter"; }
  bool knows_name(std::string_view file_name) const override {
    return file_name.ends_with(".inter");
  }
  bool knows_first_line(std::string_view line) const override {
    try {
      const std::vector<recbole_column> columns = parse_header(line);
      return std::any_of(columns.begin(), columns.end(),
                         [](const recbole_column& column) { return column.name == "user_id"; });
    } catch (const malformed_row&) {
      return false;
    }
  }

 private:
  dataset do_read(const std::filesystem::path& file, const read_options& options) const override;
};

bool parse_label(std::string_view field) {
  const double label = parse_number(field, "label");
  if (label != 0.0 && label != 1.0) throw malformed_row("label is neither 0 nor 1", field);
  return label == 1.0;
}

// The columns of a .item or .user file that options.side_columns asks for, keyed by `key_name`.
std::vector<side_column> read_side_file(const std::filesystem::path& file, const char* key_name,
                                        const token_vocabulary& keys, const read_options& options,
                                        std::int64_t& num_skipped) {
  std::vector<side_column> out;
  if (!std::filesystem::exists(file)) return out;
  recbole_table table(file);
  const std::size_t key_column = table.token_column(key_name);
  std::vector<std::size_t> chosen;
  for (const std::string& name : options.side_columns) {
    const auto index = table.find_column(name);
    if (!index || *index == key_column) continue;
    if (!table.column(*index).type.starts_with("token")) {
      table.fail("column " + in_quotes(name) + " is of numbers, which are no ids");
    }
    chosen.push_back(*index);
    out.emplace_back(name, keys.size());
  }
  std::vector<std::vector<std::string_view>> tokens(chosen.size());
  num_skipped += table.for_each(options.on_bad_row, [&](const auto& fields) {
    const std::uint32_t key = keys.find(parse_token(fields[key_column], key_name));
    if (key == token_vocabulary::not_found) return;
    for (std::size_t k = 0; k < chosen.size(); ++k) {
      tokens[k].assign(1, fields[chosen[k]]);
      if (table.column(chosen[k]).type == "token_seq") split(fields[chosen[k]], " ", tokens[k]);
      out[k].check(key, tokens[k]);
    }
    for (std::size_t k = 0; k < chosen.size(); ++k) out[k].set(key, tokens[k]);
  });
  return out;
}

dataset inter::do_read(const std::filesystem::path& file, const read_options& options) const {
  recbole_table table(file);
  const std::size_t user = table.token_column("user_id");
  const std::size_t item = table.token_column("item_id");
  const auto label = table.find_column("label", "float");
  const auto rating = table.find_column("rating", "float");
  const auto time = table.find_column("timestamp", "float");
  if (!label && !rating) table.fail("the header has neither a column label nor a column rating");
  interaction_builder builder;
  std::int64_t num_skipped = table.for_each(options.on_bad_row, [&](const auto& fields) {
    interaction row{parse_token(fields[user], "user_id"),
                    parse_token(fields[item], "item_id"),
                    label ? parse_label(fields[*label])
                          : parse_number(fields[*rating], "rating") >= options.label_threshold,
                    {}};
    if (time) row.time = parse_number(fields[*time], "timestamp");
    builder.add(row);
  });
  auto beside = file;
  std::vector<side_column> of_items = read_side_file(beside.replace_extension(".item"), "item_id",
                                                     builder.items(), options, num_skipped);
  std::vector<side_column> of_users = read_side_file(beside.replace_extension(".user"), "user_id",
                                                     builder.users(), options, num_skipped);
  return std::move(builder).finish(options.history_length, std::move(of_items), std::move(of_users),
                                   num_skipped);
}

}  // namespace

const dataset_reader& inter_reader() {
  static const inter reader;
  return reader;
}

}  // namespace warpbag::data
