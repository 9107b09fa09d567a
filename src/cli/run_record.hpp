// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a training run is, apart from its weights, as it stands in the metadata of its checkpoint:
// four JSON texts "data", "machine", "run" and "progress". Nothing in it depends on the device, on
// the number of threads or on time, so equal training gives equal files.

#include <filesystem>
#include <optional>

#include "cli/choice.hpp"
#include "cli/data_options.hpp"
#include "model/batch_pipeline.hpp"
#include "model/machine_config.hpp"
#include "warpbag/safetensors.hpp"

namespace warpbag::cli {

enum class split_kind : std::uint8_t { ratio, time };

const choice_names<split_kind>& split_names();

/// Which samples, in which batches.
struct run_options {
  std::int64_t batch_size = 1024;
  split_kind split = split_kind::ratio;
  double validation = 0.1;  ///< share of the samples
};

struct training_progress {
  std::int64_t step = 0;                  ///< steps done
  model::loss_sum epoch;                  ///< of the epoch under way
  std::optional<double> last_epoch_loss;  ///< mean training loss of the last whole epoch
};

struct run_record {
  data_options data;
  std::uint64_t fingerprint = 0;  ///< dataset::fingerprint
  model::machine_config machine;
  run_options run;
  training_progress progress;
};

/// The split of a run: training and validation samples.
dataset_split split_of(const dataset& samples, const run_record& record);

safetensors_metadata to_metadata(const run_record& record);

/// Throws corrupt_file, naming `file`, for metadata that to_metadata did not write.
run_record from_metadata(const safetensors_metadata& metadata, const std::filesystem::path& file);

/// Throws invalid_argument that names the first thing in which `asked` is another run than the
/// `saved` one: another model, optimizer, order of batches or other data.
void require_same_run(const run_record& saved, const run_record& asked);

/// The checkpoint in the folder of a run.
std::filesystem::path checkpoint_file(const std::filesystem::path& folder);

}  // namespace warpbag::cli
