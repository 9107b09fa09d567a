// SPDX-License-Identifier: Apache-2.0
#pragma once
// Over which ranks to train, and which of them holds what.

#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "cli/app.hpp"
#include "warpbag/sharding_plan.hpp"

namespace warpbag::cli {

enum class rank_transport : std::uint8_t { in_process, mpi, nccl };

/// small_replicated: tables of few rows on every rank, the others by rows.
enum class table_sharding : std::uint8_t { small_replicated, row_wise, data_parallel };

struct rank_options {
  std::optional<int> ranks;  ///< of this process; none: one for each process
  std::optional<rank_transport> transport;
  std::string plan;  ///< a file; empty: by `sharding`
  std::optional<table_sharding> sharding;
  std::optional<double> deadline;  ///< seconds
};

void add_rank_options(CLI::App& command, rank_options& options);

/// Whether training is over ranks at all. Throws invalid_argument for options that do not go
/// together.
bool are_wanted(const rank_options& options);
rank_transport transport_of(const rank_options& options);
std::chrono::milliseconds deadline_of(const rank_options& options);

/// The plan of the file, or one made for these tables. Throws io_error, invalid_argument.
sharding_plan plan_of(const rank_options& options, std::span<const table_config> tables,
                      int num_ranks);

}  // namespace warpbag::cli
