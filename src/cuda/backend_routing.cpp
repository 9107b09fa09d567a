// SPDX-License-Identifier: Apache-2.0
// The operations between ranks: their records go to the device beside those of the problem.

#include "cuda/backend.hpp"
#include "cuda/current_device.hpp"

namespace warpbag::cuda {

using operations::packed_record;
using operations::problem;
using operations::route_record;
using operations::subtree_record;

void cuda_backend::require_routed() const {
  if (!context_.limits.routed) {
    throw invalid_argument("operations between ranks need limits reserved with `routed`");
  }
}

void cuda_backend::route(const problem& problem, std::span<const route_record> tables,
                         const operations::routed_rows& to) {
  const current_device here(device_.ordinal);
  require_routed();
  prepare(problem, record_source::cached);
  routing_.resize(routing_record_words(std::ssize(problem.tables), std::ssize(problem.features)));
  std::uint64_t* const destinations = append(routing_.data(), tables);
  std::uint64_t num_destinations = 0;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    destinations[t] = num_destinations;
    num_destinations += static_cast<std::uint64_t>(tables[t].num_destinations());
  }
  destinations[tables.size()] = num_destinations;
  std::uint64_t* const compact_ids = destinations + tables.size() + 1;
  const std::uint64_t* const end =
      append(compact_ids, std::span(to.compact_ids, problem.features.size()));
  auto* const on_device = part<std::uint64_t>(layout_.routing_records);
  upload(context_.stream, {routing_.data(), end}, on_device);

  const auto placed = [&](const std::uint64_t* words) {
    return on_device + (words - routing_.data());
  };
  auto* const free_positions = part<std::uint32_t>(context_.occurrences.positions ==
                                                           part<std::uint32_t>(layout_.positions[0])
                                                       ? layout_.positions[1]
                                                       : layout_.positions[0]);
  cuda::route(
      context_, problem,
      {context_.problem, context_.occurrences, reinterpret_cast<const route_record*>(on_device),
       reinterpret_cast<const std::int64_t*>(placed(destinations)),
       reinterpret_cast<void* const*>(placed(compact_ids)), part<std::int64_t>(layout_.first_run),
       part<std::int64_t>(layout_.routed_row), to.rows, to.counts},
      static_cast<std::int64_t>(num_destinations),
      {{part<std::uint32_t>(layout_.keys[0]), part<std::uint32_t>(layout_.keys[1])},
       {free_positions, part<std::uint32_t>(layout_.routed_runs)},
       part<std::byte>(layout_.sort_scratch)});
}

void cuda_backend::split_by_subtree(const problem& problem,
                                    std::span<const subtree_record> features) {
  const current_device here(device_.ordinal);
  require_routed();
  prepare(problem, record_source::cached);
  routing_.resize(features.size_bytes() / sizeof(std::uint64_t));
  append(routing_.data(), features);
  auto* const on_device = part<std::uint64_t>(layout_.routing_records);
  upload(context_.stream, routing_, on_device);
  cuda::split_by_subtree(context_, problem, reinterpret_cast<const subtree_record*>(on_device));
}

void cuda_backend::pack_partials(const problem& problem, std::span<const packed_record> features) {
  const current_device here(device_.ordinal);
  require_routed();
  prepare(problem, record_source::cached);
  constexpr std::size_t words = sizeof(packed_record) / sizeof(std::uint64_t);
  routing_.assign(problem.tables.size() * words, 0);
  for (std::size_t f = 0; f < features.size(); ++f) {
    const auto table = static_cast<std::size_t>(problem.features[f].table);
    append(routing_.data() + table * words, features.subspan(f, 1));
  }
  auto* const on_device = part<std::uint64_t>(layout_.routing_records);
  upload(context_.stream, routing_, on_device);
  cuda::pack_partials(context_, problem, reinterpret_cast<const packed_record*>(on_device));
}

void cuda_backend::add_row_lanes(const problem& problem, operations::row_reduction which) {
  const current_device here(device_.ordinal);
  const bool in_step = which == operations::row_reduction::max_norm;
  prepare(problem, in_step ? record_source::cached : record_source::fresh);
  cuda::add_row_lanes(context_, problem, which);
}

void cuda_backend::unpack_partials(std::int64_t count, const std::int64_t* packed,
                                   const std::uint32_t* occurrences, std::int64_t* rows,
                                   operations::partial_record* partials) {
  const current_device here(device_.ordinal);
  cuda::unpack_partials(context_, count, packed, occurrences, rows, partials);
}

void cuda_backend::write_rows(const operations::table_record& table, const std::int64_t* rows,
                              std::int64_t count, const void* values) {
  const current_device here(device_.ordinal);
  cuda::write_rows(context_, table, rows, count, values);
}

}  // namespace warpbag::cuda
