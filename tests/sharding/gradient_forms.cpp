// SPDX-License-Identifier: Apache-2.0
#include "sharding/gradient_forms.hpp"

#include <algorithm>
#include <numeric>

#include "sharding/stored_values.hpp"

namespace warpbag::support {

namespace {

constexpr float scale = 0.75F;

std::vector<float> rows_of(const std::vector<float>& matrix, std::int64_t row, std::int64_t dim) {
  return {matrix.begin() + row * dim, matrix.begin() + (row + 1) * dim};
}

}  // namespace

caller_gradients::caller_gradients(test_device& device, std::vector<gradient_part> parts,
                                   dtype type)
    : device_(&device), parts_(std::move(parts)), type_(type) {
  for (const gradient_part& part : parts_) {
    const auto bytes_of = [&](std::size_t rows) {
      return rows * static_cast<std::size_t>(part.num_columns) * size_of(type);
    };
    const auto capacity = static_cast<std::size_t>(part.capacity);
    const std::byte unwritten{0x55};
    memory_.push_back({{device, std::vector<std::int64_t>(capacity, -5)},
                       {device, std::vector<std::int64_t>(1, -5)},
                       {device, std::vector<std::byte>(bytes_of(capacity), unwritten)},
                       {device, std::vector<std::byte>(bytes_of(part.ids.size()), unwritten)}});
    part_memory& memory = memory_.back();
    sparse_.push_back({memory.rows.data(),
                       {memory.values.data(), type, part.capacity, part.num_columns},
                       memory.count.data()});
    dense_.emplace_back(memory.matrix.data(), type, static_cast<std::int64_t>(part.ids.size()),
                        part.num_columns);
  }
}

part_gradient caller_gradients::sparse_of(std::size_t part) {
  if (parts_[part].frozen) return {};
  part_memory& memory = memory_[part];
  const std::int64_t count = memory.count.values().front();
  part_gradient result;
  result.ids.assign(memory.rows.values().begin(), memory.rows.values().begin() + count);
  result.values = widened(memory.values.values(), type_);
  result.values.resize(static_cast<std::size_t>(count * parts_[part].num_columns));
  return result;
}

part_gradient caller_gradients::dense_of(std::size_t part) {
  if (parts_[part].frozen) return {};
  return {parts_[part].ids, widened(memory_[part].matrix.values(), type_)};
}

std::vector<sparse_gradient> caller_gradients::changed(bool from_dense) {
  std::vector<sparse_gradient> given;
  changed_.clear();
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const std::int64_t dim = parts_[p].num_columns;
    const part_gradient sparse = sparse_of(p);
    const part_gradient dense = from_dense ? dense_of(p) : part_gradient();
    std::vector<std::int64_t> ids;
    std::vector<float> values;
    for (std::size_t k = 0; k < sparse.ids.size(); ++k) {
      const std::int64_t id = sparse.ids[k];
      if (id % 5 == 4) continue;
      auto row = static_cast<std::int64_t>(k);
      if (from_dense) row = std::find(dense.ids.begin(), dense.ids.end(), id) - dense.ids.begin();
      ids.push_back(id);
      for (const float value : rows_of(from_dense ? dense.values : sparse.values, row, dim)) {
        values.push_back(value * scale);
      }
    }
    const auto count = static_cast<std::int64_t>(ids.size());
    changed_.push_back({{*device_, std::move(ids)},
                        {*device_, std::vector<std::int64_t>(1, count)},
                        {*device_, stored(values, type_)},
                        {*device_, {}}});
    part_memory& memory = changed_.back();
    given.push_back(
        {memory.rows.data(), {memory.values.data(), type_, count, dim}, memory.count.data()});
  }
  return given;
}

std::vector<gradient_part> parts_of(const embedding_bag_collection& collection,
                                    std::span<const jagged_view> bags) {
  std::vector<gradient_part> parts;
  for (std::size_t t = 0; t < collection.num_tables(); ++t) {
    const table_config& table = collection.config(t);
    gradient_part& part = parts.emplace_back();
    part.table = t;
    part.num_columns = table.embedding_dim;
    part.frozen = table.freeze;
    part.ids.resize(static_cast<std::size_t>(table.num_embeddings));
    std::iota(part.ids.begin(), part.ids.end(), std::int64_t{0});
    for (std::size_t f = 0; f < bags.size(); ++f) {
      if (collection.feature(f).table == table.name) part.capacity += bags[f].ids.size;
    }
    part.capacity = std::min(part.capacity, table.num_embeddings);
  }
  return parts;
}

std::vector<gradient_part> parts_of(const sharded_embedding_bag_collection& collection) {
  std::vector<gradient_part> parts;
  for (std::size_t s = 0; s < collection.num_shards(); ++s) {
    const table_shard& shard = collection.shard(s);
    gradient_part& part = parts.emplace_back();
    part.table = shard.table;
    part.first_column = shard.first_column;
    part.num_columns = shard.num_columns;
    part.frozen = collection.config(shard.table).freeze;
    part.capacity = collection.gradient_capacity(s);
    for (std::int64_t row = 0; row < shard.num_rows; ++row) {
      part.ids.push_back(collection.row_id(s, row));
    }
  }
  return parts;
}

}  // namespace warpbag::support
