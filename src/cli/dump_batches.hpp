// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "warpbag/batch_loader.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::cli {

/// first <= step < last
struct step_range {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// Writes batches for other programs to train on, as safetensors: for the batch of training step s
/// of each feature f, "train.<s>.<f>.ids" I64, "train.<s>.<f>.offsets" I64 [samples + 1] and, for
/// weighted features, "train.<s>.<f>.weights" F32; "train.<s>.labels" F32 [samples]. The validation
/// samples are one batch, "validation.0.<f>.ids" and so on. Throws io_error.
void dump_batches(const std::filesystem::path& file, const dataset& samples,
                  const batch_loader& loader, step_range steps,
                  const std::vector<std::int64_t>& validation);

}  // namespace warpbag::cli
