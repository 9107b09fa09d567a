// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.hpp"

#include <csignal>

namespace warpbag::cli {

namespace {

volatile std::sig_atomic_t signal_came = 0;

void on_signal(int signal) {
  signal_came = 1;
  static_cast<void>(std::signal(signal, SIG_DFL));
}

void set_both(void (*handler)(int)) {
  static_cast<void>(std::signal(SIGINT, handler));
  static_cast<void>(std::signal(SIGTERM, handler));
}

}  // namespace

interrupt_guard::interrupt_guard() {
  signal_came = 0;
  set_both(on_signal);
}

interrupt_guard::~interrupt_guard() { set_both(SIG_DFL); }

bool interrupt_guard::interrupted() const noexcept { return signal_came != 0; }

}  // namespace warpbag::cli
