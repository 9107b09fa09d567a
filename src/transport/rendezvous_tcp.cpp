// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <array>
#include <cstring>
#include <list>
#include <thread>

#include "transport/rendezvous_messages.hpp"
#include "transport/tcp_socket.hpp"

namespace warpbag::rendezvous {

namespace {

/// A connection to rank 0: a rank's, or a stranger's until it has said who it is.
struct visitor {
  tcp_socket socket;
  std::array<std::byte, sizeof(announcement)> text = {};
  std::size_t length = 0;
  int rank = -1;  // not known yet
};

/// Reads what a visitor says. False: it is to be sent away.
bool listen_to(visitor& visitor, guest_list& guests) {
  std::byte more{};
  const bool known = visitor.rank >= 0;
  const auto rest = known ? std::span(&more, 1) : std::span(visitor.text).subspan(visitor.length);
  const std::optional<std::size_t> count = visitor.socket.read_some(rest);
  if (!count || (known && *count > 0)) {
    // Gone, as when its process is started again: its rank may come once more.
    if (known) guests.dismiss(visitor.rank);
    return false;
  }
  if (known) return true;
  visitor.length += *count;
  if (visitor.length < visitor.text.size()) return true;
  const std::optional<announcement> hello = read_announcement(visitor.text);
  if (!hello) return false;
  if (guests.welcome(*hello)) visitor.rank = hello->rank;
  return true;  // one that does not fit gets the answer too
}

std::list<visitor> gather(const seat& seat, const tcp_socket& door, guest_list& guests,
                          const std::string& where) {
  std::list<visitor> visitors;
  while (!guests.complete() && !guests.refused()) {
    std::vector<pollfd> watched = {{door.descriptor(), POLLIN, 0}};
    for (const visitor& each : visitors) watched.push_back({each.socket.descriptor(), POLLIN, 0});
    static_cast<void>(::poll(watched.data(), watched.size(), poll_timeout(seat.deadline)));
    std::size_t entry = 1;
    for (auto each = visitors.begin(); each != visitors.end() && !guests.refused();) {
      const bool stays = watched[entry++].revents == 0 || listen_to(*each, guests);
      each = stays ? std::next(each) : visitors.erase(each);
    }
    if (watched[0].revents != 0) {
      while (tcp_socket socket = door.accept()) visitors.push_back({std::move(socket)});
    }
    const bool late = clock::now() >= seat.deadline;
    if (late && !guests.complete()) not_all_came(guests, where);
  }
  return visitors;
}

meeting host(const seat& seat, const id_maker& make_id, int port) {
  const std::string where = "on port " + std::to_string(port);
  const tcp_socket door = listen_on(port);
  guest_list guests(seat);
  const std::list<visitor> visitors = gather(seat, door, guests, where);
  const std::vector<std::byte> answer = guests.packed_answer(make_id);
  for (const visitor& each : visitors) {
    const bool stranger = each.length < each.text.size();
    if (stranger || each.socket.write_all(answer, seat.deadline)) continue;
    if (!guests.refused()) {
      throw rank_lost(
          "rank " + std::to_string(each.rank) + " was gone before it had the answer " + where,
          each.rank);
    }
  }
  return read_answer(answer).value();
}

/// One conversation with whoever listens there; none: it was not rank 0, or rank 0 is gone.
std::optional<meeting> ask(const seat& seat, const tcp_socket& socket) {
  const announcement hello = announcement_of(seat);
  if (!socket.write_all(std::as_bytes(std::span(&hello, 1)), seat.deadline)) return std::nullopt;
  std::vector<std::byte> text(sizeof(answer));
  if (!socket.read_all(text, seat.deadline)) return std::nullopt;
  answer head;
  std::memcpy(&head, text.data(), sizeof head);
  const std::optional<std::size_t> size = packed_size(head);
  if (!size) return std::nullopt;
  text.resize(*size);
  if (!socket.read_all(std::span(text).subspan(sizeof head), seat.deadline)) return std::nullopt;
  return read_answer(text);
}

}  // namespace

meeting meet_over_tcp(const seat& seat, const id_maker& make_id, const std::string& host_name,
                      int port) {
  if (seat.rank == 0) return host(seat, make_id, port);
  for (;;) {
    if (const tcp_socket socket = connect_to(host_name, port, seat.deadline)) {
      if (std::optional<meeting> found = ask(seat, socket)) return *std::move(found);
    }
    if (clock::now() >= seat.deadline) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  no_answer(seat, "at " + host_name + ", port " + std::to_string(port) + ",");
}

}  // namespace warpbag::rendezvous
