// SPDX-License-Identifier: Apache-2.0
#pragma once
// One training step through gradients that the caller sees, changes and gives back: the same on one
// device and on the shards of a rank.

#include <span>
#include <vector>

#include "support/device_array.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag::support {

/// fused: backward. sparse: backward_sparse, then apply_gradients of what a caller changed. dense:
/// with values that are taken from backward_dense.
enum class training_form : std::uint8_t { fused, sparse, dense };

/// Rows and columns of a table in one collection, whose gradient is one matrix: a whole table, or a
/// shard.
struct gradient_part {
  std::size_t table = 0;
  std::int64_t first_column = 0;
  std::int64_t num_columns = 0;
  std::vector<std::int64_t> ids;  // of its rows
  std::int64_t capacity = 0;      // rows that its sparse gradient may have
  bool frozen = false;
};

/// Gradients of a part as backward left them, in fp32: of rows `ids`.
struct part_gradient {
  std::vector<std::int64_t> ids;
  std::vector<float> values;
};

/// What a caller keeps of a step's gradients.
class caller_gradients {
 public:
  caller_gradients(test_device& device, std::vector<gradient_part> parts, dtype type);

  const std::vector<gradient_part>& parts() const { return parts_; }
  std::span<const sparse_gradient> sparse() const { return sparse_; }
  std::span<const tensor_view> dense() const { return dense_; }
  /// What backward_sparse wrote, or backward_dense.
  part_gradient sparse_of(std::size_t part);
  part_gradient dense_of(std::size_t part);

  /// What the caller gives back: a row in five is left out and values are scaled, those of the
  /// sparse gradient or, where `from_dense`, those that the dense one has for its rows.
  std::vector<sparse_gradient> changed(bool from_dense);

 private:
  struct part_memory {
    device_array<std::int64_t> rows;
    device_array<std::int64_t> count;
    device_array<std::byte> values;
    device_array<std::byte> matrix;
  };

  test_device* device_;
  std::vector<gradient_part> parts_;
  dtype type_;
  std::vector<part_memory> memory_;
  std::vector<sparse_gradient> sparse_;
  std::vector<tensor_view> dense_;
  std::vector<part_memory> changed_;
};

/// The step of `form`. Returns the gradients of each part, as the form shows them first.
template <typename Collection, typename Batch>
std::vector<part_gradient> train_by(training_form form, Collection& collection, Batch& batch,
                                    caller_gradients& gradients) {
  std::vector<part_gradient> seen;
  if (form == training_form::fused) {
    collection.backward(batch.bags, batch.output_gradients, batch.weight_gradients);
    return seen;
  }
  collection.backward_sparse(batch.bags, batch.output_gradients, gradients.sparse(),
                             batch.weight_gradients);
  if (form == training_form::dense) {
    collection.backward_dense(batch.bags, batch.output_gradients, gradients.dense(),
                              batch.weight_gradients);
  }
  for (std::size_t part = 0; part < gradients.parts().size(); ++part) {
    seen.push_back(form == training_form::dense ? gradients.dense_of(part)
                                                : gradients.sparse_of(part));
  }
  collection.apply_gradients(gradients.changed(form == training_form::dense));
  return seen;
}

/// The parts of one device, for a batch, and those of a rank after forward.
std::vector<gradient_part> parts_of(const embedding_bag_collection& collection,
                                    std::span<const jagged_view> bags);
std::vector<gradient_part> parts_of(const sharded_embedding_bag_collection& collection);

}  // namespace warpbag::support
