// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "operations/backend.hpp"

namespace warpbag::operations {

void throw_bad_batch(input_fault fault, const lookup_location& where, std::int64_t limit) {
  const std::string place =
      "feature " + std::to_string(where.feature) + " (table " + std::to_string(where.table) + ")";
  if (fault == input_fault::id) {
    throw id_out_of_range(place + ", bag " + std::to_string(where.bag) + ", position " +
                              std::to_string(where.position) + ": id " +
                              std::to_string(where.value) + " is not in [0, " +
                              std::to_string(limit) + ")",
                          where);
  }
  throw bad_offsets(place + ": offsets[" + std::to_string(where.bag) +
                        "] = " + std::to_string(where.value) +
                        ": offsets start at 0, never decrease and end within the " +
                        std::to_string(limit) + " ids",
                    where);
}

}  // namespace warpbag::operations
