// SPDX-License-Identifier: Apache-2.0
#include "bench/measured_step.hpp"

#include <algorithm>

#include "collection/device_buffer.hpp"
#include "collection/step.hpp"
#include "collection/table_memory.hpp"

namespace warpbag::bench {

namespace {

using collection::device_buffer;

/// Rows of the output and of its gradient.
std::int64_t output_rows(const workload& workload, const drawn_feature& feature) {
  return workload.pooling == pooling_mode::none ? std::ssize(feature.ids) : workload.batch;
}

std::vector<std::int32_t> narrowed(const std::vector<std::int64_t>& indices) {
  return {indices.begin(), indices.end()};
}

}  // namespace

std::string_view to_string(measured_call call) {
  switch (call) {
    case measured_call::forward: return "forward";
    case measured_call::deduplicate: return "deduplicate";
    case measured_call::backward_sparse: return "backward_sparse";
    case measured_call::backward_fused: return "backward_fused";
    case measured_call::train_step: return "train_step";
  }
  return "unknown";
}

class measured_step::implementation {
 public:
  implementation(const workload& workload, const resources& resources)
      : workload_(workload),
        step_(resources, workload.bad_share > 0.0 ? bad_id_policy::skip : bad_id_policy::error) {
    const drawn_batch batch = draw_batch(workload);
    statistics_ = count(workload, batch);
    steps_ = device_buffer(step_.access(), workload.tables.size() * sizeof(step_state));
    for (std::size_t t = 0; t < workload.tables.size(); ++t) {
      add_table(t);
      add_feature(t, batch.features[t]);
    }
    std::vector<step_state> states(tables_.size());
    for (step_state& state : states) state.learning_rate = workload.optimizer.learning_rate;
    step_.access().write_steps(steps_.as<step_state>(), states);
    step_.reserve(tables_, features_);
    collection::make_records(tables_, features_, {}, records_);
  }

  void prepare(measured_call call) {
    if (call == measured_call::backward_sparse) make_sparse_gradients();
    if (call != measured_call::forward && call != measured_call::train_step) forward();
  }
  void forward() { step_.forward(tables_, features_, outputs_); }
  void deduplicate() { step_.backend().deduplicate(records_.problem(step_.policy())); }
  void backward_sparse() {
    step_.backward(tables_, features_, gradients_, std::span<const sparse_gradient>(sparse_), {});
  }
  void backward_fused() {
    step_.backward(tables_, features_, gradients_, collection::fused_target{}, {});
  }
  void check() { step_.check(); }

  const batch_statistics& statistics() const { return statistics_; }

  memory_use memory() const {
    double allocated = 0.0;
    for (const device_buffer& buffer : buffers_) allocated += static_cast<double>(buffer.bytes());
    const double tables = table_bytes(workload_);
    return {tables, allocated - tables, static_cast<double>(step_.bytes())};
  }

  operations::moved_bytes bytes(measured_call call) const {
    const auto form = call == measured_call::backward_sparse ? operations::gradient_form::sparse
                                                             : operations::gradient_form::fused;
    collection::call_records records = records_;
    for (operations::table_record& table : records.tables) {
      table.gradient.form = form;
      table.gradient.value_type = workload_.type;
    }
    records.output_type = records.gradient_type = workload_.type;
    const operations::problem problem = records.problem(step_.policy());
    const std::span<const std::int64_t> rows = statistics_.distinct_rows;
    const operations::moved_bytes pooled = operations::pool_bytes(problem, rows);
    const operations::moved_bytes sorted = operations::deduplicate_bytes(problem, rows);
    const operations::moved_bytes reduced = operations::reduce_gradients_bytes(problem, rows);
    switch (call) {
      case measured_call::forward: return pooled;
      case measured_call::deduplicate: return sorted;
      case measured_call::backward_sparse:
      case measured_call::backward_fused: return sorted + reduced;
      case measured_call::train_step: break;
    }
    return pooled + sorted + reduced;
  }

 private:
  void* allocate(std::size_t bytes) {
    buffers_.emplace_back(step_.access(), bytes);
    return buffers_.back().data();
  }
  template <typename Element>
  Element* upload(const std::vector<Element>& values) {
    if (values.empty()) return nullptr;
    const std::size_t bytes = values.size() * sizeof(Element);
    auto* const memory = static_cast<Element*>(allocate(bytes));
    step_.access().write(memory, values.data(), bytes);
    return memory;
  }
  index_view upload_indices(const std::vector<std::int64_t>& indices) {
    const std::int64_t size = std::ssize(indices);
    if (workload_.ids == index_type::i64) return {upload(indices), size};
    return {upload(narrowed(indices)), size};
  }
  tensor_view allocate_rows(std::int64_t rows, std::int64_t dim) {
    const std::size_t bytes =
        static_cast<std::size_t>(rows) * static_cast<std::size_t>(dim) * size_of(workload_.type);
    return {allocate(bytes), workload_.type, rows, dim};
  }
  /// Uniform in (-scale, scale), from a stream of random numbers of its own.
  void fill(const tensor_view& view, std::uint32_t stream, float scale) {
    operations::table_record record = collection::record_of({.weight = view});
    record.seed = workload_.seed;
    record.rng_table = stream;
    step_.backend().initialize_rows(record, numerics::init_kind::uniform, scale);
  }

