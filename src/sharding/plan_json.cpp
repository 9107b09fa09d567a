// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "collection/refuse.hpp"
#include "sharding/strict_json.hpp"
#include "warpbag/sharding_plan.hpp"

namespace warpbag {

namespace {

using sharding::json_place;

constexpr std::int64_t plan_version = 1;
constexpr std::int64_t most_int = std::numeric_limits<int>::max();
constexpr std::int64_t most_id = std::numeric_limits<std::int64_t>::max();

nlohmann::ordered_json json_of(const table_plan& plan) {
  nlohmann::ordered_json out = {
      {"table", plan.table}, {"kind", to_string(plan.kind)}, {"ranks", plan.ranks}};
  if (plan.column_pieces != 1) out["column_pieces"] = plan.column_pieces;
  if (!plan.replicated_rows.empty()) out["replicated_rows"] = plan.replicated_rows;
  if (plan.exchange != row_exchange::rows) out["exchange"] = to_string(plan.exchange);
  return out;
}

/// The value 0, ..., last of an enum that has this name.
template <typename Enum>
Enum enum_from(const json_place& from, Enum last) {
  const std::string name = from.text();
  for (int value = 0; value <= static_cast<int>(last); ++value) {
    if (to_string(static_cast<Enum>(value)) == name) return static_cast<Enum>(value);
  }
  from.refuse("no '" + name + "'");
}

template <typename Integer>
std::vector<Integer> integers_from(const json_place& from, std::int64_t most) {
  std::vector<Integer> values;
  for (std::size_t i = 0; i < from.size(); ++i) {
    values.push_back(static_cast<Integer>(from.at(i).integer(0, most)));
  }
  return values;
}

table_plan table_from(const json_place& from) {
  from.expect_keys({"table", "kind", "ranks", "column_pieces", "replicated_rows", "exchange"});
  table_plan plan;
  plan.table = from.at("table").text();
  plan.kind = enum_from(from.at("kind"), sharding_kind::grid);
  plan.ranks = integers_from<int>(from.at("ranks"), most_int);
  if (from.has("column_pieces")) {
    plan.column_pieces = static_cast<int>(from.at("column_pieces").integer(1, most_int));
  }
  if (from.has("replicated_rows")) {
    plan.replicated_rows = integers_from<std::int64_t>(from.at("replicated_rows"), most_id);
  }
  if (from.has("exchange")) {
    plan.exchange = enum_from(from.at("exchange"), row_exchange::partial_bags);
  }
  return plan;
}

}  // namespace

std::string to_json(const sharding_plan& plan) {
  // A line for each table: short enough to read, and a changed table is a changed line.
  std::string text = "{\"warpbag.plan\": " + std::to_string(plan_version) +
                     ", \"num_ranks\": " + std::to_string(plan.num_ranks) + ", \"tables\": [";
  const char* separator = "\n  ";
  for (const table_plan& table : plan.tables) {
    try {
      text += separator + json_of(table).dump();
    } catch (const nlohmann::json::exception&) {
      collection::refuse("plan of table '", table.table, "': the name is not UTF-8");
    }
    separator = ",\n  ";
  }
  return text + "\n]}\n";
}

sharding_plan sharding_plan_from_json(std::string_view json) {
  const nlohmann::json document = sharding::parse_json(json, "plan");
  const json_place from(document, "plan");
  from.expect_keys({"warpbag.plan", "num_ranks", "tables"});
  static_cast<void>(from.at("warpbag.plan").integer(plan_version, plan_version));
  sharding_plan plan;
  plan.num_ranks = static_cast<int>(from.at("num_ranks").integer(1, most_int));
  const json_place tables = from.at("tables");
  for (std::size_t i = 0; i < tables.size(); ++i) plan.tables.push_back(table_from(tables.at(i)));
  return plan;
}

}  // namespace warpbag
