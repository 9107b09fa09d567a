// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint_layout.hpp"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "io/checksum.hpp"
#include "warpbag/error.hpp"

namespace warpbag::io {

namespace {

using json = nlohmann::ordered_json;

std::uint64_t unsigned_size(std::int64_t size) { return static_cast<std::uint64_t>(size); }

safetensors_type stored_type(dtype type) {
  switch (type) {
    case dtype::f16: return safetensors_type::f16;
    case dtype::bf16: return safetensors_type::bf16;
    case dtype::f32: break;
  }
  return safetensors_type::f32;
}

void add_table(const table_config& config, std::size_t table,
               std::vector<checkpoint_tensor>& tensors) {
  const auto add_number = [&](const char* name, safetensors_type type, std::uint64_t count,
                              tensor_role role) {
    tensors.push_back({{config.name + name, type, {count}}, role, table, 0});
  };
  add_number(".step", safetensors_type::i64, 1, tensor_role::step);
  add_number(".beta_powers", safetensors_type::f64, 2, tensor_role::beta_powers);
  add_number(".learning_rate", safetensors_type::f32, 1, tensor_role::learning_rate);
  const auto rows = unsigned_size(config.num_embeddings);
  const auto dim = unsigned_size(config.embedding_dim);
  for (int index = 0; index < 2; ++index) {
    const state_shape shape = optimizer_state_shape(config.optimizer, index);
    if (config.freeze || shape == state_shape::absent) continue;
    const std::string name =
        config.name + '.' + std::string(optimizer_state_name(config.optimizer, index));
    std::vector<std::uint64_t> sizes = {rows};
    if (shape == state_shape::per_element) sizes.push_back(dim);
    tensors.push_back(
        {{name, safetensors_type::f32, std::move(sizes)}, tensor_role::state, table, index});
  }
  tensors.push_back({{config.name + ".weight", stored_type(config.type), {rows, dim}},
                     tensor_role::weight,
                     table,
                     0});
}

json describe(const optimizer_options& options) {
  return {{"kind", to_string(options.kind)},
          {"momentum", options.momentum},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"eps", options.eps},
          {"initial_accumulator", options.initial_accumulator},
          {"ftrl_beta", options.ftrl_beta},
          {"l1", options.l1},
          {"l2", options.l2},
          {"decay_mode", static_cast<int>(options.decay_mode)},
          {"weight_decay", options.weight_decay},
          {"clipping", static_cast<int>(options.clipping)},
          {"clipping_limit", options.clipping_limit},
          {"stochastic_rounding", options.stochastic_rounding}};
}

/// The first field, in the order of `wanted`, that `saved` has otherwise or not at all.
std::string field_difference(const json& saved, const json& wanted) {
  for (const auto& [key, value] : wanted.items()) {
    const auto found = saved.find(key);
    const std::string there = found == saved.end() ? "missing" : found->dump();
    if (found != saved.end() && *found == value) continue;
    if (value.is_object() && found != saved.end() && found->is_object()) {
      return key + '.' + field_difference(*found, value);
    }
    return key + " is " + there + " in the checkpoint, " + value.dump() + " in the collection";
  }
  return "it has other fields";
}

json parse(const std::string& text) {
  json parsed = json::parse(text, nullptr, false);
  const bool good = parsed.is_object() && parsed.contains("seed") && parsed.contains("tables") &&
                    parsed["tables"].is_array();
  if (!good) throw corrupt_file(std::string(collection_key) + " does not describe a collection");
  return parsed;
}

void add_text(checksum& sum, std::string_view text) {
  const std::uint64_t size = text.size();
  sum.add(std::as_bytes(std::span(&size, 1)));
  sum.add(std::as_bytes(std::span(text)));
}

}  // namespace

std::vector<checkpoint_tensor> tensors_of(std::span<const table_config> tables) {
  std::vector<checkpoint_tensor> tensors;
  for (std::size_t t = 0; t < tables.size(); ++t) add_table(tables[t], t, tensors);
  return tensors;
}

