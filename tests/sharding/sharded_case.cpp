// SPDX-License-Identifier: Apache-2.0
#include "sharding/sharded_case.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <numeric>
#include <ostream>
#include <sstream>
#include <thread>

#include "sharding/gradient_forms.hpp"
#include "sharding/stored_values.hpp"

namespace warpbag::support {

namespace {

std::int64_t sum(const std::vector<std::int64_t>& values, std::int64_t first, std::int64_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, std::int64_t{0});
}

template <typename Collection>
std::vector<float> host_matrix(Collection& collection, const tensor_view& view) {
  if (view.data == nullptr || view.rows == 0) return {};
  const std::size_t count =
      static_cast<std::size_t>(view.rows) * static_cast<std::size_t>(view.dim);
  std::vector<std::byte> bytes;
  bytes.resize(count * size_of(view.type));
  collection.copy_to_host(view, bytes.data());
  return widened(bytes, view.type);
}

std::vector<std::int64_t> total_sizes(const sharded_case& drawn, std::size_t step) {
  std::vector<std::int64_t> totals;
  for (const auto& sizes : drawn.sizes[step]) {
    totals.push_back(sum(sizes, 0, static_cast<std::int64_t>(sizes.size())));
  }
  return totals;
}

constexpr float pattern = -12345.0F;

/// [table][row, column], of steps that show no gradients or not those of all rows.
std::vector<std::vector<float>> no_gradients(const sharded_case& drawn) {
  std::vector<std::vector<float>> of_tables;
  for (const table_config& table : drawn.tables) {
    const std::int64_t elements = table.num_embeddings * table.embedding_dim;
    of_tables.emplace_back(static_cast<std::size_t>(elements), pattern);
  }
  return of_tables;
}

/// Puts the gradients of rows for which counts(part, id) holds where the whole tables have them.
template <typename Counts>
void add_gradients(const sharded_case& drawn, const std::vector<gradient_part>& parts,
                   const std::vector<part_gradient>& seen, Counts counts,
                   std::vector<std::vector<float>>& to) {
  for (std::size_t p = 0; p < seen.size(); ++p) {
    const gradient_part& part = parts[p];
    const std::int64_t dim = drawn.tables[part.table].embedding_dim;
    auto from = seen[p].values.begin();
    for (const std::int64_t id : seen[p].ids) {
      if (counts(p, id)) {
        std::copy_n(from, part.num_columns, to[part.table].begin() + id * dim + part.first_column);
      }
      from += part.num_columns;
    }
  }
}

}  // namespace

const table_config& table_of(const sharded_case& drawn, std::size_t feature) {
  for (const table_config& table : drawn.tables) {
    if (table.name == drawn.features[feature].table) return table;
  }
  throw std::logic_error("a feature without a table");
}

run_results train_on_one_device(test_device& device, const sharded_case& drawn,
                                embedding_bag_collection& collection) {
  run_results results;
  for (std::size_t step = 0; step < drawn.batches.size(); ++step) {
    const std::vector<std::int64_t> first(drawn.features.size(), 0);
    placed_batch batch(device, drawn, step, first, total_sizes(drawn, step));
    collection.forward(batch.bags, batch.outputs);
    const bool fused = drawn.training[step] == training_form::fused;
    caller_gradients gradients(
        device, fused ? std::vector<gradient_part>() : parts_of(collection, batch.bags),
        drawn.value_types[step]);
    auto& seen = results.gradients.emplace_back(no_gradients(drawn));  // rows without one stay so
    add_gradients(
        drawn, gradients.parts(), train_by(drawn.training[step], collection, batch, gradients),
        [](std::size_t, std::int64_t) { return true; }, seen);
    auto& of_step = results.outputs.emplace_back();
    for (std::size_t f = 0; f < drawn.features.size(); ++f) of_step.push_back(batch.results(f));
  }
  collection.check();
  return results;
}

run_results run_on_one_device(test_device& device, const sharded_case& drawn) {
  embedding_bag_collection collection(drawn.tables, drawn.features, device.get_resources(),
                                      drawn.options);
  run_results results = train_on_one_device(device, drawn, collection);
  for (std::size_t t = 0; t < drawn.tables.size(); ++t) {
    table_contents& table = results.tables.emplace_back();
    table.weight = host_matrix(collection, collection.weight(t));
    for (int i = 0; i < 2; ++i) table.state[i] = host_matrix(collection, collection.state(t, i));
    table.step = collection.step_of(t);
  }
  return results;
}

