// SPDX-License-Identifier: Apache-2.0
#pragma once
// Calls that all ranks make together, and how they agree when one of them cannot.

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collection/call_records.hpp"
#include "operations/backend.hpp"
#include "transport/agreement.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::sharding {

enum class rank_operation : std::uint32_t {
  forward,
  backward,
  backward_sparse,
  backward_dense,
  gradients,
  apply_gradients,
  checkpoint
};

/// Why this rank cannot take part in a call.
struct rank_fault {
  operations::input_fault bad_input = operations::input_fault::none;
  lookup_location where = {};
  std::int64_t limit = 0;
  std::exception_ptr other;  // an error that is this rank's own

  bool any() const { return bad_input != operations::input_fault::none || other != nullptr; }
};

class rank_calls {
 public:
  /// `schema`: a hash of what must be the same on all ranks in all calls.
  rank_calls(std::shared_ptr<transport> ranks, std::uint64_t schema,
             operations::device_access& access, const collection::call_names& names);

  int rank() const { return ranks_->rank(); }
  int size() const { return ranks_->size(); }
  transport& ranks() { return *ranks_; }

  /// Tells every rank `to_each[rank]` and learns from_each[rank] (sized before the call) of it.
  /// `call_schema`: what must be the same on all ranks in this call. When some rank has a fault,
  /// every rank throws: bad_batch naming the rank and its lookup, or this rank's own error, or
  /// invalid_argument naming the rank that has one. Throws rank_mismatch and rank_lost.
  void agree(rank_operation operation, std::uint64_t call_schema, const rank_fault& fault,
             std::span<const std::vector<std::int64_t>> to_each,
             std::vector<std::vector<std::int64_t>>& from_each);
  /// Runs body() on every rank, then agrees that it went well everywhere. Tells every rank `words`
  /// (the same number on every rank), which body may fill; returns those of all ranks.
  template <typename Body>
  std::vector<std::vector<std::int64_t>> agree_on(rank_operation operation,
                                                  std::vector<std::int64_t>& words, Body body) {
    rank_fault fault;
    try {
      body();
    } catch (const std::exception&) {
      fault.other = std::current_exception();
    }
    const std::vector<std::vector<std::int64_t>> told(static_cast<std::size_t>(size()), words);
    std::vector<std::vector<std::int64_t>> learned = told;
    agree(operation, 0, fault, told, learned);
    return learned;
  }

  /// all_to_all_v. Returns the bytes that went to other ranks.
  std::int64_t exchange(std::span<const send_piece> sends, std::span<const receive_piece> receives);

  /// Closes the transport: after `fault` this rank cannot go on with the others.
  void close(const std::exception& fault) noexcept;

 private:
  std::shared_ptr<transport> ranks_;
  std::uint64_t schema_;
  ranks::agreement agreement_;
  const collection::call_names* names_;
  std::uint64_t num_calls_ = 0;
};

}  // namespace warpbag::sharding
