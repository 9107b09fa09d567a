// SPDX-License-Identifier: Apache-2.0
// Every other rank announces itself in a file of its own beside `file`; rank 0 answers in `file`. A
// rank that has read the answer removes its own file, and when all are gone rank 0 removes `file`.
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "transport/polling_pause.hpp"
#include "transport/rendezvous_messages.hpp"

namespace warpbag::rendezvous {

namespace {

using clock = std::chrono::steady_clock;
using bytes = std::vector<std::byte>;

constexpr std::uint64_t sheet_magic = 0x3130747362707277;  // "wrpbst01"

std::uint64_t checksum_of(std::string_view text) {
  io::checksum sum;
  sum.add(std::as_bytes(std::span(text)));
  return sum.value();
}

void append(std::string& text, std::uint64_t number) {
  text.append(reinterpret_cast<const char*>(&number), sizeof number);
}

/// magic, the nonce's length, nonce.
std::string sheet_head(const std::string& nonce) {
  std::string text;
  append(text, sheet_magic);
  append(text, nonce.size());
  return text + nonce;
}

void write_sheet(const std::filesystem::path& file, const std::string& nonce,
                 std::span<const std::byte> message) {
  std::string sheet = sheet_head(nonce);
  sheet.append(reinterpret_cast<const char*>(message.data()), message.size());
  append(sheet, checksum_of(sheet));
  io::atomic_file out(file, system_files());
  out.write(std::as_bytes(std::span(sheet)));
  out.commit();
}

/// What the file says, unless it is absent, of another job, or not whole.
std::optional<bytes> read_sheet(const std::filesystem::path& file, const std::string& nonce) {
  std::ifstream in(file, std::ios::binary);
  const std::string sheet{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::string head = sheet_head(nonce);
  std::uint64_t sum = 0;
  if (sheet.size() < head.size() + sizeof sum || !sheet.starts_with(head)) return std::nullopt;
  const std::string_view text = std::string_view(sheet).substr(0, sheet.size() - sizeof sum);
  std::memcpy(&sum, sheet.data() + text.size(), sizeof sum);
  if (sum != checksum_of(text)) return std::nullopt;
  const auto message = std::as_bytes(std::span(text.substr(head.size())));
  return bytes(message.begin(), message.end());
}

std::filesystem::path announcement_file(std::filesystem::path file, int rank) {
  file += ".rank-" + std::to_string(rank);
  return file;
}

/// Removes its file when it goes.
class own_file {
 public:
  explicit own_file(std::filesystem::path file) : file_(std::move(file)) {}
  ~own_file() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }
  own_file(const own_file&) = delete;
  own_file& operator=(const own_file&) = delete;
  const std::filesystem::path& path() const { return file_; }

 private:
  std::filesystem::path file_;
};

/// Calls done() until it is true, or false is returned at the deadline.
template <typename Done>
bool until(const clock::time_point deadline, const Done& done) {
  for (ranks::polling_pause pause;; pause.rest()) {
    const bool late = clock::now() >= deadline;
    if (done()) return true;
    if (late) return false;
  }
}

meeting host(const seat& seat, const id_maker& make_id, const std::filesystem::path& file,
             const std::string& nonce) {
  const std::string where = "at the file '" + file.string() + "'";
  guest_list guests(seat);
  std::vector<int> waiting;  // for the answer, the one that is refused too
  const bool came = until(seat.deadline, [&] {
    for (int rank = 1; rank < seat.size && !guests.refused(); ++rank) {
      if (guests.has(rank)) continue;
      const std::optional<bytes> sheet = read_sheet(announcement_file(file, rank), nonce);
      const auto guest = sheet ? read_announcement(*sheet) : std::nullopt;
      if (!guest || guest->rank != rank) continue;
      guests.welcome(*guest);
      waiting.push_back(rank);
    }
    return guests.complete() || guests.refused();
  });
  if (!came) not_all_came(guests, where);

  const own_file answer_file(file);
  const bytes answer = guests.packed_answer(make_id);
  write_sheet(answer_file.path(), nonce, answer);
  const bool read = until(seat.deadline, [&] {
    while (!waiting.empty() && !read_sheet(announcement_file(file, waiting.back()), nonce)) {
      waiting.pop_back();
    }
    return waiting.empty();
  });
  if (!read && !guests.refused()) {
    throw rank_lost("rank " + std::to_string(waiting.back()) + " announced itself " + where +
                        ", but did not read the answer before the deadline",
                    waiting.back());
  }
  return read_answer(answer).value();
}

}  // namespace

meeting meet_at_file(const seat& seat, const id_maker& make_id, const std::filesystem::path& file,
                     const std::string& nonce) {
  if (seat.rank == 0) return host(seat, make_id, file, nonce);
  const own_file mine(announcement_file(file, seat.rank));
  const announcement hello = announcement_of(seat);
  write_sheet(mine.path(), nonce, std::as_bytes(std::span(&hello, 1)));
  std::optional<meeting> found;
  const bool answered = until(seat.deadline, [&] {
    const std::optional<bytes> sheet = read_sheet(file, nonce);
    if (sheet) found = read_answer(*sheet);
    return found.has_value();
  });
  if (!answered) no_answer(seat, "in the file '" + file.string() + "'");
  return *std::move(found);
}

}  // namespace warpbag::rendezvous
