// SPDX-License-Identifier: Apache-2.0
#include "model/batch_pipeline.hpp"

#include <utility>

#include "model/auc.hpp"

namespace warpbag::model {

batch_pipeline::batch_pipeline(factorization_machine& machine, batch_work work,
                               std::function<void(const batch_slot&)> on_done)
    : machine_(&machine),
      work_(work),
      on_done_(std::move(on_done)),
      lanes_{lane{machine.make_slot()}, lane{machine.make_slot()}} {}

void batch_pipeline::enqueue(const batch& samples) {
  lane& free = lanes_[next_];
  finish(free);
  free.slot.fill(samples);
  if (work_ == batch_work::train) {
    machine_->train(free.slot);
  } else {
    machine_->score(free.slot);
  }
  free.busy = true;
  next_ = (next_ + 1) % lanes_.size();
}

void batch_pipeline::drain() {
  // The lane that is next is the one filled longest ago.
  for (std::size_t i = 0; i < lanes_.size(); ++i) finish(lanes_[(next_ + i) % lanes_.size()]);
}

void batch_pipeline::finish(lane& done) {
  if (!done.busy) return;
  done.slot.wait();
  done.busy = false;
  on_done_(done.slot);
}

evaluation evaluate(factorization_machine& machine, const dataset& samples,
                    const std::vector<std::int64_t>& selection, std::int64_t batch_size) {
  const batch_loader loader(samples, selection, {batch_size, false, 0});
  loss_sum losses;
  std::vector<float> logits;
  std::vector<float> labels;
  batch_pipeline pipeline(machine, batch_work::score, [&](const batch_slot& slot) {
    losses.add(slot.host_losses());
    logits.insert(logits.end(), slot.host_logits().begin(), slot.host_logits().end());
    labels.insert(labels.end(), slot.host_labels().begin(), slot.host_labels().end());
  });
  batch buffer;
  for (std::int64_t step = 0; step < loader.steps_per_epoch(); ++step) {
    loader.load(step, buffer);
    pipeline.enqueue(buffer);
  }
  pipeline.drain();
  machine.collection().check();
  return {losses.mean(), area_under_curve(logits, labels), losses.samples};
}

}  // namespace warpbag::model