  void add_table(std::size_t t) {
    const workload_table& table = workload_.tables[t];
    table_view view = {.weight = allocate_rows(table.rows, table.dim),
                       .scale_grad_by_freq = workload_.scale_grad_by_freq,
                       .optimizer = workload_.optimizer};
    if (workload_.all_padding) view.padding_idx = 0;
    view.rng_table = static_cast<std::uint32_t>(t);
    fill(view.weight, view.rng_table, 0.1F);
    for (const int index : {0, 1}) {
      const state_shape shape = optimizer_state_shape(view.optimizer, index);
      if (shape == state_shape::absent) continue;
      const std::int64_t count = table.rows * (shape == state_shape::per_row ? 1 : table.dim);
      view.state[index] =
          static_cast<float*>(allocate(static_cast<std::size_t>(count) * sizeof(float)));
      step_.backend().fill(view.state[index], count,
                           collection::first_state_value(view.optimizer, index));
    }
    view.step = steps_.as<step_state>() + t;
    tables_.push_back(view);
  }

  void add_feature(std::size_t t, const drawn_feature& drawn) {
    const workload_table& table = workload_.tables[t];
    const index_view ids = upload_indices(drawn.ids);
    const float* const weights = upload(drawn.weights);
    const jagged_view bags =
        drawn.offsets.empty() ? jagged_view::fixed(ids, workload_.batch, table.hotness, weights)
                              : jagged_view::csr(ids, upload_indices(drawn.offsets), true, weights);
    features_.push_back({static_cast<std::int32_t>(t), workload_.pooling, bags});
    const std::int64_t rows = output_rows(workload_, drawn);
    outputs_.push_back(allocate_rows(rows, table.dim));
    const tensor_view gradient = allocate_rows(rows, table.dim);
    fill(gradient, static_cast<std::uint32_t>(workload_.tables.size() + t), 1e-3F);
    gradients_.emplace_back(gradient);
  }

  /// Where backward_sparse writes; made when it is asked for.
  void make_sparse_gradients() {
    for (std::size_t t = sparse_.size(); t < tables_.size(); ++t) {
      const tensor_view& weight = tables_[t].weight;
      const std::int64_t capacity =
          std::max<std::int64_t>(1, std::min(weight.rows, features_[t].bags.ids.size));
      sparse_.push_back({static_cast<std::int64_t*>(
                             allocate(static_cast<std::size_t>(capacity) * sizeof(std::int64_t))),
                         allocate_rows(capacity, weight.dim),
                         static_cast<std::int64_t*>(allocate(sizeof(std::int64_t)))});
    }
  }

  workload workload_;
  collection::step step_;
  batch_statistics statistics_;
  std::vector<device_buffer> buffers_;
  device_buffer steps_;
  std::vector<table_view> tables_;
  std::vector<feature_view> features_;
  std::vector<tensor_view> outputs_;
  std::vector<const_tensor_view> gradients_;
  std::vector<sparse_gradient> sparse_;
  collection::call_records records_;
};

measured_step::measured_step(const workload& workload, const resources& resources)
    : implementation_(std::make_unique<implementation>(workload, resources)) {}
measured_step::~measured_step() = default;

void measured_step::prepare(measured_call call) { implementation_->prepare(call); }

void measured_step::run(measured_call call) {
  switch (call) {
    case measured_call::forward: return implementation_->forward();
    case measured_call::deduplicate: return implementation_->deduplicate();
    case measured_call::backward_sparse: return implementation_->backward_sparse();
    case measured_call::backward_fused: return implementation_->backward_fused();
    case measured_call::train_step:
      implementation_->forward();
      return implementation_->backward_fused();
  }
}

void measured_step::check() { implementation_->check(); }
const batch_statistics& measured_step::statistics() const { return implementation_->statistics(); }
memory_use measured_step::memory() const { return implementation_->memory(); }
operations::moved_bytes measured_step::bytes(measured_call call) const {
  return implementation_->bytes(call);
}

}  // namespace warpbag::bench
