// SPDX-License-Identifier: Apache-2.0
#include "warpbag/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "io/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "warpbag/error.hpp"

namespace warpbag {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using warpbag::testing::bytes_of;
using warpbag::testing::faulty_files;
using warpbag::testing::temporary_folder;

constexpr std::uint64_t huge = std::uint64_t{1} << 62;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string read_all(const safetensors_reader& reader, std::string_view name) {
  std::string bytes(reader.find(name)->num_bytes(), '\0');
  reader.read(name, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

class Safetensors : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "file.safetensors"; }

  // The bytes of a file with this header and so many bytes of data.
  std::filesystem::path write_raw(const std::string& header, std::size_t data_bytes) const {
    std::string bytes;
    for (std::size_t k = 0; k < 8; ++k) bytes += static_cast<char>(header.size() >> 8 * k & 0xFF);
    return folder_.write("file.safetensors", bytes + header + std::string(data_bytes, 'd'));
  }

  void expect_corrupt(const std::string& header, std::size_t data_bytes,
                      const std::string& message) const {
    try {
      const safetensors_reader reader(write_raw(header, data_bytes));
      ADD_FAILURE() << "taken: " << header;
    } catch (const corrupt_file& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(message)) << header;
      EXPECT_THAT(problem.what(), HasSubstr("file.safetensors"));
    }
  }

  temporary_folder folder_;
};

TEST_F(Safetensors, come_back_as_they_were_written) {
  const std::vector<safetensors_entry> entries = {
      {"scalar", safetensors_type::f64, {}},        {"rows", safetensors_type::f32, {2, 3}},
      {"none", safetensors_type::i64, {0, 5}},      {"half", safetensors_type::f16, {3}},
      {"brain \"x\"", safetensors_type::bf16, {1}}, {"ids", safetensors_type::i32, {1, 1, 1}},
      {"counts", safetensors_type::u64, {1}},       {"offsets", safetensors_type::i64, {2}}};
  const safetensors_metadata metadata = {{"format", "1"}, {"note", "caf\xC3\xA9 \"\\\n"}};
  std::string data;
  for (const safetensors_entry& entry : entries) {
    for (std::uint64_t k = 0; k < entry.num_bytes(); ++k) {
      data += static_cast<char>(data.size() * 7 + 1);
    }
  }
  safetensors_writer writer(file(), entries, metadata);
  for (std::size_t k = 0; k < data.size(); k += 5) writer.write(as_bytes(data.substr(k, 5)));
  writer.commit();
  const safetensors_reader reader(file());
  EXPECT_EQ(reader.metadata(), metadata);
  ASSERT_EQ(reader.entries().size(), entries.size());
  std::string read;
  for (std::size_t k = 0; k < entries.size(); ++k) {
    EXPECT_EQ(reader.entries()[k], entries[k]);
    read += read_all(reader, entries[k].name);
  }
  EXPECT_EQ(read, data);
  std::array<std::byte, 4> part{};
  reader.read("rows", 20, part);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(part.data()), 4), data.substr(28, 4));
}

TEST_F(Safetensors, lie_in_the_file_as_the_format_says) {
  safetensors_writer writer(file(), {{"t", safetensors_type::i32, {1}}}, {{"k", "v"}});
  writer.write(as_bytes("abcd"));
  writer.commit();
  const std::string bytes = bytes_of(file());
  const std::string header =
      R"({"__metadata__":{"k":"v"},"t":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})";
  const std::size_t padded = (header.size() + 7) / 8 * 8;
  EXPECT_EQ(bytes.substr(0, 8), std::string(1, static_cast<char>(padded)) + std::string(7, '\0'));
  EXPECT_EQ(bytes.substr(8, padded), header + std::string(padded - header.size(), ' '));
  EXPECT_EQ(bytes.substr(8 + padded), "abcd");
}

TEST_F(Safetensors, can_be_none) {
  safetensors_writer(file(), {}, {}).commit();
  const safetensors_reader reader(file());
  EXPECT_THAT(reader.entries(), IsEmpty());
  EXPECT_THAT(reader.metadata(), IsEmpty());
  EXPECT_EQ(reader.find("t"), nullptr);
}

