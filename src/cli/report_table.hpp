// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace warpbag::cli {

/// Rows of cells; columns as wide as their widest cell.
void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows);

/// "0.1234"; "-" for a NaN.
std::string with_digits(double value, int digits);
/// "1,234,567".
std::string with_commas(std::int64_t value);
/// "1:02:03", "2:03".
std::string as_time(double seconds);

}  // namespace warpbag::cli
