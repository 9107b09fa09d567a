// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace warpbag::testing {

/// The exit status of nccl_rank_program.
enum class rank_status : int {
  done = 0,
  failed = 1,    ///< by another error than the following
  lost = 10,     ///< rank_lost
  refused = 11,  ///< invalid_argument
  too_few_gpus = 77,
};

}  // namespace warpbag::testing
