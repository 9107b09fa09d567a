// SPDX-License-Identifier: Apache-2.0
#include "warpbag/checkpoint.hpp"

#include <algorithm>
#include <optional>

#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/checksum.hpp"
#include "io/safetensors_header.hpp"
#include "sharding/rank_calls.hpp"

namespace warpbag {

namespace {

using io::checkpoint_tensor;
using sharding::rank_calls;
using sharding::rank_operation;

/// Calls between the ranks of a collection, beside its steps.
class collection_calls {
 public:
  explicit collection_calls(sharded_embedding_bag_collection& collection)
      : access_(operations::make_device_access(collection.get_resources())),
        calls_({std::shared_ptr<void>(), &collection.ranks()}, 0, *access_, names_) {}

  rank_calls& get() { return calls_; }

 private:
  collection::call_names names_;
  std::unique_ptr<operations::device_access> access_;
  rank_calls calls_;
};

/// Bytes [place, place + size) of a tensor that belong to rows [first, first + count) of a piece.
struct row_range {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::uint64_t place = 0;
};

/// Which rows of a shard are the file's: a part's, but for those that have replicas; a replica's on
/// one rank.
class shard_rows {
 public:
  shard_rows(sharded_embedding_bag_collection& collection, std::size_t shard)
      : collection_(collection), shard_(shard) {
    const table_shard& part = collection.shard(shard);
    const std::string& name = collection.config(part.table).name;
    for (const table_plan& plan : collection.plan().tables) {
      if (plan.table == name && !part.is_replica) replicated_ = &plan.replicated_rows;
    }
  }

  /// body(range) for runs of rows of `piece`, whose first row is the shard's row `first`, that lie
  /// one after another in the tensor [rows, dim] of elements of element_bytes.
  template <typename Body>
  void for_each_range(std::int64_t first, const tensor_view& piece, std::int64_t dim, Body body) {
    const std::uint64_t element = size_of(piece.type);
    const auto place_of = [&](std::int64_t id) {
      const std::int64_t column = dim == 1 ? 0 : collection_.shard(shard_).first_column;
      return static_cast<std::uint64_t>(id * dim + column) * element;
    };
    std::int64_t row = 0;
    while (row < piece.rows) {
      const std::int64_t id = collection_.row_id(shard_, first + row);
      if (has_replica(id)) {
        ++row;
        continue;
      }
      row_range range = {row, 1, place_of(id)};
      while (piece.dim == dim && row + range.count < piece.rows) {
        const std::int64_t next = collection_.row_id(shard_, first + row + range.count);
        if (next != id + range.count || has_replica(next)) break;
        ++range.count;
      }
      body(range);
      row += range.count;
    }
  }

 private:
  bool has_replica(std::int64_t id) const {
    return replicated_ != nullptr &&
           std::binary_search(replicated_->begin(), replicated_->end(), id);
  }

