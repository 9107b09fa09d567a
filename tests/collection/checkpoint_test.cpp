// SPDX-License-Identifier: Apache-2.0
#include "warpbag/checkpoint.hpp"

#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>

#include "collection/small_batch.hpp"
#include "io/file_system.hpp"
#include "support/temporary_folder.hpp"

namespace warpbag::support {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The disk whose k-th operation fails.
class failing_files final : public file_system {
 public:
  explicit failing_files(int k) : countdown_(k) {}

  int create(const std::filesystem::path& file) override {
    return fails() ? -1 : file_system::create(file);
  }
  int open_folder(const std::filesystem::path& folder) override {
    return fails() ? -1 : file_system::open_folder(folder);
  }
  ssize_t write(int descriptor, const void* bytes, std::size_t size) override {
    return fails() ? -1 : file_system::write(descriptor, bytes, size);
  }
  int sync(int descriptor) override { return fails() ? -1 : file_system::sync(descriptor); }
  int close(int descriptor) override {
    const int result = file_system::close(descriptor);
    return fails() ? -1 : result;
  }
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    renamed = !fails() && file_system::rename(from, to) == 0;
    return renamed ? 0 : -1;
  }

  bool renamed = false;

 private:
  bool fails() {
    errno = ENOSPC;
    return --countdown_ == 0;
  }

  int countdown_;
};

class Checkpoint : public on_every_backend {
 protected:
  static optimizer_options optimizer(optimizer_kind kind) {
    optimizer_options options;
    options.kind = kind;
    options.learning_rate = 0.1F;
    return options;
  }

  std::vector<table_config> configs() const {
    table_config item = make_table("item", 9, 5, optimizer(optimizer_kind::adam));
    item.type = dtype::bf16;
    item.optimizer.stochastic_rounding = true;
    table_config user = make_table("user", 6, 4, optimizer(optimizer_kind::rowwise_adagrad));
    table_config fixed = make_table("fixed", 3, 2);
    fixed.freeze = true;
    fixed.type = dtype::f16;
    return {item, user, fixed};
  }

  embedding_bag_collection make(const std::vector<table_config>& tables, std::uint64_t seed = 5) {
    return {tables,
            {{"a", "item", pooling_mode::mean}, {"b", "user"}, {"c", "fixed"}},
            resources_,
            {.seed = seed}};
  }

  void train(embedding_bag_collection& collection, int steps) {
    small_batch batch(*device_, collection,
                      {{{0, 3, 8, 3}, {0, 2, 4}}, {{5, 1, 1}, {0, 1, 3}}, {{0, 2}, {0, 1, 2}}});
    for (int step = 0; step < steps; ++step) {
      collection.forward(batch.bags, batch.outputs);
      collection.backward(batch.bags, batch.output_gradients);
    }
  }

  std::size_t files_in_folder() const {
    const std::filesystem::directory_iterator first(folder_.path());
    return static_cast<std::size_t>(std::distance(first, {}));
  }

  void write(const std::string& bytes) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
  }

  template <typename Fault>
  void expect_not_loaded(embedding_bag_collection& collection, const char* text) {
    const auto before = snapshot(collection);
    try {
      load_checkpoint(collection, file_);
      ADD_FAILURE() << "was loaded";
    } catch (const Fault& fault) {
      EXPECT_THAT(fault.what(), HasSubstr(text));
    }
    EXPECT_EQ(snapshot(collection), before);
  }

  testing::temporary_folder folder_;
  std::filesystem::path file_ = folder_.path() / "model.safetensors";
};

TEST_P(Checkpoint, resumes_with_the_same_bits) {
  auto whole = make(configs());
  train(whole, 5);
  {
    auto first = make(configs());
    train(first, 3);
    first.set_learning_rate("user", 0.1F);
    save_checkpoint(first, file_, {{"epoch", "3"}, {"note", "\"\xC3\xA4\"\n"}});
  }
  auto second = make(configs());
  const safetensors_metadata metadata = load_checkpoint(second, file_);
  EXPECT_EQ(metadata, (safetensors_metadata{{"epoch", "3"}, {"note", "\"\xC3\xA4\"\n"}}));
  EXPECT_EQ(read_checkpoint_metadata(file_), metadata);
  EXPECT_EQ(second.step_of(0).step, 3U);
  train(second, 2);
  EXPECT_EQ(snapshot(second), snapshot(whole));
}

