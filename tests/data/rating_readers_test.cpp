// SPDX-License-Identifier: Apache-2.0
// The rating formats: labels, histories, genres and other side columns.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include "warpbag/dataset.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using warpbag::testing::temporary_folder;

// The tokens of a bag.
std::vector<std::string> tokens(const dataset& samples, const char* feature, std::int64_t sample) {
  const std::size_t index = samples.feature_index(feature);
  const auto& vocabulary = samples.tables()[samples.features()[index].table].vocabulary;
  std::vector<std::string> out;
  for (const std::uint32_t id : samples.bag(index, sample)) out.emplace_back(vocabulary.token(id));
  return out;
}

std::vector<std::string> feature_names(const dataset& samples) {
  std::vector<std::string> out;
  for (const dataset_feature& feature : samples.features()) out.push_back(feature.name);
  return out;
}

dataset read_u_data(std::string_view bytes, const read_options& options = {}) {
  const temporary_folder folder;
  return reader_of_format("u.data").read(folder.write("u.data", bytes), options);
}

TEST(RatingReader, makes_labels_by_the_threshold) {
  const char* const bytes = "1\ta\t3\t0\n1\tb\t3.9\t1\n1\tc\t4\t2\n1\td\t-4\t3\n";
  EXPECT_THAT(read_u_data(bytes).labels(), ElementsAre(0.0F, 0.0F, 1.0F, 0.0F));
  read_options options;
  options.label_threshold = 3.0;
  EXPECT_THAT(read_u_data(bytes, options).labels(), ElementsAre(1.0F, 1.0F, 1.0F, 0.0F));
}

TEST(RatingReader, numbers_users_and_items_by_first_appearance) {
  const dataset samples = read_u_data("9\tx\t1\t0\n7\ty\t1\t1\n9\ty\t1\t2\n");
  EXPECT_THAT(feature_names(samples), ElementsAre("user", "item", "history"));
  EXPECT_THAT(samples.bag(0, 0), ElementsAre(0));
  EXPECT_THAT(samples.bag(0, 1), ElementsAre(1));
  EXPECT_THAT(samples.bag(0, 2), ElementsAre(0));
  EXPECT_THAT(samples.bag(1, 2), ElementsAre(1));
  EXPECT_EQ(samples.tables()[0].num_ids, 2);
  EXPECT_EQ(samples.tables()[1].num_ids, 2);
  EXPECT_THAT(samples.timestamps(), ElementsAre(0.0, 1.0, 2.0));
}

TEST(RatingReader, gives_the_history_before_each_rating_in_time_order) {
  const dataset samples = read_u_data(
      "1\tlast\t5\t40\n"
      "1\tfirst\t1\t10\n"
      "2\talone\t5\t20\n"
      "1\tthird\t5\t30\n"
      "1\tsecond\t1\t20\n");
  EXPECT_THAT(tokens(samples, "history", 0), ElementsAre("first", "second", "third"));
  EXPECT_THAT(tokens(samples, "history", 1), IsEmpty());
  EXPECT_THAT(tokens(samples, "history", 2), IsEmpty());
  EXPECT_THAT(tokens(samples, "history", 3), ElementsAre("first", "second"));
  EXPECT_THAT(tokens(samples, "history", 4), ElementsAre("first"));
}

TEST(RatingReader, orders_equal_times_by_the_file) {
  const dataset samples = read_u_data("1\tb\t5\t7\n1\ta\t5\t7\n1\tc\t5\t7\n1\td\t5\t6\n");
  EXPECT_THAT(tokens(samples, "history", 0), ElementsAre("d"));
  EXPECT_THAT(tokens(samples, "history", 1), ElementsAre("d", "b"));
  EXPECT_THAT(tokens(samples, "history", 2), ElementsAre("d", "b", "a"));
}

TEST(RatingReader, keeps_the_last_items_of_a_long_history) {
  read_options options;
  options.history_length = 2;
  const dataset samples = read_u_data("1\ta\t5\t1\n1\tb\t5\t2\n1\tc\t5\t3\n1\td\t5\t4\n", options);
  EXPECT_THAT(tokens(samples, "history", 2), ElementsAre("a", "b"));
  EXPECT_THAT(tokens(samples, "history", 3), ElementsAre("b", "c"));
}

