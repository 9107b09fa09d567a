// SPDX-License-Identifier: Apache-2.0
#include "sharding/rank_calls.hpp"

#include <algorithm>
#include <sstream>

#include "numerics/row_routing.hpp"

namespace warpbag::sharding {

namespace {

using operations::input_fault;
using ranks::call_header;

std::string_view name_of_operation(std::uint32_t operation) {
  switch (static_cast<rank_operation>(operation)) {
    case rank_operation::forward: return "forward";
    case rank_operation::backward: return "backward";
    case rank_operation::backward_sparse: return "backward_sparse";
    case rank_operation::backward_dense: return "backward_dense";
    case rank_operation::gradients: return "gradients";
    case rank_operation::apply_gradients: return "apply_gradients";
    case rank_operation::checkpoint: return "checkpoint";
  }
  return "unknown";
}

constexpr std::uint32_t bad_id_fault = 1;
constexpr std::uint32_t bad_offset_fault = 2;
constexpr std::uint32_t other_fault = 3;

std::uint32_t number_of(const rank_fault& fault) {
  if (fault.other != nullptr) return other_fault;
  switch (fault.bad_input) {
    case input_fault::id: return bad_id_fault;
    case input_fault::offset: return bad_offset_fault;
    case input_fault::none: break;
  }
  return 0;
}

[[noreturn]] void throw_bad_batch(const call_header& header, int rank,
                                  const collection::call_names& names) {
  const auto named = [&](const bad_batch& fault) {
    std::ostringstream text;
    text << "rank " << rank << ": " << names.feature(static_cast<std::size_t>(header.where.feature))
         << " of " << names.table(static_cast<std::size_t>(header.where.table)) << ": "
         << fault.what();
    return text.str();
  };
  const input_fault fault = header.fault == bad_id_fault ? input_fault::id : input_fault::offset;
  try {
    operations::throw_bad_batch(fault, header.where, header.limit);
  } catch (const id_out_of_range& error) {
    throw id_out_of_range(named(error), header.where);
  } catch (const bad_offsets& error) {
    throw bad_offsets(named(error), header.where);
  }
}

}  // namespace

rank_calls::rank_calls(std::shared_ptr<transport> ranks, std::uint64_t schema,
                       operations::device_access& access, const collection::call_names& names)
    : ranks_(std::move(ranks)),
      schema_(schema),
      agreement_(*ranks_, access, name_of_operation),
      names_(&names) {}

void rank_calls::agree(rank_operation operation, std::uint64_t call_schema, const rank_fault& fault,
                       std::span<const std::vector<std::int64_t>> to_each,
                       std::vector<std::vector<std::int64_t>>& from_each) {
  call_header mine;
  mine.step = num_calls_++;
  mine.operation = static_cast<std::uint32_t>(operation);
  mine.schema = numerics::mixed(schema_ + call_schema);
  mine.fault = number_of(fault);
  mine.where = fault.where;
  mine.limit = fault.limit;
  const std::vector<call_header> headers = agreement_.exchange(mine, to_each, from_each);
  if (fault.other != nullptr) std::rethrow_exception(fault.other);
  const auto faulty = std::find_if(headers.begin(), headers.end(),
                                   [](const call_header& header) { return header.fault != 0; });
  if (faulty == headers.end()) return;
  const int rank = static_cast<int>(faulty - headers.begin());
  if (faulty->fault == other_fault) {
    throw invalid_argument("rank " + std::to_string(rank) +
                           " could not take part in this call; its own error says why");
  }
  throw_bad_batch(*faulty, rank, *names_);
}

std::int64_t rank_calls::exchange(std::span<const send_piece> sends,
                                  std::span<const receive_piece> receives) {
  ranks_->all_to_all_v(sends, receives);
  std::int64_t bytes = 0;
  for (const send_piece& piece : sends) bytes += piece.peer == rank() ? 0 : piece.bytes;
  return bytes;
}

void rank_calls::close(const std::exception& fault) noexcept {
  const auto* const known = dynamic_cast<const transport_error*>(&fault);
  if (known != nullptr) {
    ranks_->abort(*known);
    return;
  }
  try {
    ranks_->abort(
        rank_lost("rank " + std::to_string(rank()) + " gave up: " + fault.what(), rank()));
  } catch (const std::bad_alloc&) {
    ranks_->abort(rank_lost("", rank()));
  }
}

}  // namespace warpbag::sharding
