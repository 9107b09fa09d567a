// SPDX-License-Identifier: Apache-2.0
// Faults and findings, for files that must not see CUDA's declarations too.
#pragma once

namespace cudasim {

// One line on stderr, which CUDASIM_STRICT=1 turns into a failing exit status.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace cudasim
