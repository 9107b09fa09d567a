// SPDX-License-Identifier: Apache-2.0
#include "bench/dump.hpp"

#include <span>
#include <string>

#include "bench/result_table.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag::bench {

namespace {

/// Calls visit(name, type, shape, bytes) for every tensor.
template <typename Visit>
void visit_all(const std::vector<std::int64_t>& tables, const drawn_batch& batch, Visit&& visit) {
  visit("tables", safetensors_type::i64, {tables.size() / 3, 3}, std::as_bytes(std::span(tables)));
  const auto vector = [&](const std::string& name, safetensors_type type, const auto& values) {
    if (!values.empty()) visit(name, type, {values.size()}, std::as_bytes(std::span(values)));
  };
  for (std::size_t t = 0; t < batch.features.size(); ++t) {
    const std::string name = std::to_string(t);
    vector(name + ".ids", safetensors_type::i64, batch.features[t].ids);
    vector(name + ".offsets", safetensors_type::i64, batch.features[t].offsets);
    vector(name + ".weights", safetensors_type::f32, batch.features[t].weights);
  }
}

}  // namespace

void dump(const workload& workload, const std::filesystem::path& file) {
  const drawn_batch batch = draw_batch(workload);
  std::vector<std::int64_t> tables;
  for (const workload_table& table : workload.tables) {
    tables.insert(tables.end(), {table.rows, table.dim, table.hotness});
  }
  std::vector<safetensors_entry> entries;
  visit_all(tables, batch,
            [&](const std::string& name, safetensors_type type, std::vector<std::uint64_t> shape,
                std::span<const std::byte>) {
              entries.push_back({name, type, std::move(shape)});
            });
  safetensors_writer writer(file, std::move(entries),
                            {{"name", workload.name},
                             {"description", description(workload)},
                             {"batch", std::to_string(workload.batch)},
                             {"dtype", std::string(to_string(workload.type))},
                             {"pooling", std::string(to_string(workload.pooling))},
                             {"optimizer", std::string(to_string(workload.optimizer.kind))}});
  visit_all(tables, batch,
            [&](const std::string&, safetensors_type, const std::vector<std::uint64_t>&,
                std::span<const std::byte> bytes) { writer.write(bytes); });
  writer.commit();
}

}  // namespace warpbag::bench
