// SPDX-License-Identifier: Apache-2.0
#pragma once
// Values in a stored type, and back.

#include <cstring>
#include <vector>

#include "numerics/float_formats.hpp"
#include "warpbag/types.hpp"

namespace warpbag::support {

template <typename Stored, typename Narrow>
std::vector<std::byte> stored_as(const std::vector<float>& values, Narrow narrow) {
  std::vector<std::byte> bytes(values.size() * sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored value = narrow(values[i]);
    std::memcpy(bytes.data() + i * sizeof(Stored), &value, sizeof(Stored));
  }
  return bytes;
}

inline std::vector<std::byte> stored(const std::vector<float>& values, dtype type) {
  if (type == dtype::f16) {
    return stored_as<numerics::f16>(values,
                                    [](float x) { return numerics::narrow<numerics::f16>(x); });
  }
  if (type == dtype::bf16) {
    return stored_as<numerics::bf16>(values,
                                     [](float x) { return numerics::narrow<numerics::bf16>(x); });
  }
  return stored_as<float>(values, [](float x) { return x; });
}

template <typename Stored, typename Widen>
std::vector<float> widened_from(const std::vector<std::byte>& bytes, Widen widen) {
  std::vector<float> values;
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, bytes.data() + i, sizeof(Stored));
    values.push_back(widen(value));
  }
  return values;
}

inline std::vector<float> widened(const std::vector<std::byte>& bytes, dtype type) {
  const auto widen = [](auto x) { return numerics::widen(x); };
  if (type == dtype::f16) return widened_from<numerics::f16>(bytes, widen);
  if (type == dtype::bf16) return widened_from<numerics::bf16>(bytes, widen);
  return widened_from<float>(bytes, [](float x) { return x; });
}

}  // namespace warpbag::support
