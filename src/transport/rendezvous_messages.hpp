// SPDX-License-Identifier: Apache-2.0
#pragma once
// What ranks tell each other when they meet. The ranks of a job run the same program on the same
// kind of machine, so the bytes are those of memory.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/rendezvous.hpp"

namespace warpbag::rendezvous {

/// From a rank to rank 0.
struct announcement {
  static constexpr std::uint64_t expected_magic = 0x31306e6d62707277;  // "wrpbmn01"

  std::uint64_t magic = expected_magic;
  std::int32_t rank = 0;
  std::int32_t size = 0;
  device_uuid device = {};
};

enum class refusal : std::int32_t { none, other_size, rank_taken };

/// From rank 0 to all; `size` device UUIDs follow.
struct answer {
  static constexpr std::uint64_t expected_magic = 0x3130617362707277;  // "wrpbsa01"

  std::uint64_t magic = expected_magic;
  std::int32_t size = 0;
  refusal refused = refusal::none;
  std::int32_t rank_at_fault = -1;
  std::int32_t its_size = 0;
  nccl_id id;
};

announcement announcement_of(const seat& seat);
/// None unless the bytes are an announcement of a rank that can be.
std::optional<announcement> read_announcement(std::span<const std::byte> bytes);

std::vector<std::byte> pack(const answer& answer, std::span<const device_uuid> devices);
/// How many bytes a packed answer has whose beginning is `head`; none: it is not one.
std::optional<std::size_t> packed_size(const answer& head);
/// Throws rank_mismatch when the answer is a refusal. None unless the bytes are a whole answer.
std::optional<meeting> read_answer(std::span<const std::byte> bytes);

/// Rank 0's list of who has come.
class guest_list {
 public:
  explicit guest_list(const seat& host);

  /// Returns whether the guest fits; else the answer is a refusal from then on.
  bool welcome(const announcement& guest);
  void dismiss(int rank);
  bool complete() const { return missing_ == 0; }
  bool refused() const { return head_.refused != refusal::none; }
  bool has(int rank) const { return come_[static_cast<std::size_t>(rank)]; }
  /// The ranks that have not come: "1, 3".
  std::string missing() const;
  int first_missing() const;
  std::vector<std::byte> packed_answer(const id_maker& make_id);

 private:
  answer head_;
  std::vector<device_uuid> devices_;
  std::vector<bool> come_;
  int missing_;
};

/// "rank 1 waited 2000 ms for ..." is the caller's; this is what is thrown when rank 0's answer
/// does not come.
[[noreturn]] void no_answer(const seat& seat, const std::string& where);
/// And this when `guests` are not complete.
[[noreturn]] void not_all_came(const guest_list& guests, const std::string& where);

}  // namespace warpbag::rendezvous
