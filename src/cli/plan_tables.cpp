// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_tables.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

#include "cli/choice.hpp"
#include "sharding/strict_json.hpp"

namespace warpbag::cli {

namespace {

using sharding::json_place;

constexpr std::int64_t most_rows = std::int64_t{1} << 46;
constexpr std::int64_t most_dim = 8192;
constexpr double most_hotness = 1e9;

void add_table(planned_tables& tables, table_config config,
               std::vector<feature_statistics> features, double alpha) {
  tables.statistics.push_back(
      {std::move(features), id_distribution::power_law(config.num_embeddings, alpha)});
  tables.configs.push_back(std::move(config));
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t first = 0;
  while (true) {
    const std::size_t colon = text.find(':', first);
    parts.push_back(text.substr(first, colon - first));
    if (colon == std::string::npos) return parts;
    first = colon + 1;
  }
}

template <typename Number>
Number number_from(const std::string& table, const char* what, const std::string& text,
                   Number least, Number most) {
  Number number = {};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(number >= least && number <= most)) {
    throw invalid_argument("--table " + table + ": " + what + " '" + text + "'");
  }
  return number;
}

void parse_table(planned_tables& tables, const std::string& text) {
  const std::vector<std::string> parts = split(text);
  if (parts.size() < 3 || parts.size() > 7) {
    throw invalid_argument(
        "--table must be NAME:ROWS:DIM[:HOTNESS[:ALPHA[:DTYPE[:OPTIMIZER]]]], "
        "not '" +
        text + "'");
  }
  table_config config;
  config.name = parts[0];
  config.num_embeddings = number_from<std::int64_t>(text, "rows", parts[1], 1, most_rows);
  config.embedding_dim = number_from<std::int64_t>(text, "dim", parts[2], 1, most_dim);
  feature_statistics feature;
  double alpha = 0.0;
  if (parts.size() > 3) {
    feature.hotness = number_from(text, "hotness", parts[3], 0.0, most_hotness);
  }
  if (parts.size() > 4) alpha = number_from(text, "alpha", parts[4], 0.0, 10.0);
  if (parts.size() > 5) config.type = parse_choice("--table", parts[5], names_up_to(dtype::bf16));
  if (parts.size() > 6) {
    config.optimizer.kind = parse_choice("--table", parts[6], names_up_to(optimizer_kind::ftrl));
  }
  feature.gradient_type = config.type;
  add_table(tables, std::move(config), {feature}, alpha);
}

template <typename Value>
Value choice_from(const json_place& from, Value last) {
  return parse_choice(from.place(), from.text(), names_up_to(last));
}

feature_statistics feature_from(const json_place& from, dtype type) {
  from.expect_keys({"hotness", "weighted", "pooling"});
  feature_statistics feature = {.gradient_type = type};
  if (from.has("hotness")) feature.hotness = from.at("hotness").number(0.0, most_hotness);
  if (from.has("weighted")) feature.weighted = from.at("weighted").flag();
  if (from.has("pooling")) feature.mode = choice_from(from.at("pooling"), pooling_mode::none);
  return feature;
}

void read_table(planned_tables& tables, const json_place& from) {
  from.expect_keys(
      {"name", "rows", "dim", "hotness", "alpha", "dtype", "optimizer", "freeze", "features"});
  table_config config;
  config.name = from.at("name").text();
  config.num_embeddings = from.at("rows").integer(1, most_rows);
  config.embedding_dim = from.at("dim").integer(1, most_dim);
  if (from.has("dtype")) config.type = choice_from(from.at("dtype"), dtype::bf16);
  if (from.has("optimizer")) {
    config.optimizer.kind = choice_from(from.at("optimizer"), optimizer_kind::ftrl);
  }
  if (from.has("freeze")) config.freeze = from.at("freeze").flag();
  std::vector<feature_statistics> features;
  if (from.has("features")) {
    if (from.has("hotness")) from.refuse("hotness and features");
    const json_place list = from.at("features");
    for (std::size_t i = 0; i < list.size(); ++i) {
      features.push_back(feature_from(list.at(i), config.type));
    }
  } else {
    features.push_back({.gradient_type = config.type});
    if (from.has("hotness")) {
      features.back().hotness = from.at("hotness").number(0.0, most_hotness);
    }
  }
  const double alpha = from.has("alpha") ? from.at("alpha").number(0.0, 10.0) : 0.0;
  add_table(tables, std::move(config), std::move(features), alpha);
}

}  // namespace

planned_tables parse_tables(const std::vector<std::string>& texts) {
  if (texts.empty()) throw invalid_argument("no tables: give a file or --table");
  planned_tables tables;
  for (const std::string& text : texts) parse_table(tables, text);
  return tables;
}

planned_tables read_tables(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw io_error("cannot read " + file.string());
  const nlohmann::json document = sharding::parse_json(text, file.string());
  const json_place from(document, file.string());
  planned_tables tables;
  for (std::size_t i = 0; i < from.size(); ++i) read_table(tables, from.at(i));
  return tables;
}

}  // namespace warpbag::cli