TEST_F(Safetensors, take_exactly_the_bytes_of_their_shapes) {
  safetensors_writer writer(
      file(), {{"a", safetensors_type::f16, {1}}, {"b", safetensors_type::f32, {1}}}, {});
  writer.write(as_bytes("aabb"));
  try {
    writer.commit();
    FAIL();
  } catch (const invalid_argument& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("'b' lacks 2 bytes"));
  }
  EXPECT_THROW(writer.write(as_bytes("bbb")), invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(file()));
  writer.write(as_bytes("bb"));
  writer.commit();
  EXPECT_EQ(read_all(safetensors_reader(file()), "b"), "bbbb");
}

TEST_F(Safetensors, are_refused_under_a_bad_name_or_shape) {
  const auto refuse = [this](std::vector<safetensors_entry> entries,
                             const safetensors_metadata& metadata) {
    EXPECT_THROW(safetensors_writer(file(), std::move(entries), metadata), invalid_argument);
  };
  const safetensors_entry good = {"t", safetensors_type::f32, {1}};
  refuse({good, good}, {});
  refuse({{"", safetensors_type::f32, {1}}}, {});
  refuse({{"__metadata__", safetensors_type::f32, {1}}}, {});
  refuse({{"\xFF", safetensors_type::f32, {1}}}, {});
  refuse({good}, {{"k", "\xFF"}});
  refuse({{"t", safetensors_type::f32, {huge, 2}}}, {});
  refuse({{std::string(100'000'000, 't'), safetensors_type::f32, {1}}}, {});
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Safetensors, keep_the_old_file_when_the_disk_fails) {
  bool is_finished = false;
  for (int call = 0; !is_finished; ++call) {
    ASSERT_LT(call, 20);
    folder_.write("file.safetensors", "old");
    faulty_files files(call, ENOSPC);
    try {
      safetensors_writer writer(file(), {{"t", safetensors_type::f32, {1}}}, {}, files);
      writer.write(as_bytes("abcd"));
      writer.commit();
      is_finished = true;
    } catch (const io_error&) {
      if (bytes_of(file()) != "old") {
        EXPECT_EQ(read_all(safetensors_reader(file()), "t"), "abcd") << "whole, then";
      }
    }
    std::size_t num_files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      ++num_files;
    }
    EXPECT_EQ(num_files, 1U) << "call " << call;
  }
}

TEST_F(Safetensors, can_be_saved_over_the_file_that_is_being_read) {
  folder_.write("unrelated", "");
  safetensors_writer first(file(), {{"t", safetensors_type::f32, {1}}}, {});
  first.write(as_bytes("old!"));
  first.commit();
  const safetensors_reader reader(file());
  safetensors_writer second(file(), {{"t", safetensors_type::f32, {1}}}, {});
  second.write(as_bytes("new!"));
  second.commit();
  EXPECT_EQ(read_all(reader, "t"), "old!");
  EXPECT_EQ(read_all(safetensors_reader(file()), "t"), "new!");
}

TEST_F(Safetensors, are_only_read_within_their_bounds) {
  write_raw(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  const safetensors_reader reader(file());
  std::array<std::byte, 4> out{};
  EXPECT_THROW(reader.read("u", 0, out), invalid_argument);
  EXPECT_THROW(reader.read("t", 1, out), invalid_argument);
  EXPECT_THROW(reader.read("t", ~std::uint64_t{0}, out), invalid_argument);
  reader.read("t", 4, std::span(out).first(0));
}

TEST_F(Safetensors, say_so_when_the_file_became_shorter) {
  write_raw(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  const safetensors_reader reader(file());
  std::filesystem::resize_file(file(), 60);
  std::array<std::byte, 4> out{};
  EXPECT_THROW(reader.read("t", 0, out), corrupt_file);
}

TEST_F(Safetensors, are_taken_in_any_order_of_the_header) {
  write_raw(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]},)"
            R"("e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]},)"
            R"("a":{"data_offsets":[0,2],"shape":[1],"dtype":"BF16"}}   )",
            6);
  const safetensors_reader reader(file());
  ASSERT_EQ(reader.entries().size(), 3U);
  EXPECT_EQ(reader.entries()[0].name, "a");
  EXPECT_EQ(reader.entries()[1].name, "e");
  EXPECT_EQ(reader.entries()[2].name, "b");
}

