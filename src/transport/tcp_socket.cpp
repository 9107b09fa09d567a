// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp_socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "warpbag/error.hpp"

namespace warpbag::rendezvous {

namespace {

constexpr int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
constexpr int backlog = 128;

bool await(int descriptor, short event, clock::time_point deadline) {
  for (;;) {
    pollfd entry = {descriptor, event, 0};
    const int ready = ::poll(&entry, 1, poll_timeout(deadline));
    if (ready > 0) return true;
    if (clock::now() >= deadline) return false;
  }
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

struct address_list_deleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using address_list = std::unique_ptr<addrinfo, address_list_deleter>;

address_list addresses_of(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  // A name that is not known now may be in a moment, when its machine has started.
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return {};
  return address_list(list);
}

/// `address` is the wildcard of its family.
template <typename Address>
tcp_socket listen_at(int family, const Address& address) {
  tcp_socket out(::socket(family, kind, 0));
  if (!out) return out;
  const int on = 1;
  const int off = 0;
  // The port of the job before is free again at once; one IPv6 socket takes IPv4 too.
  static_cast<void>(::setsockopt(out.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  if (family == AF_INET6) {
    static_cast<void>(::setsockopt(out.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
  }
  if (::bind(out.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(out.descriptor(), backlog) != 0) {
    return {};
  }
  return out;
}

}  // namespace

tcp_socket::~tcp_socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool tcp_socket::await_readable(clock::time_point deadline) const {
  return await(descriptor_, POLLIN, deadline);
}

std::optional<std::size_t> tcp_socket::read_some(std::span<std::byte> bytes) const {
  const ssize_t count = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
  if (count > 0) return static_cast<std::size_t>(count);
  if (count < 0 && would_block()) return 0;
  return std::nullopt;
}

bool tcp_socket::read_all(std::span<std::byte> bytes, clock::time_point deadline) const {
  while (!bytes.empty()) {
    if (!await_readable(deadline)) return false;
    const std::optional<std::size_t> count = read_some(bytes);
    if (!count) return false;
    bytes = bytes.subspan(*count);
  }
  return true;
}

bool tcp_socket::write_all(std::span<const std::byte> bytes, clock::time_point deadline) const {
  while (!bytes.empty()) {
    if (!await(descriptor_, POLLOUT, deadline)) return false;
    const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && !would_block()) return false;
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

tcp_socket tcp_socket::accept() const {
  return tcp_socket(::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int poll_timeout(clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1000));
}

tcp_socket listen_on(int port) {
  const auto network_port = htons(static_cast<std::uint16_t>(port));
  sockaddr_in6 any6 = {};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = network_port;
  any6.sin6_addr = in6addr_any;
  if (tcp_socket out = listen_at(AF_INET6, any6)) return out;
  sockaddr_in any4 = {};
  any4.sin_family = AF_INET;
  any4.sin_port = network_port;
  any4.sin_addr.s_addr = htonl(INADDR_ANY);
  if (tcp_socket out = listen_at(AF_INET, any4)) return out;
  throw invalid_argument("rank 0 cannot listen on port " + std::to_string(port) + ": " +
                         std::generic_category().message(errno));
}

tcp_socket connect_to(const std::string& host, int port, clock::time_point deadline) {
  const address_list list = addresses_of(host, port);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    tcp_socket out(::socket(entry->ai_family, kind, 0));
    if (!out) continue;
    if (::connect(out.descriptor(), entry->ai_addr, entry->ai_addrlen) == 0) return out;
    // An address that swallows packets must not use up the time of the next one.
    const clock::time_point turn = std::min(deadline, clock::now() + std::chrono::seconds(3));
    if (errno != EINPROGRESS || !await(out.descriptor(), POLLOUT, turn)) continue;
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(out.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
      return out;
    }
  }
  return {};
}

}  // namespace warpbag::rendezvous
