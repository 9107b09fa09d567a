// SPDX-License-Identifier: Apache-2.0
#include "warpbag/token_vocabulary.hpp"

#include <cstring>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

// Eight bytes a step, each mixed by a multiplication and a shift. A multiplication carries upwards
// only, so the shift at the end brings the last bytes of a token to the low bits, which choose the
// slot. Where a token lies decides nothing but speed, so the machine's byte order may matter here.
std::uint64_t hash_of(std::string_view token) noexcept {
  constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio, odd
  std::uint64_t hash = token.size() * multiplier;
  while (!token.empty()) {
    std::uint64_t word = 0;
    const std::size_t count = token.size() < sizeof(word) ? token.size() : sizeof(word);
    std::memcpy(&word, token.data(), count);
    hash = (hash ^ word) * multiplier;
    hash ^= hash >> 32;
    token.remove_prefix(count);
  }
  hash *= multiplier;
  return hash ^ hash >> 32;
}

std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

std::uint32_t token_vocabulary::id_of(std::string_view token) {
  if (2 * (ends_.size() + 1) > slots_.size()) grow();
  const std::uint64_t hash = hash_of(token);
  const std::size_t place = slot_of(token, hash);
  if (slots_[place].id != not_found) return slots_[place].id;
  if (ends_.size() >= not_found) throw invalid_argument("a vocabulary holds 2^32 - 1 tokens");
  const auto id = static_cast<std::uint32_t>(ends_.size());
  bytes_.append(token);
  ends_.push_back(bytes_.size());
  slots_[place] = {tag_of(hash), id};
  return id;
}

std::uint32_t token_vocabulary::find(std::string_view token) const noexcept {
  return slots_.empty() ? not_found : slots_[slot_of(token, hash_of(token))].id;
}

std::string_view token_vocabulary::token(std::uint32_t id) const {
  if (id >= ends_.size()) {
    throw invalid_argument("id " + std::to_string(id) + " is not one of the vocabulary's " +
                           std::to_string(size()));
  }
  return at(id);
}

std::string_view token_vocabulary::at(std::uint32_t id) const noexcept {
  const std::uint64_t begin = id == 0 ? 0 : ends_[id - 1];
  return std::string_view(bytes_).substr(begin, ends_[id] - begin);
}

std::size_t token_vocabulary::slot_of(std::string_view token, std::uint64_t hash) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t place = hash & mask;
  while (slots_[place].id != not_found &&
         (slots_[place].tag != tag_of(hash) || at(slots_[place].id) != token)) {
    place = (place + 1) & mask;
  }
  return place;
}

void token_vocabulary::grow() {
  const std::size_t capacity = slots_.empty() ? 64 : 2 * slots_.size();
  std::vector<slot> slots(capacity, slot{0, not_found});
  for (std::size_t id = 0; id < ends_.size(); ++id) {
    const std::uint64_t hash = hash_of(at(static_cast<std::uint32_t>(id)));
    std::size_t place = hash & (capacity - 1);
    while (slots[place].id != not_found) place = (place + 1) & (capacity - 1);
    slots[place] = {tag_of(hash), static_cast<std::uint32_t>(id)};
  }
  slots_ = std::move(slots);
}

}  // namespace warpbag
