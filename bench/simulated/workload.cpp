// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

namespace warpbag::simulated {

namespace {

std::vector<std::int64_t> parse_numbers(const std::string& text) {
  std::vector<std::int64_t> numbers;
  std::istringstream list(text);
  for (std::string number; std::getline(list, number, ',');) numbers.push_back(std::stoll(number));
  if (numbers.empty()) throw std::invalid_argument("an empty list of numbers");
  return numbers;
}

template <typename Value>
Value parse_name(const std::string& text, std::initializer_list<Value> values) {
  for (const Value value : values) {
    if (to_string(value) == text) return value;
  }
  throw std::invalid_argument("unknown name: " + text);
}

void parse_argument(workload& load, const std::string& key, const std::string& value) {
  if (key == "rows") {
    load.rows = parse_numbers(value);
  } else if (key == "dim") {
    load.dim = parse_numbers(value);
  } else if (key == "hotness") {
    load.hotness = parse_numbers(value);
  } else if (key == "tables") {
    load.tables = std::stoll(value);
  } else if (key == "batch") {
    load.batch = std::stoll(value);
  } else if (key == "alpha") {
    load.alpha = std::stod(value);
  } else if (key == "csr") {
    load.csr = std::stoi(value) != 0;
  } else if (key == "weighted") {
    load.weighted = std::stoi(value) != 0;
  } else if (key == "padded") {
    load.padded = std::stoi(value) != 0;
  } else if (key == "backward") {
    load.backward = std::stoi(value) != 0;
  } else if (key == "type") {
    load.type = parse_name(value, {dtype::f32, dtype::f16, dtype::bf16});
  } else if (key == "ids") {
    load.ids = parse_name(value, {index_type::i32, index_type::i64});
  } else if (key == "mode") {
    load.mode = parse_name(value, {pooling_mode::sum, pooling_mode::mean, pooling_mode::max});
  } else {
    throw std::invalid_argument("unknown key: " + key);
  }
}

/// Inverse of the distribution function of density x^-alpha on [1, rows + 1).
class power_law {
 public:
  power_law(double alpha, std::int64_t rows)
      : alpha_(alpha), rows_(rows), top_(integral(static_cast<double>(rows + 1))) {}

  std::int64_t operator()(std::mt19937_64& random) const {
    if (alpha_ < 0) return 0;
    const double u = std::uniform_real_distribution<double>()(random);
    const double x = alpha_ == 1.0 ? std::exp(u * top_)
                                   : std::pow(u * top_ * (1 - alpha_) + 1, 1 / (1 - alpha_));
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(x) - 1, 0, rows_ - 1);
  }

 private:
  double integral(double x) const {
    return alpha_ == 1.0 ? std::log(x) : (std::pow(x, 1 - alpha_) - 1) / (1 - alpha_);
  }

  double alpha_;
  std::int64_t rows_;
  double top_;
};

}  // namespace

std::int64_t workload::at(const std::vector<std::int64_t>& numbers, std::int64_t table) const {
  return numbers[std::min(static_cast<std::size_t>(table), numbers.size() - 1)];
}

workload parse_workload(const std::vector<std::string>& arguments) {
  workload load;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) throw std::invalid_argument("not key=value: " + argument);
    parse_argument(load, argument.substr(0, equals), argument.substr(equals + 1));
  }
  return load;
}

drawn_bags draw_bags(const workload& load, std::int64_t table) {
  constexpr int tries = 64;  // to find an id that the bag does not have
  std::mt19937_64 random(static_cast<std::uint64_t>(table) + 1);
  const std::int64_t hotness = load.at(load.hotness, table);
  const power_law law(load.alpha, load.at(load.rows, table));
  std::uniform_int_distribution<std::int64_t> length(0, 2 * hotness);
  drawn_bags drawn;
  drawn.offsets.push_back(0);
  for (std::int64_t bag = 0; bag < load.batch; ++bag) {
    const auto begin = static_cast<std::ptrdiff_t>(drawn.ids.size());
    for (std::int64_t left = load.csr ? length(random) : hotness; left > 0; --left) {
      std::int64_t id = law(random);
      const auto is_there = [&] {
        return std::find(drawn.ids.begin() + begin, drawn.ids.end(), id) != drawn.ids.end();
      };
      for (int i = 0; i < tries && load.alpha >= 0 && is_there(); ++i) id = law(random);
      drawn.ids.push_back(id);
    }
    drawn.offsets.push_back(static_cast<std::int64_t>(drawn.ids.size()));
  }
  return drawn;
}

void add_floors(const workload& load, std::int64_t table, const drawn_bags& drawn, floors& sum) {
  std::unordered_map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t id : drawn.ids) sum.hottest = std::max(sum.hottest, ++counts[id]);
  const auto lookups = static_cast<std::int64_t>(drawn.ids.size());
  const auto unique = static_cast<std::int64_t>(counts.size());
  const auto id_bytes = static_cast<std::int64_t>(size_of(load.ids));
  const std::int64_t dim = load.at(load.dim, table);
  const std::int64_t row_bytes = dim * static_cast<std::int64_t>(size_of(load.type));
  const std::int64_t output_bytes = load.batch * dim * 4;
  sum.lookups += lookups;
  sum.unique_rows += unique;
  sum.bags += load.batch;
  sum.forward_read_bytes += unique * row_bytes + lookups * id_bytes +
                            (load.csr ? (load.batch + 1) * id_bytes : 0) +
                            (load.weighted ? lookups * 4 : 0);
  sum.forward_write_bytes += output_bytes;
  sum.backward_read_bytes += output_bytes + unique * (row_bytes + 4);
  sum.backward_write_bytes += unique * (row_bytes + 4);
}

}  // namespace warpbag::simulated
