// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "planner/step_model.hpp"

namespace warpbag::sharding {

/// Beyond any machine; a table that is larger is reported so. 2^15 of them do not overflow.
inline constexpr double most_memory = 0x1p48;

/// Throws invalid_argument for what predict_step and plan_sharding cannot work with.
void check_planning(std::span<const table_config> tables,
                    std::span<const table_statistics> statistics, std::int64_t batch_per_rank,
                    const topology& machine);

/// `loads`: of every table. header_bytes is the caller's to set.
step_prediction sum_of(const step_model& model, std::span<const table_load> loads);

}  // namespace warpbag::sharding
