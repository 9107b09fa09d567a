// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ranks that share every batch, or one device alone.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/batch_slot.hpp"
#include "model/model_device.hpp"
#include "warpbag/batch_loader.hpp"
#include "warpbag/transport.hpp"

namespace warpbag::model {

class rank_group {
 public:
  /// `ranks`: on the device's memory and stream; nullptr: alone. Keeps a reference to `device`.
  rank_group(model_device& device, std::shared_ptr<transport> ranks);

  int rank() const noexcept { return ranks_ == nullptr ? 0 : ranks_->rank(); }
  int size() const noexcept { return ranks_ == nullptr ? 1 : ranks_->size(); }
  /// This rank's part of every batch.
  batch_part part() const noexcept { return {rank(), size()}; }

  // ---- collective ----

  /// Enqueues: the slot's logits and losses of the other ranks' parts come from them.
  void gather_results(batch_slot& slot);
  /// The word of every rank, in order.
  std::vector<std::int64_t> gather(std::int64_t word);
  std::int64_t sum(std::int64_t word);
  bool any(bool mine);

 private:
  model_device* device_;
  std::shared_ptr<transport> ranks_;
  std::unique_ptr<twin_memory> words_;  // this rank's, then those of all ranks
};

}  // namespace warpbag::model
