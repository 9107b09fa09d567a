// SPDX-License-Identifier: Apache-2.0
#pragma once
// Non-blocking TCP sockets, as little of them as ranks need to meet.

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace warpbag::rendezvous {

using clock = std::chrono::steady_clock;

/// Owns a descriptor.
class tcp_socket {
 public:
  tcp_socket() = default;
  explicit tcp_socket(int descriptor) : descriptor_(descriptor) {}
  tcp_socket(tcp_socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  tcp_socket& operator=(tcp_socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~tcp_socket();

  explicit operator bool() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

  /// Waits until there is something to read (or the other side is gone); false at the deadline.
  bool await_readable(clock::time_point deadline) const;
  /// Reads what is there, up to bytes.size(). None when the other side is gone.
  std::optional<std::size_t> read_some(std::span<std::byte> bytes) const;
  /// False when the other side is gone or the deadline has passed.
  bool read_all(std::span<std::byte> bytes, clock::time_point deadline) const;
  bool write_all(std::span<const std::byte> bytes, clock::time_point deadline) const;
  /// Of a listening socket; empty when nobody waits.
  tcp_socket accept() const;

 private:
  int descriptor_ = -1;
};

/// Milliseconds until the deadline as poll(2) takes them, at most a second.
int poll_timeout(clock::time_point deadline);

/// Listens on all addresses, IPv6 and IPv4. Throws invalid_argument when the port cannot be had.
tcp_socket listen_on(int port);
/// Tries each address of `host` once; empty when nobody listens there.
tcp_socket connect_to(const std::string& host, int port, clock::time_point deadline);

}  // namespace warpbag::rendezvous
