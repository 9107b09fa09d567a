// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tokens that the ids of a run stand for, in a safetensors file beside its checkpoint. A file
// of its own, because a run's vocabularies never change: it is written once, before the first
// checkpoint, and not again with each.
//
// Tensors, for each table whose ids stand for tokens:
//   <table>.ends    U64 [tokens]  where each token ends among the bytes
//   <table>.tokens  U8 [bytes]    the tokens, one after the other, by id
// Metadata: "fingerprint", that of the data; "checksum", the XXH3 hash of all the rest.

#include <filesystem>
#include <span>
#include <vector>

#include "cli/run_record.hpp"
#include "warpbag/dataset.hpp"

namespace warpbag::cli {

/// The vocabularies in the folder of a run.
std::filesystem::path vocabulary_file(const std::filesystem::path& folder);

/// Replaces `file` at once, as save_checkpoint does. Throws io_error.
void save_vocabularies(const dataset& samples, const std::filesystem::path& file);

/// The tables of the data that a run was trained on. Where a table's ids are computed, num_ids is
/// its number of rows and the vocabulary is empty.
/// Throws io_error; corrupt_file when the file is damaged or of other data than `record`.
std::vector<dataset_table> load_vocabularies(const std::filesystem::path& file,
                                             const run_record& record);

}  // namespace warpbag::cli
