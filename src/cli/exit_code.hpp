// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace warpbag::cli {

/// What the program returns; scripts may rely on it.
enum exit_code : int {
  exit_ok = 0,
  exit_failure = 1,       ///< anything not below: no such file, a bad batch, no memory
  exit_usage = 2,         ///< arguments that can never be right
  exit_corrupt_file = 3,  ///< a data file or checkpoint that is not what its format promises
  exit_no_device = 4,     ///< this build or machine does not have the device
  exit_interrupted = 130  ///< SIGINT: the step was finished and the checkpoint saved
};

}  // namespace warpbag::cli