TEST_F(Safetensors, are_refused_when_the_header_lies) {
  const auto header = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  const struct {
    std::string header;
    std::size_t data_bytes;
    const char* message;
  } cases[] = {
      {header("\"F32\"", "[1]", "[0,4]"), 5, "end at byte 4, the file holds 5"},
      {header("\"F32\"", "[1]", "[0,4]"), 3, "not a range"},
      {header("\"F32\"", "[1]", "[4,0]"), 4, "not a range"},
      {header("\"F32\"", "[1]", "[1,5]"), 5, "begins at byte 1"},
      {header("\"F32\"", "[2]", "[0,4]"), 4, "takes 8 bytes"},
      {header("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0, "overflows"},
      {header("\"F32\"", "[18446744073709551615]", "[0,4]"), 4, "overflows"},
      {header("\"F32\"", "[18446744073709551616]", "[0,4]"), 4, "whole number"},
      {header("\"F32\"", "[-1]", "[0,4]"), 4, "-1"},
      {header("\"F32\"", "[1.0]", "[0,4]"), 4, "1.0"},
      {header("\"F32\"", "[true]", "[0,4]"), 4, "true"},
      {header("\"F32\"", "1", "[0,4]"), 4, "arrays"},
      {header("\"F32\"", "[[1]]", "[0,4]"), 4, ""},
      {header("\"F32\"", "[1]", "[0,4,4]"), 4, "not a range"},
      {header("\"F32\"", "[1]", "[0]"), 4, "not a range"},
      {header("\"F8\"", "[1]", "[0,4]"), 4, "\"F8\""},
      {header("32", "[1]", "[0,4]"), 4, "32"},
      {R"({"t":{"dtype":"F32","shape":[1]}})", 0, "exactly"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "exactly"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offset":[0,4]}})", 4, "exactly"},
      {R"({"t":7})", 0, "exactly"},
      {R"({"t":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "twice"},
      {R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
       R"("a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
       2, "'a' is in the header twice"},
      {R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]}})",
       6, "'b' begins at byte 2"},
      {R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}})",
       6, "'b' begins at byte 4"},
      {R"({"__metadata__":{"k":1}})", 0, "'k' is not a string"},
      {R"({"__metadata__":"k"})", 0, "metadata"},
      {"", 0, "'{'"},
      {" {}", 0, "'{'"},
      {"[]", 0, "'{'"},
      {"{", 0, "JSON"},
      {"{}x", 0, "JSON"},
      {"{\"\xFF\":1}", 0, "JSON"},
      {R"({"t":1e999})", 0, "JSON"},
      {R"({"t":)" + std::string(100000, '[') + std::string(100000, ']') + "}", 0, "nested"}};
  for (const auto& one : cases) expect_corrupt(one.header, one.data_bytes, one.message);
}

TEST_F(Safetensors, are_refused_when_the_length_field_lies) {
  const std::string good = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  write_raw(good, 4);
  const std::string bytes = bytes_of(file());
  const auto expect_refused = [this](const std::string& content) {
    EXPECT_THROW(safetensors_reader(folder_.write("cut", content)), corrupt_file);
  };
  for (std::size_t size = 0; size < bytes.size(); ++size) expect_refused(bytes.substr(0, size));
  for (std::size_t k = 0; k < 8; ++k) {
    for (const char value : {'\x01', '\x7F', '\xFF'}) {
      std::string changed = bytes;
      changed[k] = value;
      expect_refused(changed);
    }
  }
}

TEST_F(Safetensors, name_a_file_that_cannot_be_read) {
  try {
    const safetensors_reader reader("/no/such/file");
    FAIL();
  } catch (const corrupt_file&) {
    FAIL() << "an absent file is not corrupt";
  } catch (const io_error& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("/no/such/file"));
  }
  EXPECT_THROW(safetensors_reader{folder_.path()}, io_error);
}

}  // namespace
}  // namespace warpbag
