// SPDX-License-Identifier: Apache-2.0
#include "data/genres.hpp"

#include <vector>

#include "data/fields.hpp"

namespace warpbag::data {

void set_genres(side_column& column, const token_vocabulary& items, std::string_view item,
                std::string_view genres) {
  const std::uint32_t id = items.find(parse_token(item, "movie"));
  if (id == token_vocabulary::not_found) return;
  std::vector<std::string_view> tokens;
  if (genres != "(no genres listed)") split(genres, "|", tokens);
  column.check(id, tokens);
  column.set(id, tokens);
}

}  // namespace warpbag::data