TEST(RatingReader, shares_the_item_table_with_the_history_and_has_none_at_length_0) {
  EXPECT_EQ(read_u_data("1\ta\t5\t1\n").features()[2].table, 1U);
  read_options options;
  options.history_length = 0;
  EXPECT_THAT(feature_names(read_u_data("1\ta\t5\t1\n", options)), ElementsAre("user", "item"));
}

TEST(RatingsCsv, takes_columns_in_any_order_and_lives_without_times) {
  const temporary_folder folder;
  const auto file = folder.write("ratings.csv", "rating,\"movieId\",userId\n5,m2,u\n1,m1,u\n");
  const dataset samples = reader_of_format("ratings.csv").read(file, {});
  EXPECT_THAT(samples.timestamps(), IsEmpty());
  EXPECT_THAT(samples.labels(), ElementsAre(1.0F, 0.0F));
  EXPECT_THAT(tokens(samples, "item", 0), ElementsAre("m2"));
  EXPECT_THAT(tokens(samples, "history", 1), ElementsAre("m2")) << "file order";
}

TEST(RatingsCsv, reads_genres_beside_it) {
  const temporary_folder folder;
  const auto file =
      folder.write("ratings.csv", "userId,movieId,rating,timestamp\n1,11,5,0\n1,7,5,1\n1,3,5,2\n");
  folder.write("movies.csv",
               "movieId,title,genres\n"
               "7,\"American President, The (1995)\",Comedy|Drama|Romance\n"
               "11,\"\"\"Quoted\"\"\",(no genres listed)\n"
               "99,Unseen,Western\n");
  const dataset samples = reader_of_format("ratings.csv").read(file, {});
  EXPECT_THAT(feature_names(samples), ElementsAre("user", "item", "history", "genres"));
  EXPECT_THAT(tokens(samples, "genres", 0), IsEmpty());
  EXPECT_THAT(tokens(samples, "genres", 1), ElementsAre("Comedy", "Drama", "Romance"));
  EXPECT_THAT(tokens(samples, "genres", 2), IsEmpty()) << "the film is not in movies.csv";
  EXPECT_EQ(samples.tables()[2].num_ids, 3) << "genres of films that nobody rated take no row";
}

TEST(RatingsCsv, refuses_a_header_without_its_columns_whatever_the_policy) {
  const temporary_folder folder;
  read_options options;
  options.on_bad_row = bad_row_policy::skip;
  for (const char* header : {"user,movieId,rating", "userId,movieId", "1,2,5.0,100", "\"userId"}) {
    const auto file = folder.write("ratings.csv", std::string(header) + "\n1,2,5\n");
    try {
      reader_of_format("ratings.csv").read(file, options);
      FAIL() << header;
    } catch (const parse_error& problem) {
      EXPECT_EQ(problem.line(), 1);
    }
  }
}

TEST(RatingsDat, reads_genres_beside_it) {
  const temporary_folder folder;
  const auto file = folder.write("ratings.dat", "1::2::5::0\n1::1::5::1\n");
  folder.write("movies.dat", "1::Toy Story (1995)::Animation|Children's\n2::\xC9t\xE9::Drama\n");
  const dataset samples = reader_of_format("ratings.dat").read(file, {});
  EXPECT_THAT(tokens(samples, "genres", 0), ElementsAre("Drama"));
  EXPECT_THAT(tokens(samples, "genres", 1), ElementsAre("Animation", "Children's"));
}

TEST(RatingsDat, names_the_line_of_the_movies_file) {
  const temporary_folder folder;
  const auto file = folder.write("ratings.dat", "1::2::5::0\n");
  const auto movies = folder.write("movies.dat", "2::Title::Drama\n2::Again::War\nbroken\n");
  try {
    reader_of_format("ratings.dat").read(file, {});
    FAIL();
  } catch (const parse_error& problem) {
    EXPECT_EQ(problem.file(), movies.string());
    EXPECT_EQ(problem.line(), 2);
  }
  read_options options;
  options.on_bad_row = bad_row_policy::skip;
  const dataset samples = reader_of_format("ratings.dat").read(file, options);
  EXPECT_EQ(samples.num_skipped_rows(), 2);
  EXPECT_THAT(tokens(samples, "genres", 0), ElementsAre("Drama"));
}

class InterReader : public ::testing::Test {
 protected:
  dataset read(std::string_view bytes, const read_options& options = {}) const {
    return reader_of_format("inter").read(folder_.write("some.inter", bytes), options);
  }

  temporary_folder folder_;
};

