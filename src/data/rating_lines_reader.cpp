// SPDX-License-Identifier: Apache-2.0
// MovieLens u.data and ratings.dat: lines "user item rating time" without a header, between tabs in
// one and double colons in the other.
// https://files.grouplens.org/datasets/movielens/ml-100k-README.txt
// https://files.grouplens.org/datasets/movielens/ml-1m-README.txt

#include <array>
#include <string>
#include <vector>

#include "data/fields.hpp"
#include "data/genres.hpp"
#include "data/interactions.hpp"
#include "data/line_reader.hpp"
#include "data/malformed_row.hpp"
#include "data/readers.hpp"

namespace warpbag::data {
namespace {

interaction parse_rating(std::string_view line, std::string_view separator, double threshold) {
  std::array<std::string_view, 4> fields;
  split_exactly(line, separator, fields);
  return {parse_token(fields[0], "user"), parse_token(fields[1], "item"),
          parse_number(fields[2], "rating") >= threshold, parse_number(fields[3], "timestamp")};
}

class rating_lines_reader final : public dataset_reader {
 public:
  /// `movies`: the name of a file beside the ratings with lines "item title genres"; empty: none.
  constexpr rating_lines_reader(std::string_view name, std::string_view separator,
                                std::string_view movies)
      : name_(name), separator_(separator), movies_(movies) {}

  std::string_view format() const noexcept override { return name_; }
  bool knows_name(std::string_view file_name) const override { return file_name == name_; }
  bool knows_first_line(std::string_view line) const override {
    try {
      parse_rating(line, separator_, 0.0);
      return true;
    } catch (const malformed_row&) {
      return false;
    }
  }

 private:
  dataset do_read(const std::filesystem::path& file, const read_options& options) const override {
    line_reader lines(file);
    interaction_builder builder;
    std::int64_t num_skipped = for_each_row(lines, options.on_bad_row, [&](std::string_view line) {
      builder.add(parse_rating(line, separator_, options.label_threshold));
    });
    std::vector<side_column> of_items;
    const std::filesystem::path movies = file.parent_path() / movies_;
    if (!movies_.empty() && std::filesystem::exists(movies)) {
      of_items.emplace_back("genres", builder.items().size());
      line_reader movie_lines(movies);
      num_skipped += for_each_row(movie_lines, options.on_bad_row, [&](std::string_view line) {
        std::array<std::string_view, 3> fields;
        split_exactly(line, separator_, fields);
        set_genres(of_items.back(), builder.items(), fields[0], fields[2]);
      });
    }
    return std::move(builder).finish(options.history_length, std::move(of_items), {}, num_skipped);
  }

  std::string_view name_;
  std::string_view separator_;
  std::string_view movies_;
};

}  // namespace

const dataset_reader& u_data_reader() {
  static const rating_lines_reader reader("u.data", "\t", "");
  return reader;
}

const dataset_reader& ratings_dat_reader() {
  static const rating_lines_reader reader("ratings.dat", "::", "movies.dat");
  return reader;
}

}  // namespace warpbag::data
