// SPDX-License-Identifier: Apache-2.0
#pragma once
// The genres column of MovieLens' movies.csv and movies.dat.

#include <string_view>

#include "data/side_column.hpp"

namespace warpbag::data {

/// Sets the genres of a film, "Drama|War" in the file; "(no genres listed)" is an empty bag. Films
/// that nobody rated have no id and are passed over.
void set_genres(side_column& column, const token_vocabulary& items, std::string_view item,
                std::string_view genres);

}  // namespace warpbag::data