TEST_P(Checkpoint, holds_the_tensors_that_the_format_names) {
  auto collection = make(configs());
  save_checkpoint(collection, file_);
  const safetensors_reader reader(file_);
  std::vector<std::string> names;
  for (const auto& entry : reader.entries()) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("item.step", "item.beta_powers", "item.learning_rate",
                                 "item.exp_avg", "item.exp_avg_sq", "item.weight", "user.step",
                                 "user.beta_powers", "user.learning_rate", "user.sum",
                                 "user.weight", "fixed.step", "fixed.beta_powers",
                                 "fixed.learning_rate", "fixed.weight", "warpbag.checksums"));
  EXPECT_EQ(*reader.find("item.weight"),
            (safetensors_entry{"item.weight", safetensors_type::bf16, {9, 5}}));
  EXPECT_EQ(*reader.find("user.sum"), (safetensors_entry{"user.sum", safetensors_type::f32, {6}}));
  std::vector<float> weight(24);
  reader.read("user.weight", 0, std::as_writable_bytes(std::span(weight)));
  EXPECT_EQ(weight, contents(collection, collection.weight(1)));
}

TEST_P(Checkpoint, writes_the_same_file_from_the_same_state) {
  auto collection = make(configs());
  train(collection, 2);
  save_checkpoint(collection, file_, {{"epoch", "1"}});
  const std::string bytes = bytes_of(file_);
  auto other = make(configs());
  load_checkpoint(other, file_);
  save_checkpoint(other, file_, {{"epoch", "1"}});
  EXPECT_EQ(bytes_of(file_), bytes);
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_P(Checkpoint, carries_tables_that_are_larger_than_the_buffer) {
  const std::vector<table_config> tables = {make_table("wide", 700, 2052)};  // 5.5 MiB
  embedding_bag_collection collection(tables, {}, resources_, {.seed = 1});
  save_checkpoint(collection, file_);
  embedding_bag_collection other(tables, {}, resources_, {.seed = 1});
  other.copy_from_host(std::vector<float>(700 * 2052).data(), other.weight(0));
  ASSERT_NE(snapshot(other), snapshot(collection));
  load_checkpoint(other, file_);
  EXPECT_EQ(snapshot(other), snapshot(collection));
}

TEST_P(Checkpoint, refuses_another_collection_and_says_what_differs) {
  auto saved = make(configs());
  save_checkpoint(saved, file_);
  const auto refused = [&](auto change, const char* text) {
    SCOPED_TRACE(text);
    auto tables = configs();
    change(tables);
    auto collection = make(tables);
    expect_not_loaded<invalid_argument>(collection, text);
  };
  refused([](auto& t) { t[1].num_embeddings = 7; }, "user.sum is [6], in the collection [7]");
  refused([](auto& t) { t[0].embedding_dim = 4; },
          "item.exp_avg is [9, 5], in the collection [9, 4]");
  refused([](auto& t) { t[0].type = dtype::f16; }, "item.weight is BF16, in the collection F16");
  refused([](auto& t) { t[0].optimizer.beta1 = 0.5F; }, "table \"item\": optimizer.beta1 is 0.8");
  refused([](auto& t) { t[1].optimizer.kind = optimizer_kind::sgd; },
          "table \"user\": optimizer.kind is \"rowwise_adagrad\" in the checkpoint, \"sgd\" in");
  refused([](auto& t) { t[2].freeze = false; }, "table \"fixed\": freeze is true");
  refused([](auto& t) { std::swap(t[0], t[1]); }, "table \"user\": name is \"item\"");
  refused([](auto& t) { t.push_back(make_table("more", 1, 1)); }, "3 tables in the checkpoint, 4");
  auto other_seed = make(configs(), 6);
  expect_not_loaded<invalid_argument>(other_seed, "seed is 5 in the checkpoint, 6");
  auto slower = configs();
  slower[0].optimizer.learning_rate = 7.0F;  // runs, so it is no difference
  auto collection = make(slower);
  load_checkpoint(collection, file_);
  EXPECT_EQ(collection.step_of(0).learning_rate, 0.1F);
}

TEST_P(Checkpoint, refuses_files_that_are_no_checkpoints) {
  auto collection = make(configs());
  EXPECT_THROW(load_checkpoint(collection, file_), io_error);
  write("");
  expect_not_loaded<corrupt_file>(collection, "model.safetensors");
  safetensors_writer(file_, {}, {}).commit();
  expect_not_loaded<corrupt_file>(collection, "warpbag.format");
  save_checkpoint(collection, file_);
  std::string bytes = bytes_of(file_);
  const std::string format = "\"warpbag.format\":\"";
  bytes[bytes.find(format) + format.size()] = '2';
  write(bytes);
  expect_not_loaded<corrupt_file>(collection, "\"2\", this version reads \"1\"");
}

TEST_P(Checkpoint, refuses_reserved_metadata) {
  auto collection = make(configs());
  EXPECT_THROW(save_checkpoint(collection, file_, {{"warpbag.format", "9"}}), invalid_argument);
  EXPECT_EQ(files_in_folder(), 0U);
}

TEST_P(Checkpoint, notices_every_damaged_byte) {
  auto collection = make(configs());
  train(collection, 1);
  save_checkpoint(collection, file_, {{"epoch", "12"}});
  const std::string good = bytes_of(file_);
  const auto state = snapshot(collection);
  std::fstream stream(file_, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, int byte) {
    stream.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(byte)).flush();
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x40}) {
      put(i, good[i] ^ flip);
      ASSERT_THROW(load_checkpoint(collection, file_), corrupt_file)
          << "byte " << i << " of " << good.size() << ", flip " << flip;
    }
    put(i, good[i]);
  }
  EXPECT_EQ(snapshot(collection), state);
  load_checkpoint(collection, file_);
  EXPECT_EQ(snapshot(collection), state);
}

