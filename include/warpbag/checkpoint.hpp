// SPDX-License-Identifier: Apache-2.0
#pragma once
// A collection on disk: one safetensors file with every weight and everything that training goes on
// from. One file, because a rename replaces one file at once: whenever the power fails, `file` is
// the old checkpoint or the new one, whole.
//
// Tensors, for each table:
//   <table>.weight          [num_embeddings, embedding_dim] in the table's type
//   <table>.<state name>    F32 [num_embeddings, embedding_dim] or [num_embeddings]; names as in
//                           optimizer_state_name; frozen tables have none
//   <table>.step            I64 [1] optimizer steps done
//   <table>.beta_powers     F64 [2] beta1^step, beta2^step
//   <table>.learning_rate   F32 [1]
// and, last in the file, warpbag.checksums: I64 [tensors before it + 1], the XXH3 hash of each, in
// the order of the file, and of the header. Metadata: "warpbag.format" = "1", "warpbag.collection"
// = what must agree on loading, as JSON; every other key is the caller's.

#include <filesystem>

#include "warpbag/collection.hpp"
#include "warpbag/safetensors.hpp"
#include "warpbag/sharded_collection.hpp"

namespace warpbag {

/// Writes a temporary file beside `file`, syncs it, and renames it over `file`. Tables go through a
/// buffer of a few MiB. Waits for the device. `metadata`: the caller's own strings (epoch, seed,
/// ...).
/// @throws invalid_argument  a metadata key that starts with "warpbag.", text that is not UTF-8
/// @throws io_error          the disk failed; an old `file` is intact, nothing is left beside it
/// @throws bad_batch         a batch since the last check() was bad; nothing was written
WARPBAG_EXPORT void save_checkpoint(embedding_bag_collection& collection,
                                    const std::filesystem::path& file,
                                    const safetensors_metadata& metadata = {});
WARPBAG_EXPORT void save_checkpoint(embedding_bag_collection& collection,
                                    const std::filesystem::path& file,
                                    const safetensors_metadata& metadata, file_system& files);

/// Fills a collection made with the same seed, tables (names, sizes, types, order), freezing and
/// optimizer options from `file`; learning rates are the file's. Training goes on with the same
/// bits as if it had not stopped. Everything is checked, each checksum included, before the first
/// byte of the collection changes, so the file is read twice; only a disk or a device that fails
/// during the second reading leaves the collection partly loaded. Returns the caller's metadata.
/// @throws io_error          the file cannot be read
/// @throws corrupt_file      it is not what save_checkpoint wrote; names the tensor
/// @throws invalid_argument  it is a checkpoint of another collection; names what differs
WARPBAG_EXPORT safetensors_metadata load_checkpoint(embedding_bag_collection& collection,
                                                    const std::filesystem::path& file);

/// The caller's metadata alone, and only the header is checked: what a program reads before it can
/// make the collection.
WARPBAG_EXPORT safetensors_metadata read_checkpoint_metadata(const std::filesystem::path& file);

// ---- sharded collections: the same file, byte for byte, as of one device ----

/// Collective. Every rank writes its rows into one file, which all ranks must see under the same
/// name (a shared file system), and none sends them anywhere; the checksums are computed by all
/// ranks, a tensor each in turn; rank 0 renames. `metadata` is rank 0's. Throws on every rank when
/// one cannot: there its own io_error, elsewhere invalid_argument that names it; then an old `file`
/// is intact.
WARPBAG_EXPORT void save_checkpoint(sharded_embedding_bag_collection& collection,
                                    const std::filesystem::path& file,
                                    const safetensors_metadata& metadata = {});
WARPBAG_EXPORT void save_checkpoint(sharded_embedding_bag_collection& collection,
                                    const std::filesystem::path& file,
                                    const safetensors_metadata& metadata, file_system& files);
/// Collective. From a checkpoint of any plan and any number of ranks, or of one device. Each rank
/// checks its share of the tensors' checksums; then, when all are good, reads its own rows.
WARPBAG_EXPORT safetensors_metadata load_checkpoint(sharded_embedding_bag_collection& collection,
                                                    const std::filesystem::path& file);

}  // namespace warpbag
