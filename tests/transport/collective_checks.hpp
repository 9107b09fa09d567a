// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every collective of a GPU transport with uneven and empty sizes, checked value by value. Throws
// std::runtime_error, so that programs without GoogleTest can use it too.

#include <cuda_runtime_api.h>

#include "warpbag/transport.hpp"

namespace warpbag::testing {

/// The transport's device must be current.
void check_collectives(transport& ranks);

}  // namespace warpbag::testing
