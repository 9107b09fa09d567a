// SPDX-License-Identifier: Apache-2.0
#include "cuda/backend.hpp"

#include <algorithm>

#include "cuda/current_device.hpp"
#include "cuda/device_count.hpp"

namespace warpbag::cuda {

using operations::problem;

cuda_backend::cuda_backend(const resources& resources)
    : device_(resources.where), memory_(resources.memory) {
  require_device(device_.ordinal);
  if (resources.stream == nullptr || resources.stream == cudaStreamLegacy) {
    throw invalid_argument(
        "resources.stream is CUDA's legacy default stream, which hides missing dependencies: make "
        "one with cudaStreamCreateWithFlags(..., cudaStreamNonBlocking)");
  }
  const current_device here(device_.ordinal);
  if (memory_ == nullptr) memory_ = &default_memory_resource(device_);
  context_.stream = resources.stream;
  WARPBAG_CUDA_TRY(cudaDeviceGetAttribute(&context_.num_multiprocessors,
                                          cudaDevAttrMultiProcessorCount, device_.ordinal));
  status_ = device_allocation(*memory_, sizeof(kernels::device_status), context_.stream);
  context_.problem.status = reinterpret_cast<kernels::device_status*>(status_.data());
  cuda::clear_status(context_.stream, context_.problem.status, true);
}

void cuda_backend::reserve(const operations::problem_limits& limits) {
  const current_device here(device_.ordinal);
  const operations::problem_limits wanted = united(limits, context_.limits);
  const workspace_layout layout = make_workspace_layout(wanted);
  const bool grows = layout.bytes > layout_.bytes;
  device_allocation grown;
  if (grows) grown = device_allocation(*memory_, layout.bytes, context_.stream);
  std::byte* const base = (grows ? grown : workspace_).data();
  launch_context next = context_;
  next.limits = wanted;
  next.gradient_workspace = base + layout.gradient;
  next.long_bags = long_bags_of(next);
  uploaded_.clear();
  reset_deduplicate_scratch(next, base + layout.sort_scratch);
  reset_gradient_workspace(next);
  if (grows) workspace_ = std::move(grown);
  layout_ = layout;
  context_ = next;
}

unsigned long long cuda_backend::capture() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  unsigned long long id = 0;
  WARPBAG_CUDA_TRY(cudaStreamGetCaptureInfo(context_.stream, &status, &id));
  return status == cudaStreamCaptureStatusActive ? id : 0;
}

void cuda_backend::pack_records(const problem& problem) {
  packed_.resize(record_words(std::ssize(problem.tables), std::ssize(problem.features)));
  std::uint64_t* words = packed_.data();
  const auto on_device = [&] {
    return part<std::uint64_t>(layout_.records) + (words - packed_.data());
  };
  // First, for their alignment.
  for (std::size_t part = 0; part < num_pool_parts; ++part) {
    context_.pool_warps[part] =
        make_pool_records(problem, part, context_.num_multiprocessors, pool_records_);
    context_.num_pool_records[part] = static_cast<std::uint32_t>(pool_records_.size());
    context_.pool_records[part] = reinterpret_cast<const kernels::pool_record*>(on_device());
    words = append(words, std::span<const kernels::pool_record>(pool_records_));
  }
  kernels::device_problem& records = context_.problem;
  records.tables = reinterpret_cast<const operations::table_record*>(on_device());
  words = append(words, problem.tables);
  records.features = reinterpret_cast<const operations::feature_record*>(on_device());
  append(words, problem.features);
}

void cuda_backend::prepare(const problem& problem, record_source source) {
  if (!within(problem, context_.limits)) {
    throw invalid_argument("a batch is larger than the limits that were reserved");
  }
  pack_records(problem);
  kernels::device_problem& records = context_.problem;
  records.num_tables = static_cast<std::int32_t>(problem.tables.size());
  records.num_features = static_cast<std::int32_t>(problem.features.size());
  records.total_positions = problem.total_positions;
  records.total_bags = problem.total_bags;
  records.total_rows = problem.total_rows;
  records.bag_of_position = part<std::uint32_t>(layout_.bag_of_position);
  records.hot_lookups = part<std::uint32_t>(layout_.hot_lookups);
  records.scale_of_bag = part<float>(layout_.scale_of_bag);
  const unsigned long long now_in = capture();
  if (source == record_source::cached && now_in == uploaded_in_ && packed_ == uploaded_) return;
  uploaded_.clear();
  upload(context_.stream, packed_, part<std::uint64_t>(layout_.records),
         source == record_source::new_batch ? records.status : nullptr);
  std::swap(uploaded_, packed_);
  uploaded_in_ = now_in;
}

