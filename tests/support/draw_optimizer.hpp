// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/random_source.hpp"
#include "warpbag/optimizer.hpp"
#include "warpbag/types.hpp"

namespace warpbag::support {

/// Any optimizer with any of its options, for rows of `row_type`.
optimizer_options draw_optimizer(random_source& random, dtype row_type);

}  // namespace warpbag::support
