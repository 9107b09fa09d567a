// SPDX-License-Identifier: Apache-2.0
#include "transport/call_kind.hpp"

#include <utility>

namespace warpbag::ranks {
namespace {

std::string name_of(call_kind kind) {
  switch (kind) {
    case call_kind::all_to_all_v: return "all_to_all_v";
    case call_kind::barrier: return "barrier";
    case call_kind::split: break;
  }
  return "split";
}

}  // namespace

std::string name_of(call_kind kind, std::int64_t number) {
  return name_of(kind) + " (call " + std::to_string(number) + ")";
}

std::optional<failure> find_mismatch(int a, call_kind kind_of_a, int b, call_kind kind_of_b,
                                     std::int64_t number) {
  if (kind_of_a == kind_of_b) return std::nullopt;
  if (a < b) {
    std::swap(a, b);
    std::swap(kind_of_a, kind_of_b);
  }
  return failure{failure_kind::mismatch, a,
                 "transport: rank " + std::to_string(a) + " calls " + name_of(kind_of_a) +
                     " where rank " + std::to_string(b) + " calls " + name_of(kind_of_b, number)};
}

}  // namespace warpbag::ranks
