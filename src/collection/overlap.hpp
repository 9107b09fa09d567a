// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "collection/call_records.hpp"

namespace warpbag::collection {

enum class call_phase : std::uint8_t { forward, backward, apply };

/// Refuses a call in which memory that it writes is also memory that it reads or writes under
/// another name. Matrices that share a row stride may be interleaved (the columns of one big
/// output).
void check_overlaps(const call_records& records, call_phase phase, const call_names& names);

}  // namespace warpbag::collection
