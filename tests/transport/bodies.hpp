// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every transport has to do. Each rank runs the same body; gtest's expectations are checked in
// every rank.

#include <memory>
#include <span>

#include "warpbag/transport.hpp"

namespace warpbag::testing {

struct transport_body {
  const char* name;
  /// `control` stays whole and has the same ranks as `ranks`, which the body may close.
  void (*run)(transport& control, std::unique_ptr<transport> ranks);
};

/// Collectives that succeed. Pieces of more than 4096 bytes are among them.
std::span<const transport_body> collective_bodies();
/// Calls that fail: what is thrown, by whom, and after it.
std::span<const transport_body> failure_bodies();

}  // namespace warpbag::testing
