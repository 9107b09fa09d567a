// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a step knows of its tables before there is a batch.

#include "collection/configured_tables.hpp"

namespace warpbag::sharding {

/// Whether some table has max_norm.
bool renormalizes(const collection::configured_tables& configured);
/// Whether some table is not frozen.
bool trains(const collection::configured_tables& configured);

/// [feature] the table that it reads.
std::vector<std::size_t> tables_of_features(const collection::configured_tables& configured);

/// What a batch is checked and deduplicated by: whole tables, whose rows are elsewhere.
std::vector<operations::table_record> make_whole_tables(
    const collection::configured_tables& configured);

/// A batch on fetched rows, if every lookup were of another row.
collection::call_records with_a_row_per_lookup(collection::call_records call);

/// Every table that trains, for advance_steps: a table has one step state, however many shards.
collection::call_records make_stepped(const collection::configured_tables& configured);

}  // namespace warpbag::sharding
