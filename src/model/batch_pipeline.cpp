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
      pieces_(static_cast<std::size_t>(machine.device().host_threads().num_threads())),
      lanes_{lane{machine.make_slot()}, lane{machine.make_slot()}, lane{machine.make_slot()}} {}

void batch_pipeline::enqueue(const batch_loader& loader, std::int64_t step) {
  lane& free = lanes_[next_];
  finish(free);
  const batch_part part = machine_->ranks().part();
  const auto num_pieces = static_cast<int>(pieces_.size());
  machine_->device().host_threads().for_each(num_pieces, [&](std::int64_t piece, int) {
    loader.load(step, pieces_[static_cast<std::size_t>(piece)],
                {part.index * num_pieces + static_cast<int>(piece), part.count * num_pieces});
  });
  free.slot.fill(pieces_, part, loader.batch_size(step));
  start(&free.slot);
  kept_ = &free;
  next_ = (next_ + 1) % lanes_.size();
}

void batch_pipeline::start(const batch_slot* next) {
  if (kept_ == nullptr) return;
  lane& begun = *kept_;
  kept_ = nullptr;
  if (work_ == batch_work::train) {
    machine_->train(begun.slot, next);
  } else {
    machine_->score(begun.slot, next);
  }
  begun.busy = true;
}

void batch_pipeline::drain() {
  start(nullptr);
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
  for (const std::int64_t sample : selection) {
    labels.push_back(samples.labels()[static_cast<std::size_t>(sample)]);
  }
  batch_pipeline pipeline(machine, batch_work::score, [&](const batch_slot& slot) {
    losses.add(slot.host_losses());
    logits.insert(logits.end(), slot.host_logits().begin(), slot.host_logits().end());
  });
  for (std::int64_t step = 0; step < loader.steps_per_epoch(); ++step) {
    pipeline.enqueue(loader, step);
  }
  pipeline.drain();
  machine.check();
  return {losses.mean(), area_under_curve(logits, labels), losses.samples};
}

}  // namespace warpbag::model
