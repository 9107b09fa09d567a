// SPDX-License-Identifier: Apache-2.0
#pragma once
// Batches through the machine, several under way: while the device works on one, the host prepares
// the next. A batch is kept back until the next one is filled, so that ranks can ask for the rows
// of that one ahead. Nothing waits for the device but the reuse of a slot three batches later.

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "model/factorization_machine.hpp"
#include "warpbag/batch_loader.hpp"

namespace warpbag::model {

/// Sum of the losses of some samples, added in double in their order.
struct loss_sum {
  double total = 0.0;
  std::int64_t samples = 0;

  void add(std::span<const float> losses) {
    for (const float loss : losses) total += static_cast<double>(loss);
    samples += static_cast<std::int64_t>(losses.size());
  }
  double mean() const { return total / static_cast<double>(samples); }
};

enum class batch_work { train, score };

class batch_pipeline {
 public:
  /// on_done(slot) is called for each batch, in order, when its results are on the host.
  batch_pipeline(factorization_machine& machine, batch_work work,
                 std::function<void(const batch_slot&)> on_done);

  /// The batch of `step`, or this rank's part of it.
  void enqueue(const batch_loader& loader, std::int64_t step);
  /// Works on what was kept back and waits for all batches under way.
  void drain();

 private:
  struct lane {
    batch_slot slot;
    bool busy = false;
  };
  /// Works on the batch that was kept back, if there is one.
  void start(const batch_slot* next);
  void finish(lane& done);

  factorization_machine* machine_;
  batch_work work_;
  std::function<void(const batch_slot&)> on_done_;
  std::vector<batch> pieces_;  // of the batch that is drawn: one a thread
  std::array<lane, 3> lanes_;
  std::size_t next_ = 0;
  lane* kept_ = nullptr;
};

struct evaluation {
  double loss = 0.0;
  double auc = 0.0;  ///< NaN where there is one class only
  std::int64_t samples = 0;
};

/// Mean loss and AUC on these samples of a dataset. Changes nothing.
/// @throws bad_batch, invalid_argument (no samples)
evaluation evaluate(factorization_machine& machine, const dataset& samples,
                    const std::vector<std::int64_t>& selection, std::int64_t batch_size);

}  // namespace warpbag::model