caller_gradients make_gradients(test_device& device, const sharded_case& drawn, std::int64_t step,
                                const sharded_embedding_bag_collection& collection) {
  const auto s = static_cast<std::size_t>(step);
  const bool fused = drawn.training[s] == training_form::fused;
  return {device, fused ? std::vector<gradient_part>() : parts_of(collection),
          drawn.value_types[s]};
}

rank_run::rank_run(test_device& device, const sharded_case& drawn, std::shared_ptr<transport> ranks)
    : device_(device),
      case_(drawn),
      rank_(ranks->rank()),
      collection_(drawn.tables, drawn.features, drawn.plan, ranks, device.get_resources(),
                  drawn.options),
      batches_(drawn.batches.size()),
      gradients_(drawn.batches.size()) {}

placed_batch& rank_run::batch(std::int64_t step) {
  const auto s = static_cast<std::size_t>(step);
  if (batches_[s] == nullptr) {
    std::vector<std::int64_t> first;
    std::vector<std::int64_t> last;
    for (const auto& sizes : case_.sizes[s]) {
      first.push_back(sum(sizes, 0, rank_));
      last.push_back(sum(sizes, 0, rank_ + 1));
    }
    batches_[s] = std::make_unique<placed_batch>(device_, case_, s, first, last);
  }
  return *batches_[s];
}

void rank_run::run(std::int64_t first_step, std::int64_t last_step, bool prefetch) {
  for (std::int64_t step = first_step; step < last_step; ++step) {
    forward(step);
    if (prefetch && step + 1 < last_step) this->prefetch(step + 1);
    backward(step);
  }
}

void rank_run::forward(std::int64_t step) {
  placed_batch& now = batch(step);
  collection_.forward(now.bags, now.outputs);
}

void rank_run::backward(std::int64_t step) {
  const auto s = static_cast<std::size_t>(step);
  caller_gradients gradients = make_gradients(device_, case_, step, collection_);
  gradients_[s] = train_by(case_.training[s], collection_, batch(step), gradients);
  if (!gradients.parts().empty()) parts_ = gradients.parts();
}

bool rank_run::counts(std::size_t shard, std::int64_t id) const {
  const table_shard& part = collection_.shard(shard);
  if (part.is_replica) return rank_ == 0;
  const auto& replicated = case_.plan.tables[part.table].replicated_rows;
  return !std::binary_search(replicated.begin(), replicated.end(), id);
}

void rank_run::collect(run_results& results) {
  for (std::size_t step = 0; step < batches_.size(); ++step) {
    if (batches_[step] == nullptr) continue;
    for (std::size_t f = 0; f < case_.features.size(); ++f) {
      // In the global results outputs of all ranks come first, then all gradients of weights.
      const std::vector<float> mine = batches_[step]->results(f);
      const auto outputs =
          static_cast<std::int64_t>(mine.size()) -
          (batches_[step]->weight_gradients[f] == nullptr ? 0 : batches_[step]->bags[f].ids.size);
      const auto& sizes = case_.sizes[step][f];
      const auto& lengths = case_.batches[step][f].lengths;
      const std::int64_t sample = sum(sizes, 0, rank_);
      const std::int64_t lookup = sum(lengths, 0, sample);
      const std::int64_t dim = table_of(case_, f).embedding_dim;
      const bool per_lookup = case_.features[f].mode == pooling_mode::none;
      const auto all = static_cast<std::int64_t>(lengths.size());
      const std::int64_t all_rows = per_lookup ? sum(lengths, 0, all) : all;
      std::vector<float>& global = results.outputs[step][f];
      std::copy(mine.begin(), mine.begin() + outputs,
                global.begin() + (per_lookup ? lookup : sample) * dim);
      std::copy(mine.begin() + outputs, mine.end(), global.begin() + all_rows * dim + lookup);
    }
  }
  for (std::size_t step = 0; step < gradients_.size(); ++step) {
    add_gradients(
        case_, parts_, gradients_[step],
        [this](std::size_t s, std::int64_t id) { return counts(s, id); }, results.gradients[step]);
  }
  for (std::size_t s = 0; s < collection_.num_shards(); ++s) {
    const table_shard& shard = collection_.shard(s);
    table_contents& table = results.tables[shard.table];
    const std::int64_t dim = case_.tables[shard.table].embedding_dim;
    const auto place = [&](const tensor_view& view, std::vector<float>& global,
                           std::int64_t width) {
      const std::vector<float> values = host_matrix(collection_, view);
      for (std::int64_t row = 0; row < view.rows; ++row) {
        const std::int64_t id = collection_.row_id(s, row);
        if (!counts(s, id)) continue;
        const std::int64_t column = width == 1 ? 0 : shard.first_column;
        std::copy_n(values.begin() + row * view.dim, view.dim,
                    global.begin() + id * width + column);
      }
    };
    place(collection_.weight(s), table.weight, dim);
    for (int i = 0; i < 2; ++i) {
      const tensor_view state = collection_.state(s, i);
      if (state.data == nullptr) continue;
      const bool per_row = table.state[i].size() ==
                           static_cast<std::size_t>(case_.tables[shard.table].num_embeddings);
      place(state, table.state[i], per_row ? 1 : dim);
    }
  }
  if (rank_ == 0) {
    for (std::size_t t = 0; t < case_.tables.size(); ++t) {
      results.tables[t].step = collection_.step_of(t);
    }
  }
}

