// SPDX-License-Identifier: Apache-2.0
#include "model/rank_group.hpp"

#include <cstring>
#include <numeric>
#include <utility>

namespace warpbag::model {

namespace {

constexpr std::int64_t bytes_of(std::int64_t floats) {
  return floats * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace

rank_group::rank_group(model_device& device, std::shared_ptr<transport> ranks)
    : device_(&device), ranks_(std::move(ranks)) {
  if (size() == 1) return;
  const auto words = static_cast<std::size_t>(size()) + 1;
  words_ = device_->make_twin_memory(words * sizeof(std::int64_t));
}

void rank_group::gather_results(batch_slot& slot) {
  if (size() == 1) return;
  const std::int64_t batch = slot.batch_size();
  const std::int64_t first = part().begin_of(batch);
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank()) continue;  // the device wrote them in their place
    const batch_part theirs = {peer, size()};
    const std::int64_t begin = theirs.begin_of(batch);
    for (float* const results : {slot.logits(), slot.losses()}) {
      sends.push_back({peer, results + first, bytes_of(slot.num_samples())});
      receives.push_back({peer, results + begin, bytes_of(theirs.end_of(batch) - begin)});
    }
  }
  ranks_->all_to_all_v(sends, receives);
}

std::vector<std::int64_t> rank_group::gather(std::int64_t word) {
  if (size() == 1) return {word};
  constexpr std::size_t word_bytes = sizeof(std::int64_t);
  std::memcpy(words_->host(), &word, word_bytes);
  words_->copy_to_device(word_bytes);
  std::vector<receive_piece> receives;
  for (int peer = 0; peer < size(); ++peer) {
    std::byte* const place = words_->device() + (static_cast<std::size_t>(peer) + 1) * word_bytes;
    receives.push_back({peer, place, static_cast<std::int64_t>(word_bytes)});
  }
  ranks_->all_gather_v(words_->device(), static_cast<std::int64_t>(word_bytes), receives);
  const auto num_words = static_cast<std::size_t>(size());
  words_->copy_to_host((num_words + 1) * word_bytes);
  ranks_->wait();
  words_->wait();
  std::vector<std::int64_t> words(num_words);
  std::memcpy(words.data(), words_->host() + word_bytes, num_words * word_bytes);
  return words;
}

std::int64_t rank_group::sum(std::int64_t word) {
  const std::vector<std::int64_t> words = gather(word);
  return std::accumulate(words.begin(), words.end(), std::int64_t{0});
}

bool rank_group::any(bool mine) { return sum(mine ? 1 : 0) > 0; }

}  // namespace warpbag::model
