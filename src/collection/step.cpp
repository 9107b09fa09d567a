// SPDX-License-Identifier: Apache-2.0
#include "collection/step.hpp"

#include <algorithm>
#include <sstream>

#include "collection/overlap.hpp"
#include "collection/refuse.hpp"

namespace warpbag::collection {

namespace {

using operations::gradient_form;
using operations::problem;
using operations::problem_limits;

bool renormalizes(const call_records& records) {
  return std::any_of(records.tables.begin(), records.tables.end(),
                     [](const auto& table) { return table.renormalize; });
}

bool trains(const call_records& records, gradient_form form) {
  return std::any_of(records.tables.begin(), records.tables.end(),
                     [&](const auto& table) { return table.gradient.form == form; });
}

}  // namespace

step::step(const resources& resources, bad_id_policy policy)
    : resources_(completed(resources)), policy_(policy) {
  check_policy(policy);
  access_ = operations::make_device_access(resources_);
  backend_ = operations::make_backend(resources_);
}

void step::reserve(std::span<const table_view> tables, std::span<const feature_view> features) {
  make_records(tables, features, names_, call_);
  reserve(call_);
}

void step::reserve(const call_records& records) {
  const auto bytes = static_cast<std::size_t>(records.max_positions_size) * sizeof(std::int32_t);
  const problem_limits limits = records.limits();
  const bool more_positions = bytes > max_positions_.bytes();
  if (!more_positions && within(limits, limits_)) return;
  device_buffer grown(*access_, more_positions ? bytes : 0);
  const problem_limits wider = united(limits, limits_);
  backend_->reserve(wider);
  limits_ = wider;
  if (more_positions) max_positions_ = std::move(grown);
  batch_ = batch_state::none;  // what the last forward left in the old memory is gone
}

void step::place_max_positions(call_records& records) const {
  auto* next = max_positions_.as<std::int32_t>();
  for (auto& feature : records.features) {
    if (feature.mode != pooling_mode::max) continue;
    feature.max_positions = next;
    next += feature.num_bags * records.tables[static_cast<std::size_t>(feature.table)].dim;
  }
}

void step::forward(std::span<const table_view> tables, std::span<const feature_view> features,
                   std::span<const tensor_view> outputs) {
  make_records(tables, features, names_, call_);
  set_outputs(outputs, names_, call_);
  check_overlaps(call_, call_phase::forward, names_);
  reserve(call_);
  place_max_positions(call_);
  batch_ = batch_state::none;
  const problem problem = call_.problem(policy_);
  if (!tables.empty()) {
    check_inputs(problem);
    if (renormalizes(call_)) {
      backend_->deduplicate(problem);
      backend_->renormalize_rows(problem);
    }
    backend_->pool(problem);
  }
  std::swap(pooled_, call_);
  batch_ = batch_state::pooled;
}

void step::backward(std::span<const table_view> tables, std::span<const feature_view> features,
                    std::span<const const_tensor_view> output_gradients,
                    const gradient_target& target, std::span<float* const> weight_gradients) {
  if (batch_ == batch_state::none) {
    refuse("backward without a batch: it follows a forward that did not throw, of the same ",
           "workspace");
  }
  if (batch_ == batch_state::consumed) {
    refuse("backward after a fused backward of the same batch, which has changed the rows");
  }
  make_records(tables, features, names_, call_);
  check_same_batch(pooled_, call_, names_);
  set_output_gradients(output_gradients, names_, call_);
  set_weight_gradients(weight_gradients, names_, call_);
  set_target(target, tables, names_, call_);
  check_overlaps(call_, call_phase::backward, names_);
  place_max_positions(call_);

  if (tables.empty()) return;
  const problem problem = call_.problem(policy_);
  const bool fused = trains(call_, gradient_form::fused);
  const bool trained =
      fused || trains(call_, gradient_form::sparse) || trains(call_, gradient_form::dense);
  if (fused) batch_ = batch_state::consumed;
  const bool needs_runs = trained || call_.wants_weights_of_means();
  if (needs_runs && !renormalizes(call_)) backend_->deduplicate(problem);
  backend_->sample_weight_gradient(problem);
  if (fused) {
    backend_->advance_and_reduce(problem);
  } else if (trained) {
    backend_->reduce_gradients(problem);
  }
}

void step::apply_gradients(std::span<const table_view> tables,
                           std::span<const sparse_gradient> gradients) {
  make_records(tables, {}, names_, call_);
  set_applied(gradients, tables, is_host(resources_.where), names_, call_);
  check_overlaps(call_, call_phase::apply, names_);
  if (!trains(call_, gradient_form::sparse)) return;
  reserve(call_);
  backend_->update_rows(call_.problem(policy_));
  batch_ = batch_state::none;
}

void step::check_inputs(const problem& problem) {
  try {
    with_names([&] { backend_->check_inputs(problem); });
  } catch (const bad_batch&) {
    take_status();  // it is reported here, so check() shall not report it again
    throw;
  }
}

operations::input_status step::take_status() {
  const operations::input_status status = backend_->status();
  bad_ids_ += status.bad_ids;
  backend_->clear_status();
  return status;
}

template <typename Body>
void step::with_names(Body body) const {
  const auto named = [&](const bad_batch& fault) {
    std::ostringstream text;
    text << names_.feature(static_cast<std::size_t>(fault.where().feature)) << " of "
         << names_.table(static_cast<std::size_t>(fault.where().table)) << ": " << fault.what();
    return text.str();
  };
  try {
    body();
  } catch (const id_out_of_range& fault) {
    throw id_out_of_range(named(fault), fault.where());
  } catch (const bad_offsets& fault) {
    throw bad_offsets(named(fault), fault.where());
  }
}

void step::check() {
  const operations::input_status status = take_status();
  if (status.first_fault == operations::input_fault::none) return;
  const auto& feature = pooled_.features.at(static_cast<std::size_t>(status.where.feature));
  const std::int64_t limit =
      status.first_fault == operations::input_fault::id
          ? pooled_.tables.at(static_cast<std::size_t>(feature.table)).num_rows
          : feature.num_ids;
  with_names([&] { operations::throw_bad_batch(status.first_fault, status.where, limit); });
}

std::int64_t step::bad_ids() { return bad_ids_ + backend_->status().bad_ids; }

std::size_t step::bytes() const {
  const std::size_t backend_bytes = is_host(resources_.where)
                                        ? operations::cpu_workspace_bytes(limits_)
                                        : operations::cuda_workspace_bytes(limits_);
  return backend_bytes + max_positions_.bytes();
}

}  // namespace warpbag::collection