run_results make_results(const sharded_case& drawn) {
  run_results results;
  for (std::size_t step = 0; step < drawn.batches.size(); ++step) {
    results.gradients.push_back(no_gradients(drawn));
    auto& outputs = results.outputs.emplace_back();
    for (std::size_t f = 0; f < drawn.features.size(); ++f) {
      const auto& lengths = drawn.batches[step][f].lengths;
      const auto bags = static_cast<std::int64_t>(lengths.size());
      const std::int64_t lookups = sum(lengths, 0, bags);
      const pooling_mode mode = drawn.features[f].mode;
      const std::int64_t rows = mode == pooling_mode::none ? lookups : bags;
      const bool weights = mode == pooling_mode::sum || mode == pooling_mode::mean;
      const std::int64_t size = rows * table_of(drawn, f).embedding_dim + (weights ? lookups : 0);
      outputs.emplace_back(static_cast<std::size_t>(size), pattern);
    }
  }
  for (const table_config& config : drawn.tables) {
    table_contents& table = results.tables.emplace_back();
    const std::int64_t elements = config.num_embeddings * config.embedding_dim;
    table.weight.assign(static_cast<std::size_t>(elements), pattern);
    for (int i = 0; i < 2; ++i) {
      const state_shape shape =
          config.freeze ? state_shape::absent : optimizer_state_shape(config.optimizer, i);
      const std::int64_t size = shape == state_shape::absent    ? 0
                                : shape == state_shape::per_row ? config.num_embeddings
                                                                : elements;
      table.state[i].assign(static_cast<std::size_t>(size), pattern);
    }
  }
  return results;
}

namespace {

std::string first_difference(const std::string& name, const std::vector<float>& expected,
                             const std::vector<float>& actual) {
  std::ostringstream text;
  if (expected.size() != actual.size()) {
    text << name << ": " << actual.size() << " values instead of " << expected.size() << '\n';
    return text.str();
  }
  std::size_t different = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool same =
        std::bit_cast<std::uint32_t>(expected[i]) == std::bit_cast<std::uint32_t>(actual[i]) ||
        (std::isnan(expected[i]) && std::isnan(actual[i]));
    if (same) continue;
    if (different++ == 0) {
      text << name << '[' << i << "] = " << actual[i] << " instead of " << expected[i];
    }
  }
  if (different > 0) text << " (" << different << " of " << expected.size() << ")\n";
  return text.str();
}

}  // namespace

std::string difference(const run_results& expected, const run_results& actual) {
  std::string text;
  for (std::size_t step = 0; step < expected.outputs.size(); ++step) {
    for (std::size_t f = 0; f < expected.outputs[step].size(); ++f) {
      text += first_difference(
          "step " + std::to_string(step) + ", output of feature " + std::to_string(f),
          expected.outputs[step][f], actual.outputs[step][f]);
    }
  }
  for (std::size_t step = 0; step < expected.gradients.size(); ++step) {
    for (std::size_t t = 0; t < expected.gradients[step].size(); ++t) {
      text += first_difference(
          "step " + std::to_string(step) + ", gradient of table " + std::to_string(t),
          expected.gradients[step][t], actual.gradients[step][t]);
    }
  }
  for (std::size_t t = 0; t < expected.tables.size(); ++t) {
    const std::string name = "table " + std::to_string(t);
    const table_contents& a = expected.tables[t];
    const table_contents& b = actual.tables[t];
    text += first_difference(name + ": weight", a.weight, b.weight);
    for (int i = 0; i < 2; ++i) {
      text += first_difference(name + ": state " + std::to_string(i), a.state[i], b.state[i]);
    }
    if (a.step.step != b.step.step || a.step.beta1_power != b.step.beta1_power ||
        a.step.beta2_power != b.step.beta2_power || a.step.learning_rate != b.step.learning_rate) {
      text += name + ": step state differs\n";
    }
  }
  return text;
}

void for_each_rank(int num_ranks, const std::function<void(int)>& body) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(num_ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(rank);
      } catch (...) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace warpbag::support