void cuda_backend::check_inputs(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::new_batch);
  kernels::hot_row_work hot = {};
  if (std::any_of(problem.features.begin(), problem.features.end(), [&](const auto& feature) {
        return kernels::may_share_rows(problem.tables[static_cast<std::size_t>(feature.table)],
                                       feature);
      })) {
    hot = {part<kernels::hot_filter>(layout_.hot_filters),
           part<std::uint32_t>(layout_.hot_lookups)};
    cuda::sample_rows(context_, problem, hot.filters);
  }
  cuda::check_inputs(context_, problem, part<std::uint32_t>(layout_.bag_of_position),
                     part<float>(layout_.scale_of_bag), hot);
}

void cuda_backend::deduplicate(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  context_.occurrences = cuda::deduplicate(
      context_, problem,
      {{part<std::byte>(layout_.keys[0]), part<std::byte>(layout_.keys[1])},
       {part<std::uint32_t>(layout_.positions[0]), part<std::uint32_t>(layout_.positions[1])},
       part<std::byte>(layout_.sort_scratch),
       part<std::int64_t>(layout_.rows),
       part<std::uint32_t>(layout_.run_begins),
       part<std::int32_t>(layout_.counts),
       part<std::uint32_t>(layout_.long_runs),
       part<std::uint32_t>(layout_.counts) + 1});
}

void cuda_backend::renormalize_rows(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  cuda::renormalize_rows(context_, problem);
}

void cuda_backend::pool(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  cuda::pool(context_, problem);
}

void cuda_backend::sample_weight_gradient(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  cuda::sample_weight_gradient(context_, problem);
}

void cuda_backend::advance_steps(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  cuda::advance_steps(context_, problem, operations::gradient_form::fused);
}

void cuda_backend::reduce(const problem& problem, step_advance advance) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::cached);
  if (gradients_half_done_) reset_gradient_workspace(context_);
  gradients_half_done_ = true;  // if it throws
  cuda::reduce_gradients(context_, problem, advance);
  gradients_half_done_ = false;
}

void cuda_backend::reduce_gradients(const problem& problem) { reduce(problem, step_advance::done); }

void cuda_backend::advance_and_reduce(const problem& problem) {
  reduce(problem, step_advance::wanted);
}

void cuda_backend::update_rows(const problem& problem) {
  const current_device here(device_.ordinal);
  prepare(problem, record_source::fresh);
  cuda::advance_steps(context_, problem, operations::gradient_form::sparse);
  cuda::update_rows(context_, problem);
}

void cuda_backend::initialize_rows(const operations::table_record& table, numerics::init_kind kind,
                                   float scale) {
  const current_device here(device_.ordinal);
  cuda::initialize_rows(context_, table, kind, scale);
}

void cuda_backend::fill(float* memory, std::int64_t count, float value) {
  const current_device here(device_.ordinal);
  cuda::fill(context_, memory, count, value);
}

void cuda_backend::clear_status() {
  const current_device here(device_.ordinal);
  cuda::clear_status(context_.stream, context_.problem.status, false);
}

template <typename Value>
std::vector<Value> cuda_backend::copied(const Value* source, std::size_t count) const {
  std::vector<Value> values(count);
  WARPBAG_CUDA_TRY(cudaMemcpyAsync(values.data(), source, count * sizeof(Value),
                                   cudaMemcpyDeviceToHost, context_.stream));
  WARPBAG_CUDA_TRY(cudaStreamSynchronize(context_.stream));
  return values;
}

operations::input_status cuda_backend::status() {
  const current_device here(device_.ordinal);
  const kernels::device_status found = copied(context_.problem.status, 1).front();
  operations::input_status status;
  status.bad_ids = static_cast<std::int64_t>(found.bad_ids);
  if (found.first_fault == kernels::no_fault) return status;
  const kernels::unpacked_fault fault = kernels::unpack_fault(found.first_fault);
  status.first_fault = fault.is_id ? operations::input_fault::id : operations::input_fault::offset;
  status.where = {fault.feature, static_cast<std::int32_t>(found.fault_table), found.fault_bag,
                  fault.is_id ? fault.index : -1, found.fault_value};
  return status;
}

operations::occurrences cuda_backend::copy_occurrences(const problem&) {
  const current_device here(device_.ordinal);
  const kernels::device_occurrences& made = context_.occurrences;
  if (made.num_runs == nullptr) return {{}, {0}, {}};
  const auto num_runs = static_cast<std::size_t>(copied(made.num_runs, 1).front());
  const std::vector<std::uint32_t> begins = copied(made.run_begins, num_runs + 1);
  const std::vector<std::uint32_t> positions = copied(made.positions, begins.back());
  operations::occurrences copy;
  if (num_runs > 0) copy.rows = copied(made.rows, num_runs);
  copy.run_begins.assign(begins.begin(), begins.end());
  copy.positions.assign(positions.begin(), positions.end());
  return copy;
}

}  // namespace warpbag::cuda

namespace warpbag::operations {

std::unique_ptr<backend> make_cuda_backend(const resources& resources) {
  return std::make_unique<cuda::cuda_backend>(resources);
}

}  // namespace warpbag::operations