std::vector<safetensors_entry> entries_of(std::span<const checkpoint_tensor> tensors) {
  std::vector<safetensors_entry> entries;
  for (const checkpoint_tensor& tensor : tensors) entries.push_back(tensor.entry);
  entries.push_back(checksums_entry(tensors.size()));
  return entries;
}

safetensors_metadata with_reserved(safetensors_metadata metadata, const std::string& description) {
  for (const auto& item : metadata) {
    if (item.first.starts_with("warpbag.")) {
      throw invalid_argument("metadata key \"" + item.first + "\": \"warpbag.\" is reserved");
    }
  }
  metadata.emplace(format_key, format_version);
  metadata.emplace(collection_key, description);
  return metadata;
}

safetensors_entry checksums_entry(std::size_t num_tensors) {
  return {checksums_name, safetensors_type::i64, {num_tensors + 1}};
}

std::vector<std::byte> encode(const step_state& state, tensor_role role) {
  const auto bytes_of = [](const auto& number) {
    const auto bytes = std::as_bytes(std::span(&number, 1));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  switch (role) {
    case tensor_role::step: return bytes_of(state.step);
    case tensor_role::beta_powers:
      return bytes_of(std::array<double, 2>{state.beta1_power, state.beta2_power});
    case tensor_role::learning_rate: return bytes_of(state.learning_rate);
    case tensor_role::weight:
    case tensor_role::state: break;
  }
  return {};
}

void decode(std::span<const std::byte> bytes, tensor_role role, step_state& state) {
  switch (role) {
    case tensor_role::step: std::memcpy(&state.step, bytes.data(), sizeof(state.step)); break;
    case tensor_role::beta_powers:
      std::memcpy(&state.beta1_power, bytes.data(), sizeof(double));
      std::memcpy(&state.beta2_power, bytes.data() + sizeof(double), sizeof(double));
      break;
    case tensor_role::learning_rate:
      std::memcpy(&state.learning_rate, bytes.data(), sizeof(float));
      break;
    case tensor_role::weight:
    case tensor_role::state: break;
  }
}

std::string describe(std::span<const table_config> tables, const collection_options& options) {
  json described = json::array();
  for (const table_config& config : tables) {
    described.push_back({{"name", config.name},
                         {"freeze", config.freeze},
                         {"optimizer", describe(config.optimizer)}});
  }
  return json{{"seed", options.seed}, {"tables", described}}.dump();
}

std::string difference(const std::string& saved, const std::string& wanted) {
  if (saved == wanted) return {};
  const json there = parse(saved);
  const json here = parse(wanted);
  const json& theirs = there["tables"];
  const json& ours = here["tables"];
  if (theirs.size() != ours.size()) {
    return std::to_string(theirs.size()) + " tables in the checkpoint, " +
           std::to_string(ours.size()) + " in the collection";
  }
  for (std::size_t t = 0; t < ours.size(); ++t) {
    if (theirs[t] == ours[t]) continue;
    return "table \"" + ours[t]["name"].get<std::string>() +
           "\": " + field_difference(theirs[t], ours[t]);
  }
  return field_difference(there, here);
}

std::uint64_t header_checksum(std::span<const safetensors_entry> entries,
                              const safetensors_metadata& metadata) {
  checksum sum;
  for (const safetensors_entry& entry : entries) {
    add_text(sum, entry.name);
    add_text(sum, to_string(entry.type));
    const std::uint64_t rank = entry.shape.size();
    sum.add(std::as_bytes(std::span(&rank, 1)));
    sum.add(std::as_bytes(std::span(entry.shape)));
  }
  for (const auto& [key, value] : metadata) {
    add_text(sum, key);
    add_text(sum, value);
  }
  return sum.value();
}

}  // namespace warpbag::io
