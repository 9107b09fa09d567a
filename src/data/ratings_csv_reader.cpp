// SPDX-License-Identifier: Apache-2.0
// MovieLens ratings.csv: a header that names userId, movieId, rating and perhaps timestamp, in any
// order. https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html

#include <string>
#include <vector>

#include "data/csv_line.hpp"
#include "data/fields.hpp"
#include "data/genres.hpp"
#include "data/interactions.hpp"
#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "data/readers.hpp"

namespace warpbag::data {
namespace {

/// The lines of a file whose first line names the columns.
class csv_table {
 public:
  explicit csv_table(const std::filesystem::path& file) : lines_(file) {
    std::string_view line;
    if (!lines_.next(line)) lines_.fail("the file is empty");
    try {
      header_.parse(line);
    } catch (const malformed_row& problem) {
      lines_.fail(problem.what());
    }
  }

  std::optional<std::size_t> find_column(std::string_view name) const { return header_.find(name); }

  std::size_t column(std::string_view name) const {
    const auto index = find_column(name);
    if (!index) lines_.fail("the header has no column " + in_quotes(name));
    return *index;
  }

  /// Calls use(fields) for every line.
  template <typename Use>
  std::int64_t for_each(bad_row_policy policy, const Use& use) {
    return for_each_row(lines_, policy, [&](std::string_view line) {
      row_.parse(line);
      if (row_.fields().size() != header_.fields().size()) {
        throw malformed_row("the line does not have the header's " +
                                std::to_string(header_.fields().size()) + " fields",
                            line);
      }
      use(row_.fields());
    });
  }

 private:
  line_reader lines_;
  csv_line header_;
  csv_line row_;
};

class ratings_csv final : public dataset_reader {
 public:
  std::string_view format() const noexcept override { return "ratings.csv"; }
  bool knows_name(std::string_view file_name) const override { return file_name == format(); }
  bool knows_first_line(std::string_view line) const override {
    csv_line header;
    try {
      header.parse(line);
    } catch (const malformed_row&) {
      return false;
    }
    return header.find("userId") && header.find("movieId") && header.find("rating");
  }

 private:
  dataset do_read(const std::filesystem::path& file, const read_options& options) const override {
    csv_table ratings(file);
    const std::size_t user = ratings.column("userId");
    const std::size_t item = ratings.column("movieId");
    const std::size_t rating = ratings.column("rating");
    const auto time = ratings.find_column("timestamp");
    interaction_builder builder;
    std::int64_t num_skipped = ratings.for_each(options.on_bad_row, [&](auto fields) {
      interaction row{parse_token(fields[user], "userId"),
                      parse_token(fields[item], "movieId"),
                      parse_number(fields[rating], "rating") >= options.label_threshold,
                      {}};
      if (time) row.time = parse_number(fields[*time], "timestamp");
      builder.add(row);
    });
    std::vector<side_column> of_items;
    if (const auto movies = file.parent_path() / "movies.csv"; std::filesystem::exists(movies)) {
      of_items.emplace_back("genres", builder.items().size());
      num_skipped += read_genres(movies, options, builder.items(), of_items.back());
    }
    return std::move(builder).finish(options.history_length, std::move(of_items), {}, num_skipped);
  }

  static std::int64_t read_genres(const std::filesystem::path& file, const read_options& options,
                                  const token_vocabulary& items, side_column& out) {
    csv_table movies(file);
    const std::size_t item = movies.column("movieId");
    const std::size_t genres = movies.column("genres");
    return movies.for_each(options.on_bad_row, [&](auto fields) {
      set_genres(out, items, fields[item], fields[genres]);
    });
  }
};

}  // namespace

const dataset_reader& ratings_csv_reader() {
  static const ratings_csv reader;
  return reader;
}

}  // namespace warpbag::data