TEST_F(InterReader, takes_columns_in_any_order_and_passes_over_others) {
  const dataset samples = read(
      "timestamp:float\tcontext:token_seq\titem_id:token\tuser_id:token\trating:float\n"
      "881250949.5\ta b\ti\tu\t4\n");
  EXPECT_THAT(tokens(samples, "user", 0), ElementsAre("u"));
  EXPECT_THAT(tokens(samples, "item", 0), ElementsAre("i"));
  EXPECT_THAT(samples.timestamps(), ElementsAre(881250949.5));
  EXPECT_THAT(samples.labels(), ElementsAre(1.0F));
}

TEST_F(InterReader, prefers_a_label_column_to_a_rating) {
  const std::string header = "user_id:token\titem_id:token\trating:float\tlabel:float\n";
  EXPECT_THAT(read(header + "u\ti\t5\t0\nu\ti\t1\t1\n").labels(), ElementsAre(0.0F, 1.0F));
  EXPECT_THROW(read(header + "u\ti\t5\t0.5\n"), parse_error);
}

TEST_F(InterReader, reads_side_columns_beside_it) {
  folder_.write("some.item",
                "item_id:token\tmovie_title:token_seq\tclass:token_seq\n"
                "i1\tToy Story\tAnimation Comedy\n"
                "i2\tEmpty\t\n");
  folder_.write("some.user", "user_id:token\tage:token\tgender:token\nu\t24\tM\nother\t30\tF\n");
  const std::string inter =
      "user_id:token\titem_id:token\trating:float\nu\ti1\t5\nu\ti2\t5\nv\ti3\t5\n";
  const dataset samples = read(inter);
  EXPECT_THAT(feature_names(samples),
              ElementsAre("user", "item", "history", "class", "age", "gender"));
  EXPECT_THAT(tokens(samples, "class", 0), ElementsAre("Animation", "Comedy"));
  EXPECT_THAT(tokens(samples, "class", 1), IsEmpty());
  EXPECT_THAT(tokens(samples, "class", 2), IsEmpty());
  EXPECT_THAT(tokens(samples, "age", 0), ElementsAre("24"));
  EXPECT_THAT(tokens(samples, "age", 2), IsEmpty());
  read_options options;
  options.side_columns = {"movie_title"};
  const dataset titled = read(inter, options);
  EXPECT_THAT(feature_names(titled), ElementsAre("user", "item", "history", "movie_title"));
  EXPECT_THAT(tokens(titled, "movie_title", 0), ElementsAre("Toy", "Story"));
}

TEST_F(InterReader, keeps_nothing_of_a_malformed_side_line) {
  folder_.write("some.item", "item_id:token\tgenre:token_seq\tclass:token_seq\ni\tgood\t" +
                                 std::string(2000, 'x') + "\n");
  read_options options;
  options.on_bad_row = bad_row_policy::skip;
  const dataset samples = read("user_id:token\titem_id:token\trating:float\nu\ti\t5\n", options);
  EXPECT_EQ(samples.num_skipped_rows(), 1);
  EXPECT_THAT(tokens(samples, "genre", 0), IsEmpty());
  EXPECT_EQ(samples.tables()[samples.features()[samples.feature_index("genre")].table].num_ids, 0);
}

TEST_F(InterReader, refuses_a_bad_header) {
  const struct {
    const char* header;
    const char* message;
  } cases[] = {{"user_id\titem_id:token\trating:float", "'user_id'"},
               {"user_id:int\titem_id:token\trating:float", "'user_id:int'"},
               {"user_id:token\trating:float", "'item_id'"},
               {"user_id:float\titem_id:token\trating:float", "'user_id'"},
               {"user_id:token\titem_id:token\trating:token", "'rating'"},
               {"user_id:token\titem_id:token", "label"},
               {":token\titem_id:token", "':token'"}};
  for (const auto& one : cases) {
    try {
      read(std::string(one.header) + "\nu\ti\t5\n");
      FAIL() << one.header;
    } catch (const parse_error& problem) {
      EXPECT_EQ(problem.line(), 1);
      EXPECT_THAT(problem.what(), HasSubstr(one.message));
    }
  }
}

TEST_F(InterReader, refuses_a_side_column_of_numbers) {
  folder_.write("some.user", "user_id:token\tage:float\nu\t24\n");
  EXPECT_THROW(read("user_id:token\titem_id:token\trating:float\nu\ti\t5\n"), parse_error);
}

}  // namespace
}  // namespace warpbag
