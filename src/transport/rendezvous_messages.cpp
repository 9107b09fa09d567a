// SPDX-License-Identifier: Apache-2.0
#include "transport/rendezvous_messages.hpp"

#include <cstring>
#include <type_traits>

namespace warpbag::rendezvous {

namespace {

// More ranks than anyone has; a size beyond it is a stranger's bytes.
constexpr int max_ranks = 1 << 20;

static_assert(std::is_trivially_copyable_v<announcement> && sizeof(announcement) == 32);
static_assert(std::is_trivially_copyable_v<answer> && sizeof(answer) == 152);

[[noreturn]] void refuse(const answer& head) {
  const std::string rank = std::to_string(head.rank_at_fault);
  const std::string what = head.refused == refusal::other_size
                               ? "rank " + rank + " was started as one of " +
                                     std::to_string(head.its_size) + " ranks, rank 0 as one of " +
                                     std::to_string(head.size)
                               : "two processes were started as rank " + rank;
  throw rank_mismatch(what, head.rank_at_fault);
}

}  // namespace

announcement announcement_of(const seat& seat) {
  announcement out;
  out.rank = seat.rank;
  out.size = seat.size;
  out.device = seat.device;
  return out;
}

std::optional<announcement> read_announcement(std::span<const std::byte> bytes) {
  announcement out;
  if (bytes.size() != sizeof out) return std::nullopt;
  std::memcpy(&out, bytes.data(), sizeof out);
  const bool can_be = out.magic == announcement::expected_magic && out.size <= max_ranks &&
                      out.rank > 0 && out.rank < out.size;
  return can_be ? std::optional(out) : std::nullopt;
}

std::vector<std::byte> pack(const answer& answer, std::span<const device_uuid> devices) {
  std::vector<std::byte> bytes(sizeof answer + devices.size_bytes());
  std::memcpy(bytes.data(), &answer, sizeof answer);
  std::memcpy(bytes.data() + sizeof answer, devices.data(), devices.size_bytes());
  return bytes;
}

std::optional<std::size_t> packed_size(const answer& head) {
  if (head.magic != answer::expected_magic || head.size < 1 || head.size > max_ranks) {
    return std::nullopt;
  }
  return sizeof head + static_cast<std::size_t>(head.size) * sizeof(device_uuid);
}

std::optional<meeting> read_answer(std::span<const std::byte> bytes) {
  answer head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (packed_size(head) != bytes.size()) return std::nullopt;
  if (head.refused != refusal::none) refuse(head);
  meeting out;
  out.id = head.id;
  out.devices.resize(static_cast<std::size_t>(head.size));
  std::memcpy(out.devices.data(), bytes.data() + sizeof head, bytes.size() - sizeof head);
  return out;
}

guest_list::guest_list(const seat& host)
    : devices_(static_cast<std::size_t>(host.size)),
      come_(static_cast<std::size_t>(host.size)),
      missing_(host.size - 1) {
  head_.size = host.size;
  devices_[0] = host.device;
  come_[0] = true;
}

bool guest_list::welcome(const announcement& guest) {
  const bool other_size = guest.size != head_.size;
  if (other_size || has(guest.rank)) {
    head_.refused = other_size ? refusal::other_size : refusal::rank_taken;
    head_.rank_at_fault = guest.rank;
    head_.its_size = guest.size;
    return false;
  }
  devices_[static_cast<std::size_t>(guest.rank)] = guest.device;
  come_[static_cast<std::size_t>(guest.rank)] = true;
  --missing_;
  return true;
}

void guest_list::dismiss(int rank) {
  come_[static_cast<std::size_t>(rank)] = false;
  ++missing_;
}

std::string guest_list::missing() const {
  std::string out;
  for (std::size_t rank = 0; rank < come_.size(); ++rank) {
    if (!come_[rank]) out += (out.empty() ? "" : ", ") + std::to_string(rank);
  }
  return out;
}

int guest_list::first_missing() const {
  for (std::size_t rank = 0; rank < come_.size(); ++rank) {
    if (!come_[rank]) return static_cast<int>(rank);
  }
  return -1;
}

std::vector<std::byte> guest_list::packed_answer(const id_maker& make_id) {
  if (!refused()) head_.id = make_id();
  return pack(head_, devices_);
}

void no_answer(const seat& seat, const std::string& where) {
  throw rank_lost("rank " + std::to_string(seat.rank) + " had no answer from rank 0 " + where +
                      " within the deadline: rank 0, or another rank that it waits for, did not "
                      "come",
                  seat.size == 2 ? 0 : -1);
}

void not_all_came(const guest_list& guests, const std::string& where) {
  throw rank_lost("rank 0 waited " + where + " until the deadline for rank " + guests.missing(),
                  guests.first_missing());
}

}  // namespace warpbag::rendezvous
