// SPDX-License-Identifier: Apache-2.0
// The transport of one in-process rank. Bytes are copied when a call is entered, so that nobody
// reads a rank's memory after its call has ended, however it ended.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "transport/in_process_ranks.hpp"

namespace warpbag::ranks {
namespace {

using std::chrono::steady_clock;

class in_process_transport final : public transport {
 public:
  in_process_transport(std::shared_ptr<in_process_ranks> world, std::shared_ptr<group> members,
                       int rank, std::chrono::milliseconds deadline)
      : world_(std::move(world)), group_(std::move(members)), rank_(rank), deadline_(deadline) {}

  ~in_process_transport() override {
    const fault_plan& faults = world_->faults();
    const bool silent = faults.silent() && faults.killed(world_rank(rank_));
    if (!silent) group_->depart(rank_);
  }

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  device where() const override { return {}; }

  void all_to_all_v(std::span<const send_piece> sends,
                    std::span<const receive_piece> receives) override;
  void barrier() override {
    begin_call();
    group_->meet(rank_, contribution{}, deadline_);
  }
  std::unique_ptr<transport> split(int color, cuda_stream) override;

  void abort(const transport_error& fault) noexcept override { group_->close(failure_of(fault)); }
  std::chrono::milliseconds deadline() const override { return deadline_; }
  void set_deadline(std::chrono::milliseconds deadline) override {
    deadline_ = checked_deadline(deadline);
  }

 private:
  /// Counts the call. Throws rank_lost in a rank that is killed at it.
  fault_plan::call begin_call();
  contribution pack(std::span<const send_piece> sends, bool corrupt) const;
  int world_rank(int rank) const { return group_->members()[static_cast<std::size_t>(rank)]; }

  std::shared_ptr<in_process_ranks> world_;
  std::shared_ptr<group> group_;
  const int rank_;
  std::chrono::milliseconds deadline_;
};

fault_plan::call in_process_transport::begin_call() {
  fault_plan& faults = world_->faults();
  const fault_plan::call call = faults.next_call(world_rank(rank_));
  if (call.kill) {
    if (!faults.silent()) world_->announce_death(world_rank(rank_));
    raise(was_killed(rank_));
  }
  return call;
}

contribution in_process_transport::pack(std::span<const send_piece> sends, bool corrupt) const {
  contribution packed;
  packed.kind = call_kind::all_to_all_v;
  packed.sends = sizes_by_peer(sends, size());
  if (corrupt && !packed.sends.empty()) {
    // The first in the caller's order.
    ++std::ranges::min_element(packed.sends, {}, &piece_size::index)->bytes;
  }
  std::size_t total = 0;
  for (const piece_size& piece : packed.sends) total += static_cast<std::size_t>(piece.bytes);
  packed.data = std::make_unique_for_overwrite<std::byte[]>(total);
  std::byte* to = packed.data.get();
  for (const piece_size& piece : packed.sends) {
    const send_piece& from = sends[piece.index];
    std::memcpy(to, from.data, static_cast<std::size_t>(from.bytes));
    to += piece.bytes;
  }
  return packed;
}

/// The pieces of `from` for `rank`.
void unpack(const contribution& from, int rank, std::span<const piece_size> expected,
            std::span<const receive_piece> receives) {
  const std::byte* bytes = from.data.get();
  auto wanted = expected.begin();
  for (const piece_size& sent : from.sends) {
    if (sent.peer == rank) {
      std::memcpy(receives[wanted->index].data, bytes, static_cast<std::size_t>(sent.bytes));
      ++wanted;
    }
    bytes += sent.bytes;
  }
}

void in_process_transport::all_to_all_v(std::span<const send_piece> sends,
                                        std::span<const receive_piece> receives) {
  const std::vector<piece_size> expected = sizes_by_peer(receives, size());
  const fault_plan::call call = begin_call();
  contribution mine = pack(sends, call.corrupt);
  mine.receives = expected;
  for (const piece_size& piece : mine.sends) {
    world_->count(world_rank(rank_), world_rank(piece.peer), piece.bytes);
  }
  const auto last = steady_clock::now() + deadline_;
  const std::shared_ptr<const meeting> met = group_->meet(rank_, std::move(mine), deadline_);
  for (const int from : world_->faults().order(world_rank(rank_), met->number, size())) {
    const std::span<const piece_size> pieces = of_peer(expected, from);
    if (pieces.empty()) continue;
    const auto late = world_->faults().delay(world_rank(from), world_rank(rank_), met->number);
    if (from != rank_ && late.count() > 0) {
      group_->wait_for_message(from, met->completed_at + late, last, deadline_);
    }
    unpack(*met->from[static_cast<std::size_t>(from)], rank_, pieces, receives);
  }
}

std::unique_ptr<transport> in_process_transport::split(int color, cuda_stream) {
  begin_call();
  contribution mine;
  mine.kind = call_kind::split;
  mine.color = color;
  const std::shared_ptr<const meeting> met = group_->meet(rank_, std::move(mine), deadline_);
  const std::shared_ptr<group>& made = met->groups.at(color);
  world_->add(made);
  const auto place = std::ranges::lower_bound(made->members(), world_rank(rank_));
  return make_in_process_transport(world_, made, static_cast<int>(place - made->members().begin()),
                                   deadline_);
}

}  // namespace

std::unique_ptr<transport> make_in_process_transport(std::shared_ptr<in_process_ranks> world,
                                                     std::shared_ptr<group> members, int rank,
                                                     std::chrono::milliseconds deadline) {
  return std::make_unique<in_process_transport>(std::move(world), std::move(members), rank,
                                                deadline);
}

}  // namespace warpbag::ranks