TEST_P(Checkpoint, notices_every_truncation) {
  auto collection = make(configs());
  save_checkpoint(collection, file_);
  const auto state = snapshot(collection);
  const std::uintmax_t size = std::filesystem::file_size(file_);
  std::filesystem::resize_file(file_, size + 1);
  ASSERT_THROW(load_checkpoint(collection, file_), corrupt_file);
  for (std::uintmax_t cut = size; cut-- > 0;) {
    std::filesystem::resize_file(file_, cut);
    ASSERT_THROW(load_checkpoint(collection, file_), corrupt_file) << "cut to " << cut << " bytes";
  }
  EXPECT_EQ(snapshot(collection), state);
}

TEST_P(Checkpoint, leaves_the_old_file_whatever_operation_fails) {
  auto old_collection = make(configs());
  save_checkpoint(old_collection, file_);
  const std::string old_bytes = bytes_of(file_);
  auto collection = make(configs());
  train(collection, 2);
  const auto state = snapshot(collection);
  for (int k = 1;; ++k) {
    ASSERT_LT(k, 200);
    SCOPED_TRACE(k);
    failing_files files(k);
    try {
      save_checkpoint(collection, file_, {}, files);
      break;
    } catch (const io_error&) {
      EXPECT_EQ(files_in_folder(), 1U);
      EXPECT_EQ(bytes_of(file_) == old_bytes, !files.renamed);
    }
    EXPECT_EQ(snapshot(collection), state);
    save_checkpoint(old_collection, file_);
  }
  auto loaded = make(configs());
  load_checkpoint(loaded, file_);
  EXPECT_EQ(snapshot(loaded), state);
}

TEST_P(Checkpoint, is_not_written_after_a_bad_batch) {
  auto collection = make(configs());
  small_batch bad(*device_, collection, {{{9}, {0, 1}}, {{0}, {0, 1}}, {{0}, {0, 1}}});
  const auto run = [&] {
    collection.forward(bad.bags, bad.outputs);
    save_checkpoint(collection, file_);
  };
  EXPECT_THROW(run(), id_out_of_range);
  EXPECT_EQ(files_in_folder(), 0U);
  save_checkpoint(collection, file_);
  EXPECT_EQ(files_in_folder(), 1U);
}

WARPBAG_FOR_EVERY_BACKEND(Checkpoint);

}  // namespace
}  // namespace warpbag::support