  sharded_embedding_bag_collection& collection_;
  std::size_t shard_;
  const std::vector<std::int64_t>* replicated_ = nullptr;
};

/// body(shard, matrix, dim) for the matrices of a tensor that this rank holds; `dim`: of the
/// tensor.
template <typename Body>
void for_each_matrix(sharded_embedding_bag_collection& collection, const checkpoint_tensor& tensor,
                     Body body) {
  for (std::size_t s = 0; s < collection.num_shards(); ++s) {
    const table_shard& shard = collection.shard(s);
    if (shard.table != tensor.table || shard.num_rows == 0) continue;
    const tensor_view matrix = io::matrix_of(collection, tensor, s);
    const auto& shape = tensor.entry.shape;
    body(s, matrix, shape.size() < 2 ? std::int64_t{1} : static_cast<std::int64_t>(shape[1]));
  }
}

/// Every byte of a tensor comes from one rank.
bool is_writer(sharded_embedding_bag_collection& collection, std::size_t shard, std::int64_t dim) {
  const table_shard& part = collection.shard(shard);
  if (part.is_replica) {
    const auto ranks = static_cast<std::size_t>(collection.ranks().size());
    return part.table % ranks == static_cast<std::size_t>(collection.ranks().rank());
  }
  return dim > 1 || part.first_column == 0;  // states per row are the same in all column pieces
}

void write_rows(sharded_embedding_bag_collection& collection, const checkpoint_tensor& tensor,
                std::uint64_t begin, io::shared_file& file) {
  std::vector<std::byte> buffer;
  for_each_matrix(
      collection, tensor, [&](std::size_t s, const tensor_view& matrix, std::int64_t dim) {
        if (!is_writer(collection, s, dim)) return;
        shard_rows rows(collection, s);
        io::for_each_piece(matrix, [&](std::int64_t first, const tensor_view& piece) {
          const std::size_t row_bytes = static_cast<std::size_t>(piece.dim) * size_of(piece.type);
          buffer.resize(static_cast<std::size_t>(piece.rows) * row_bytes);
          collection.copy_to_host(piece, buffer.data());
          rows.for_each_range(first, piece, dim, [&](const row_range& range) {
            file.write_at(
                begin + range.place,
                std::span(buffer).subspan(static_cast<std::size_t>(range.first) * row_bytes,
                                          static_cast<std::size_t>(range.count) * row_bytes));
          });
        });
      });
}

void read_rows(sharded_embedding_bag_collection& collection, const checkpoint_tensor& tensor,
               const io::checkpoint_file& file) {
  std::vector<std::byte> buffer;
  for_each_matrix(
      collection, tensor, [&](std::size_t s, const tensor_view& matrix, std::int64_t dim) {
        shard_rows rows(collection, s);
        io::for_each_piece(matrix, [&](std::int64_t first, const tensor_view& piece) {
          const std::size_t row_bytes = static_cast<std::size_t>(piece.dim) * size_of(piece.type);
          buffer.assign(static_cast<std::size_t>(piece.rows) * row_bytes, std::byte{0});
          rows.for_each_range(first, piece, dim, [&](const row_range& range) {
            file.read(tensor, range.place,
                      std::span(buffer).subspan(static_cast<std::size_t>(range.first) * row_bytes,
                                                static_cast<std::size_t>(range.count) * row_bytes));
          });
          collection.copy_from_host(buffer.data(), piece);
        });
      });
}

/// The tensors whose checksums `rank` computes.
bool has_share(std::size_t tensor, const rank_calls& calls) {
  return tensor % static_cast<std::size_t>(calls.size()) == static_cast<std::size_t>(calls.rank());
}

class sharded_saver {
 public:
  sharded_saver(sharded_embedding_bag_collection& collection, const std::filesystem::path& file,
                file_system& files)
      : collection_(collection),
        file_(file),
        files_(files),
        calls_(collection),
        tables_(io::configs_of(collection)),
        tensors_(io::tensors_of(tables_)),
        entries_(io::entries_of(tensors_)) {}

  void save(const safetensors_metadata& metadata) {
    create(metadata);
    write();
    hash();
    commit();
  }

 private:
  bool is_first() { return calls_.get().rank() == 0; }

  /// Rank 0 makes the temporary file and writes the header; the others learn its name and where the
  /// tensors begin.
  void create(const safetensors_metadata& metadata) {
    std::vector<std::int64_t> words(3);
    const auto learned = calls_.get().agree_on(rank_operation::checkpoint, words, [&] {
      if (!is_first()) return;
      metadata_ = io::with_reserved(metadata, io::describe(tables_, collection_.options()));
      const std::string header = io::write_header(entries_, metadata_);
      const io::temporary_number number = io::next_temporary();
      target_.emplace(file_, files_, number);
      target_->write(std::as_bytes(std::span(header)));
      words = {number.process, number.writer, static_cast<std::int64_t>(header.size())};
    });
    temporary_ = io::temporary_beside(file_, {learned[0][0], learned[0][1]});
    data_begin_ = static_cast<std::uint64_t>(learned[0][2]);
  }

