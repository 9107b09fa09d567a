// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace warpbag::cli {

/// While it lives, the first SIGINT or SIGTERM only sets a flag, and the second ends the process as
/// usual. One at a time.
class interrupt_guard {
 public:
  interrupt_guard();
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;
  ~interrupt_guard();

  bool interrupted() const noexcept;
};

}  // namespace warpbag::cli
