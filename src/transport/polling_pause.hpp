// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace warpbag::ranks {

/// Rests between two looks at something: hardly at first, because most waits are short, then up to
/// a millisecond, so that a long wait leaves the processor to those it waits for.
class polling_pause {
 public:
  void rest() {
    if (looks_ < free_looks) {
      ++looks_;
      std::this_thread::yield();
      return;
    }
    std::this_thread::sleep_for(length_);
    length_ = std::min(2 * length_, longest);
  }

 private:
  static constexpr int free_looks = 100;
  static constexpr std::chrono::microseconds longest = std::chrono::milliseconds(1);

  int looks_ = 0;
  std::chrono::microseconds length_ = std::chrono::microseconds(16);
};

}  // namespace warpbag::ranks
