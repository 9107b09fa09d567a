// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "bench/batch.hpp"

namespace warpbag::bench {

/// Writes a batch of the workload as a safetensors file, for other programs to measure the same.
/// tables: i64 [tables, 3], each its rows, dim and hotness. T.ids, and where there are any
/// T.offsets [batch + 1] and T.weights, of table T = 0, 1, ... Metadata: name, description, batch,
/// dtype, pooling, optimizer. Throws io_error.
void dump(const workload& workload, const std::filesystem::path& file);

}  // namespace warpbag::bench