  void write() {
    std::vector<std::int64_t> none;
    calls_.get().agree_on(rank_operation::checkpoint, none, [&] {
      io::shared_file file(temporary_, files_);
      std::uint64_t begin = data_begin_;
      for (const checkpoint_tensor& tensor : tensors_) {
        if (io::is_matrix(tensor.role)) {
          write_rows(collection_, tensor, begin, file);
        } else if (is_first()) {
          file.write_at(begin, io::encode(collection_.step_of(tensor.table), tensor.role));
        }
        begin += tensor.entry.num_bytes();
      }
      if (is_first()) {  // the file's full length, so that it reads as one
        file.write_at(begin, std::vector<std::byte>(entries_.back().num_bytes()));
      }
      file.sync();
    });
  }

  /// Each rank reads back what all have written of its share of the tensors.
  void hash() {
    std::vector<std::int64_t> words(tensors_.size(), 0);
    const auto learned = calls_.get().agree_on(rank_operation::checkpoint, words, [&] {
      const safetensors_reader reader(temporary_);
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        if (!has_share(i, calls_.get())) continue;
        words[i] = static_cast<std::int64_t>(io::checksum_of(reader, tensors_[i].entry));
      }
    });
    const std::size_t num_ranks = learned.size();
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      checksums_.push_back(static_cast<std::uint64_t>(learned[i % num_ranks][i]));
    }
  }

  void commit() {
    std::vector<std::int64_t> none;
    calls_.get().agree_on(rank_operation::checkpoint, none, [&] {
      if (!is_first()) return;
      checksums_.push_back(io::header_checksum(entries_, metadata_));
      std::uint64_t begin = data_begin_;
      for (const checkpoint_tensor& tensor : tensors_) begin += tensor.entry.num_bytes();
      {
        io::shared_file file(temporary_, files_);
        file.write_at(begin, std::as_bytes(std::span(checksums_)));
      }
      target_->commit();
    });
  }

  sharded_embedding_bag_collection& collection_;
  std::filesystem::path file_;
  file_system& files_;
  collection_calls calls_;
  std::vector<table_config> tables_;
  std::vector<checkpoint_tensor> tensors_;
  std::vector<safetensors_entry> entries_;
  safetensors_metadata metadata_;
  std::optional<io::atomic_file> target_;  // rank 0
  std::filesystem::path temporary_;
  std::uint64_t data_begin_ = 0;
  std::vector<std::uint64_t> checksums_;
};

}  // namespace

void save_checkpoint(sharded_embedding_bag_collection& collection,
                     const std::filesystem::path& file, const safetensors_metadata& metadata) {
  save_checkpoint(collection, file, metadata, system_files());
}

void save_checkpoint(sharded_embedding_bag_collection& collection,
                     const std::filesystem::path& file, const safetensors_metadata& metadata,
                     file_system& files) {
  sharded_saver(collection, file, files).save(metadata);
}

safetensors_metadata load_checkpoint(sharded_embedding_bag_collection& collection,
                                     const std::filesystem::path& file) {
  collection_calls calls(collection);
  std::optional<io::checkpoint_file> checkpoint;
  std::vector<step_state> steps;
  std::vector<std::int64_t> none;
  calls.get().agree_on(rank_operation::checkpoint, none, [&] {
    checkpoint.emplace(file);
    checkpoint->check_tables(io::configs_of(collection), collection.options());
    for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) {
      if (has_share(i, calls.get())) checkpoint->check_contents(i);
    }
    steps = checkpoint->read_steps(collection.num_tables());
  });
  calls.get().agree_on(rank_operation::checkpoint, none, [&] {
    for (const checkpoint_tensor& tensor : checkpoint->tensors()) {
      if (io::is_matrix(tensor.role)) read_rows(collection, tensor, *checkpoint);
    }
    for (std::size_t t = 0; t < steps.size(); ++t) collection.set_step(t, steps[t]);
  });
  collection.share_padding_rows();
  return checkpoint->metadata();
}

}  // namespace warpbag
